"""Refunds that returns owe to cards: the hosts write them in the return's own commit, a worker has
the provider make them.

Owed until it is made (`refunded_at`), given up (`dead_at`: the provider refused it time and again),
or settled by hand after that (`settled_at`, by whom, and how).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    RowMapping,
    Table,
    Text,
    Uuid,
    func,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.kit.paging import Row, falling, page
from store.kit.schema import metadata, moment, of_tenant

_DUE = text("refunded_at IS NULL AND dead_at IS NULL")

card_refunds = Table(
    "card_refunds",
    metadata,
    Column("return_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("charge_id", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("claimed_until", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("refunded_at", DateTime(timezone=True)),
    Column("id", Uuid, nullable=False, unique=True, server_default=func.gen_random_uuid()),
    Column("problem", Text, comment="Of the last attempt: refused, silent"),
    moment("dead_at", nullable=True),
    moment("settled_at", nullable=True),
    Column("settled_by", Text),
    Column("note", Text, comment="How it was settled by hand"),
    CheckConstraint(
        "num_nulls(settled_at, settled_by, note) IN (0, 3)", name="settled_by_somebody"
    ),
    CheckConstraint("settled_at IS NULL OR dead_at IS NOT NULL", name="settled_when_dead"),
    Index("ix_card_refunds_due", "claimed_until", postgresql_where=_DUE),
    Index("ix_card_refunds_tenant_id", "tenant_id", "created_at"),
    Index(
        "ix_card_refunds_open",
        "tenant_id",
        "created_at",
        "id",
        postgresql_where=text("refunded_at IS NULL"),
    ),
    info=of_tenant(app="SELECT, UPDATE", owner="ALL"),
)

_c = card_refunds.c
# By the name of a state, what is true of a refund in it.
STATES: dict[str, Any] = {
    "owed": _c.refunded_at.is_(None) & _c.dead_at.is_(None),
    "dead": _c.refunded_at.is_(None) & _c.dead_at.is_not(None) & _c.settled_at.is_(None),
    "settled": _c.settled_at.is_not(None),
    "refunded": _c.refunded_at.is_not(None),
}


def state_of(row: RowMapping | Row) -> str:
    """The name of the state that a refund is in."""
    if row["refunded_at"] is not None:
        return "refunded"
    if row["dead_at"] is None:
        return "owed"
    return "dead" if row["settled_at"] is None else "settled"


async def owed(tx: AsyncConnection, return_id: UUID, number: int) -> RowMapping | None:
    """A refund that the provider has still to make; None for one that has ended."""
    query = select(card_refunds).where(*_one(return_id, number), STATES["owed"])
    return (await tx.execute(query)).mappings().first()


async def made(tx: AsyncConnection, return_id: UUID, number: int) -> None:
    """The provider has made it."""
    values = {"refunded_at": func.now(), "problem": None}
    await tx.execute(update(card_refunds).where(*_one(return_id, number)).values(values))


async def failed(
    tx: AsyncConnection, return_id: UUID, number: int, problem: str, *, is_dead: bool
) -> None:
    """An attempt came to nothing; `is_dead`: it was the last."""
    values: dict[str, Any] = {"problem": problem} | ({"dead_at": func.now()} if is_dead else {})
    await tx.execute(
        update(card_refunds).where(*_one(return_id, number), STATES["owed"]).values(values)
    )


async def listed(tx: AsyncConnection, state: str | None, span: Span) -> Part[Row]:
    """The business's refunds, the latest first, perhaps only those in one state."""
    query = select(card_refunds)
    if state is not None:
        query = query.where(STATES[state])
    return await page(tx, query, falling(_c.created_at, _c.id), span)


async def lock(tx: AsyncConnection, refund_id: UUID) -> RowMapping | None:
    """A refund of this business, which stays as it is until `tx` ends."""
    query = select(card_refunds).where(_c.id == refund_id).with_for_update()
    return (await tx.execute(query)).mappings().first()


async def retry(tx: AsyncConnection, refund_id: UUID) -> RowMapping:
    """One that was given up is asked for again, as often as a new one."""
    values = {"dead_at": None, "attempts": 0, "claimed_until": func.now()}
    return await _changed(tx, refund_id, values)


async def settle(tx: AsyncConnection, refund_id: UUID, settled_by: str, note: str) -> RowMapping:
    """One that was given up was paid in another way."""
    values = {"settled_at": func.now(), "settled_by": settled_by, "note": note}
    return await _changed(tx, refund_id, values)


async def _changed(tx: AsyncConnection, refund_id: UUID, values: dict[str, Any]) -> RowMapping:
    statement = update(card_refunds).where(_c.id == refund_id).values(values)
    changed: RowMapping = (await tx.execute(statement.returning(card_refunds))).mappings().one()
    return changed


def _one(return_id: UUID, number: int) -> tuple[Any, Any]:
    return _c.return_id == return_id, _c.number == number
