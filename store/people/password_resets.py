"""Requests to set a new password: the table and its queries.

They are a person's and are read while nobody is known yet. As with invitations, the token of the
link is not in here, only the nonce that it is made over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    LargeBinary,
    Table,
    Uuid,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.schema import metadata, moment, of_nobody

_SWEPT_AT_ONCE = 1_000

password_resets = Table(
    "password_resets",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False, index=True),
    Column("nonce", LargeBinary, nullable=False),
    moment("created_at", server_default=func.now()),
    moment("expires_at", index=True),
    moment("used_at", nullable=True),
    CheckConstraint("octet_length(nonce) = 16", name="nonce"),
    info=of_nobody(app="SELECT, INSERT, UPDATE, DELETE"),
)


@dataclass(frozen=True, slots=True)
class Reset:
    id: UUID
    user_id: UUID
    nonce: bytes
    open: bool


async def add(
    tx: AsyncConnection, reset_id: UUID, user_id: UUID, nonce: bytes, expires_at: datetime
) -> None:
    """Adds a request, and deletes a bounded number of those that nobody can use any more."""
    old = (
        select(password_resets.c.id)
        .where(password_resets.c.expires_at < func.now() - text("interval '7 days'"))
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    await tx.execute(delete(password_resets).where(password_resets.c.id.in_(old)))
    await tx.execute(
        insert(password_resets).values(
            id=reset_id, user_id=user_id, nonce=nonce, expires_at=expires_at
        )
    )


async def get(tx: AsyncConnection, reset_id: UUID, *, lock: bool = False) -> Reset | None:
    """With `lock`, nobody else uses it until `tx` ends."""
    c = password_resets.c
    is_open = (c.used_at.is_(None) & (c.expires_at > func.now())).label("open")
    query = select(c.id, c.user_id, c.nonce, is_open).where(c.id == reset_id)
    if lock:
        query = query.with_for_update()
    row = (await tx.execute(query)).mappings().first()
    return Reset(**row) if row else None


async def use_up(tx: AsyncConnection, user_id: UUID) -> None:
    """Ends all of a person's requests: the password that they were about is not the same."""
    await tx.execute(
        update(password_resets)
        .where(password_resets.c.user_id == user_id, password_resets.c.used_at.is_(None))
        .values(used_at=func.now())
    )
