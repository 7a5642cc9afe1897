"""Keys that let a machine act for one business: the table and its queries, behind the wall.

A key's text names its business, so that its row is looked up within that tenant's scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    Uuid,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import NotFound
from store.business import lock_business
from store.schema import metadata, moment
from store.sessions import announce

MOST_SERVICE_KEYS = 100

service_keys = Table(
    "service_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", postgresql.ARRAY(Text), nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
    moment("created_at", server_default=func.now()),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
    moment("last_used_at", nullable=True),
    Column("rate_limit_per_second", Integer, comment="Null: what every service key may"),
    CheckConstraint("octet_length(hash) = 32", name="hash"),
    CheckConstraint("rate_limit_per_second BETWEEN 1 AND 5000", name="rate_limit"),
    CheckConstraint("cardinality(scopes) BETWEEN 1 AND 50", name="scopes"),
)


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A machine's key to one business. The secret itself is nowhere, only its SHA-256."""

    id: UUID
    tenant_id: UUID
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rate_limit_per_second: int | None


_KEY_COLUMNS = tuple(service_keys.c[name] for name in ServiceKey.__dataclass_fields__)


def _service_key(row: Any) -> ServiceKey:
    return ServiceKey(**{**row._mapping, "scopes": tuple(row.scopes)})


async def add_service_key(
    tx: AsyncConnection,
    *,
    key_id: UUID,
    tenant_id: UUID,
    name: str,
    key_hash: bytes,
    scopes: Sequence[str],
    created_by: UUID,
    expires_at: datetime | None,
    rate_limit_per_second: int | None = None,
) -> ServiceKey | None:
    """The new key, or None if the business has MOST_SERVICE_KEYS live ones already. The lock on
    the business orders two attempts at the last place. Raises NotFound if it is deleted."""
    if await lock_business(tx, tenant_id) is None:
        raise NotFound("Your business does not exist any more.")
    live = select(func.count()).where(service_keys.c.revoked_at.is_(None))
    if (await tx.execute(live)).scalar_one() >= MOST_SERVICE_KEYS:
        return None
    statement = (
        insert(service_keys)
        .values(
            id=key_id,
            tenant_id=tenant_id,
            name=name,
            hash=key_hash,
            scopes=list(scopes),
            created_by=created_by,
            expires_at=expires_at,
            rate_limit_per_second=rate_limit_per_second,
        )
        .returning(*_KEY_COLUMNS)
    )
    return _service_key((await tx.execute(statement)).one())


async def service_key(tx: AsyncConnection, key_id: UUID) -> ServiceKey | None:
    query = select(*_KEY_COLUMNS).where(service_keys.c.id == key_id)
    row = (await tx.execute(query)).first()
    return _service_key(row) if row else None


async def lock_service_key(tx: AsyncConnection, key_id: UUID) -> ServiceKey | None:
    """The key; nobody else ends it until `tx` ends."""
    query = select(*_KEY_COLUMNS).where(service_keys.c.id == key_id).with_for_update()
    row = (await tx.execute(query)).first()
    return _service_key(row) if row else None


async def list_service_keys(
    tx: AsyncConnection, *, page: int, limit: int
) -> tuple[list[ServiceKey], int]:
    """One page of the tenant's keys, newest first, and how many there are in all."""
    total = (await tx.execute(select(func.count()).select_from(service_keys))).scalar_one()
    query = (
        select(*_KEY_COLUMNS)
        .order_by(service_keys.c.created_at.desc(), service_keys.c.id)
        .limit(limit)
        .offset((page - 1) * limit)
    )
    return [_service_key(row) for row in await tx.execute(query)], total


async def revoke_service_key(tx: AsyncConnection, key_id: UUID) -> ServiceKey | None:
    """The key, revoked now or before; None if the tenant has no such key."""
    statement = (
        update(service_keys)
        .where(service_keys.c.id == key_id)
        .values(revoked_at=func.coalesce(service_keys.c.revoked_at, func.now()))
        .returning(*_KEY_COLUMNS)
    )
    row = (await tx.execute(statement)).first()
    if row is None:
        return None
    await announce(tx, [key_id])
    return _service_key(row)


async def expire_service_key(tx: AsyncConnection, key_id: UUID, at: datetime) -> None:
    """Makes a key end at `at`, if it would end later."""
    c = service_keys.c
    await tx.execute(
        update(service_keys)
        .where(c.id == key_id)
        .values(expires_at=func.least(func.coalesce(c.expires_at, at), at))
    )


async def revoke_all(tx: AsyncConnection) -> list[UUID]:
    """Ends every key of the tenant; their ids."""
    statement = (
        update(service_keys)
        .where(service_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(service_keys.c.id)
    )
    ids = list((await tx.execute(statement)).scalars())
    if ids:
        await announce(tx, ids)
    return ids


async def touch_service_key(tx: AsyncConnection, key_id: UUID) -> None:
    await tx.execute(
        update(service_keys).where(service_keys.c.id == key_id).values(last_used_at=func.now())
    )
