"""ORM: SELECT ... FOR UPDATE, change the object, add the hold, commit. SQLAlchemy's async ORM."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from bench.baselines import orm_sale
from bench.baselines.http import Hold, make_app
from bench.baselines.orm_rows import HoldRow, Stock
from bench.baselines.pool import SIZE
from bench.baselines.selling import Basket, Sold
from core.settings import Settings, get_settings


class Orm:
    """See `bench.baselines.http.Shop` and `bench.baselines.selling.Till`."""

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

    async def sell(self, basket: Basket) -> Sold | None:
        async with self._sessions.begin() as session:
            return await orm_sale.sell(session, basket)


def app() -> FastAPI:
    settings = get_settings()
    shop = Orm(settings)
    return make_app(shop, settings, till=shop)
