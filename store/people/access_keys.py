"""Service keys and API keys: the table and its queries, behind the wall.

A service key lets a machine act for one business; an API key lets a script act as one person in
one business. A key's text names its business, so that its row is looked up within that tenant's
scope. A person's own scope shows their API keys in all businesses, so that they can be ended.
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
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    Uuid,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.kit.paging import Row, falling, page
from store.kit.schema import APP_ROLE, USER, metadata, moment, of_tenant
from store.people.sessions import announce

MAX_SERVICE_KEYS = 100
# Of one person in one business.
MAX_API_KEYS = 20

# What closes an account or sets its password anew ends its keys in all businesses.
_MINE = f"TO {APP_ROLE} USING (user_id = {USER})"
_MY_KEYS = {"own_select": f"FOR SELECT {_MINE}", "own_update": f"FOR UPDATE {_MINE}"}

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column(
        "user_id",
        Uuid,
        ForeignKey("users.id"),
        index=True,
        comment="As whom an API key acts; null: a service key",
    ),
    Column("name", String(100), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", postgresql.ARRAY(Text), nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
    moment("created_at", server_default=func.now()),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
    moment("last_used_at", nullable=True),
    Column("rate_limit_per_second", Integer, comment="Null: what every key of its kind may"),
    CheckConstraint("octet_length(hash) = 32", name="hash"),
    CheckConstraint("rate_limit_per_second BETWEEN 1 AND 5000", name="rate_limit"),
    CheckConstraint("cardinality(scopes) BETWEEN 1 AND 50", name="scopes"),
    Index("ix_access_keys_newest", "tenant_id", "user_id", "created_at", "id"),
    Index(
        "ix_access_keys_service",
        "tenant_id",
        "created_at",
        "id",
        postgresql_where=text("user_id IS NULL"),
    ),
    info=of_tenant(
        app="SELECT, INSERT, UPDATE (expires_at, revoked_at, last_used_at)", further=_MY_KEYS
    ),
)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key to one business: a machine's, or with `user_id` that person's. The secret itself is
    nowhere, only its SHA-256."""

    id: UUID
    tenant_id: UUID
    user_id: UUID | None
    name: str
    hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rate_limit_per_second: int | None


_KEY_COLUMNS = tuple(access_keys.c[name] for name in AccessKey.__dataclass_fields__)


def _access_key(row: Any) -> AccessKey:
    return _key(row._mapping)


def _key(row: Row) -> AccessKey:
    return AccessKey(**{**row, "scopes": tuple(row["scopes"])})


def _of(user_id: UUID | None) -> ColumnElement[bool]:
    """The API keys of a person, or, with None, the service keys: that compares as IS NULL."""
    return access_keys.c.user_id == user_id


async def add(
    tx: AsyncConnection,
    *,
    key_id: UUID,
    tenant_id: UUID,
    user_id: UUID | None,
    name: str,
    key_hash: bytes,
    scopes: Sequence[str],
    created_by: UUID,
    expires_at: datetime | None,
    rate_limit_per_second: int | None = None,
) -> AccessKey | None:
    """The new key, or None if there are MAX_SERVICE_KEYS live ones, or MAX_API_KEYS of that
    person, already. The caller holds the lock on the business, which orders two attempts at the
    last place."""
    c = access_keys.c
    is_live = (c.revoked_at.is_(None), or_(c.expires_at.is_(None), c.expires_at > func.now()))
    live = select(func.count()).where(_of(user_id), *is_live)
    most = MAX_SERVICE_KEYS if user_id is None else MAX_API_KEYS
    if (await tx.execute(live)).scalar_one() >= most:
        return None
    statement = (
        insert(access_keys)
        .values(
            id=key_id,
            tenant_id=tenant_id,
            user_id=user_id,
            name=name,
            hash=key_hash,
            scopes=list(scopes),
            created_by=created_by,
            expires_at=expires_at,
            rate_limit_per_second=rate_limit_per_second,
        )
        .returning(*_KEY_COLUMNS)
    )
    return _access_key((await tx.execute(statement)).one())


async def get(tx: AsyncConnection, key_id: UUID, *, lock: bool = False) -> AccessKey | None:
    """The key; with `lock`, nobody else ends it until `tx` ends."""
    query = select(*_KEY_COLUMNS).where(access_keys.c.id == key_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).first()
    return _access_key(row) if row else None


async def listed(
    tx: AsyncConnection, tenant_id: UUID, user_id: UUID | None, span: Span
) -> Part[AccessKey]:
    """The tenant's service keys, or a person's API keys there, newest first."""
    # Named, for the policy shows a person's keys elsewhere, too, and no index has both.
    query = select(*_KEY_COLUMNS).where(access_keys.c.tenant_id == tenant_id, _of(user_id))
    order = falling(access_keys.c.created_at, access_keys.c.id)
    return (await page(tx, query, order, span)).map(_key)


async def revoke(tx: AsyncConnection, key_id: UUID) -> AccessKey | None:
    """The key, revoked now or before; None if the tenant has no such key."""
    statement = (
        update(access_keys)
        .where(access_keys.c.id == key_id)
        .values(revoked_at=func.coalesce(access_keys.c.revoked_at, func.now()))
        .returning(*_KEY_COLUMNS)
    )
    row = (await tx.execute(statement)).first()
    if row is None:
        return None
    await announce(tx, [key_id])
    return _access_key(row)


async def expire(tx: AsyncConnection, key_id: UUID, at: datetime) -> None:
    """Makes a key end at `at`, if it would end later."""
    c = access_keys.c
    await tx.execute(
        update(access_keys)
        .where(c.id == key_id)
        .values(expires_at=func.least(func.coalesce(c.expires_at, at), at))
    )


async def end_all(tx: AsyncConnection) -> list[UUID]:
    """Ends every key of the tenant; their ids."""
    return await _end(tx)


async def end_of(tx: AsyncConnection, user_id: UUID) -> list[UUID]:
    """Ends a person's API keys, as far as the scope shows them: the tenant's, or in the person's
    own scope those of all businesses. Their ids. A caller that ends sessions, too, does that first:
    a key is made under a lock on the session that asks for it, so that none slips through."""
    return await _end(tx, _of(user_id))


async def _end(tx: AsyncConnection, *conditions: ColumnElement[bool]) -> list[UUID]:
    statement = (
        update(access_keys)
        .where(access_keys.c.revoked_at.is_(None), *conditions)
        .values(revoked_at=func.now())
        .returning(access_keys.c.id)
    )
    ids = list((await tx.execute(statement)).scalars())
    await announce(tx, ids)
    return ids


async def touch(tx: AsyncConnection, key_id: UUID) -> None:
    await tx.execute(
        update(access_keys).where(access_keys.c.id == key_id).values(last_used_at=func.now())
    )
