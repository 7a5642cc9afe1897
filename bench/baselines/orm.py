"""ORM: SELECT ... FOR UPDATE, change the object, add the hold, commit. SQLAlchemy's async ORM."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import BigInteger, DateTime, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.baselines.http import Hold, make_app
from bench.baselines.pool import SIZE
from core.settings import Settings, get_settings


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}


class Stock(Base):
    __tablename__ = "stock"

    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    on_hand: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)


class HoldRow(Base):
    __tablename__ = "holds"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    product_id: Mapped[UUID]
    quantity: Mapped[int]
    status: Mapped[str]
    reference: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Orm:
    """See `bench.baselines.http.Shop`."""

    def __init__(self, settings: Settings) -> None:
        self._engine: AsyncEngine = create_async_engine(
            settings.owner_database_url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=SIZE,
            max_overflow=0,
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def start(self) -> None:
        async with self._sessions() as session:
            await session.execute(select(1))

    async def stop(self) -> None:
        await self._engine.dispose()

    async def reserve(self, hold: Hold) -> int | None:
        async with self._sessions.begin() as session:
            stock = await session.get(Stock, hold.product_id, with_for_update=True)
            if stock is None or stock.tenant_id != hold.tenant_id:
                return None
            available = stock.on_hand - stock.reserved
            if available < hold.quantity:
                return None
            stock.reserved += hold.quantity
            session.add(HoldRow(**asdict(hold), status="open"))
        return available - hold.quantity


def app() -> FastAPI:
    settings = get_settings()
    return make_app(Orm(settings), settings)
