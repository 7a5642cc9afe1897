"""What the till's lists and documents are read from, and parked sales. Behind the wall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.kit.changes import changed
from store.kit.paging import Row, falling, page, rising
from store.pos.tables import (
    pos_cash_movements,
    pos_parked_sales,
    pos_payments,
    pos_refunds,
    pos_registers,
    pos_return_lines,
    pos_returns,
    pos_sale_lines,
    pos_sales,
    pos_shifts,
)

MAX_PARKED = 1_000
MAX_LINES = 5_000

Rows = list[RowMapping]


@dataclass(frozen=True, slots=True)
class SaleFilters:
    """What a list is narrowed to; None narrows nothing. `seen_by` is a cashier, who sees what was
    sold in shifts of their own and what they sold themselves; with the number of a receipt of a
    register in hand, that sale too."""

    location_id: UUID | None = None
    register_id: UUID | None = None
    shift_id: UUID | None = None
    customer_id: UUID | None = None
    cashier: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    receipt_number: int | None = None
    seen_by: str | None = None
    offline: bool | None = None


async def registers(tx: AsyncConnection, location_id: UUID | None, span: Span) -> Part[Row]:
    """The business's registers that were not removed, by name."""
    query = select(pos_registers).where(~pos_registers.c.removed)
    if location_id is not None:
        query = query.where(pos_registers.c.location_id == location_id)
    return await page(tx, query, rising(pos_registers.c.name, pos_registers.c.id), span)


async def shifts(
    tx: AsyncConnection,
    register_id: UUID,
    opened_by: str | None,
    span: Span,
) -> Part[Row]:
    """A register's shifts, latest first; with `opened_by` only that person's."""
    query = select(pos_shifts).where(pos_shifts.c.register_id == register_id)
    if opened_by is not None:
        query = query.where(pos_shifts.c.opened_by == opened_by)
    return await page(tx, query, falling(pos_shifts.c.number), span)


async def shift(tx: AsyncConnection, shift_id: UUID) -> RowMapping | None:
    query = select(pos_shifts).where(pos_shifts.c.id == shift_id)
    return (await tx.execute(query)).mappings().first()


async def cash_movements(tx: AsyncConnection, shift_id: UUID, span: Span) -> Part[Row]:
    """What was put into a shift's drawer or taken out of it beside sales, in order."""
    query = select(pos_cash_movements).where(pos_cash_movements.c.shift_id == shift_id)
    return await page(tx, query, rising(pos_cash_movements.c.sequence), span)


async def sales(tx: AsyncConnection, filters: SaleFilters, span: Span) -> Part[Row]:
    """Sales, latest first."""
    c = pos_sales.c
    # The first one that is asked for has its index, most selective first.
    compared: list[tuple[ColumnElement[Any], object]] = [
        (c.shift_id, filters.shift_id),
        (c.customer_id, filters.customer_id),
        (c.register_id, filters.register_id),
        (c.created_by, filters.cashier),
        (c.location_id, filters.location_id),
    ]
    conditions = [column == value for column, value in compared if value is not None]
    # Of those that were not uploaded there is no index: they are most.
    has_index = 1 if conditions or filters.offline else 0
    if filters.offline is not None:
        conditions.append(c.client_sale_id.is_not(None) == filters.offline)
    query = select(pos_sales)
    if filters.since is not None:
        query = query.where(c.created_at >= filters.since)
    if filters.until is not None:
        query = query.where(c.created_at < filters.until)
    if span.since is not None:
        if filters.receipt_number is not None:
            conditions.append(c.receipt_number == filters.receipt_number)
        if filters.seen_by is not None:
            conditions.append(_seen_by(filters.seen_by))
        return await changed(tx, query, c.changed_at, c.id, span, conditions)
    order = falling(c.created_at, c.id)
    if filters.receipt_number is not None:
        conditions.append(c.receipt_number == filters.receipt_number)
        if filters.register_id is not None:
            return await page(tx, query.where(*conditions), order, span)
    if filters.seen_by is not None:
        conditions.append(_seen_by(filters.seen_by))
    return await page(
        tx, query.where(*conditions[:has_index]), order, span, also=conditions[has_index:]
    )


async def sale(
    tx: AsyncConnection, sale_id: UUID, seen_by: str | None = None, number: int | None = None
) -> tuple[RowMapping, Rows, Rows] | None:
    """A sale with its lines and payments, in order. For `seen_by` see SaleFilters; `number` is
    that of the receipt in hand."""
    query = select(pos_sales).where(pos_sales.c.id == sale_id)
    if seen_by is not None:
        query = query.where(or_(_seen_by(seen_by), pos_sales.c.receipt_number == number))
    found = (await tx.execute(query)).mappings().first()
    if found is None:
        return None
    return (
        found,
        await _of(tx, pos_sale_lines, pos_sale_lines.c.sale_id == sale_id),
        await _of(tx, pos_payments, pos_payments.c.sale_id == sale_id),
    )


async def uploaded(tx: AsyncConnection, sale_ids: Iterable[UUID]) -> dict[UUID, RowMapping]:
    """Of sales that were made offline, those that are in already, by id."""
    query = select(pos_sales).where(pos_sales.c.id.in_(list(sale_ids)))
    return {row["id"]: row for row in (await tx.execute(query)).mappings()}


async def returns_of(
    tx: AsyncConnection, sale_id: UUID, span: Span
) -> Part[tuple[Row, Rows, Rows]]:
    """The returns of a sale with their lines and refunds, oldest first."""
    query = select(pos_returns).where(pos_returns.c.sale_id == sale_id)
    found = await page(tx, query, rising(pos_returns.c.created_at, pos_returns.c.id), span)
    ids = [row["id"] for row in found.items]
    lines = await _by_return(tx, pos_return_lines, ids)
    refunds = await _by_return(tx, pos_refunds, ids)
    return found.map(lambda row: (row, lines.get(row["id"], []), refunds.get(row["id"], [])))


async def returned(tx: AsyncConnection, return_id: UUID) -> tuple[RowMapping, Rows, Rows] | None:
    """A return with its lines and refunds, in order."""
    query = select(pos_returns).where(pos_returns.c.id == return_id)
    found = (await tx.execute(query)).mappings().first()
    if found is None:
        return None
    return (
        found,
        await _of(tx, pos_return_lines, pos_return_lines.c.return_id == return_id),
        await _of(tx, pos_refunds, pos_refunds.c.return_id == return_id),
    )


async def park(tx: AsyncConnection, row: Mapping[str, Any]) -> RowMapping | None:
    """Puts a basket aside; None when there are too many already."""
    count = await tx.scalar(select(func.count()).select_from(pos_parked_sales))
    if (count or 0) >= MAX_PARKED:
        return None
    made = await tx.execute(insert(pos_parked_sales).values(row).returning(*pos_parked_sales.c))
    return made.mappings().one()


async def parked(tx: AsyncConnection, location_id: UUID | None, span: Span) -> Part[Row]:
    """Parked sales, oldest first."""
    query = select(pos_parked_sales)
    if location_id is not None:
        query = query.where(pos_parked_sales.c.location_id == location_id)
    order = rising(pos_parked_sales.c.parked_at, pos_parked_sales.c.id)
    return await page(tx, query, order, span)


async def parked_sale(tx: AsyncConnection, parked_id: UUID) -> RowMapping | None:
    query = select(pos_parked_sales).where(pos_parked_sales.c.id == parked_id)
    return (await tx.execute(query)).mappings().first()


async def unpark(tx: AsyncConnection, parked_id: UUID) -> RowMapping | None:
    """Takes a parked sale up: of two registers that try, one gets it."""
    gone = await tx.execute(
        delete(pos_parked_sales)
        .where(pos_parked_sales.c.id == parked_id)
        .returning(pos_parked_sales)
    )
    return gone.mappings().first()


def _seen_by(cashier: str) -> Any:
    own = select(pos_shifts.c.id).where(pos_shifts.c.opened_by == cashier)
    return or_(pos_sales.c.created_by == cashier, pos_sales.c.shift_id.in_(own))


async def _by_return(tx: AsyncConnection, table: Any, ids: Sequence[UUID]) -> dict[UUID, Rows]:
    """Rows of returns, of each in order."""
    query = select(table).where(table.c.return_id.in_(ids)).order_by(table.c.number)
    found: dict[UUID, Rows] = {}
    for row in (await tx.execute(query)).mappings():
        found.setdefault(row["return_id"], []).append(row)
    return found


async def _of(tx: AsyncConnection, table: Any, condition: Any) -> Rows:
    query = select(table).where(condition).order_by(table.c.number).limit(MAX_LINES)
    return list((await tx.execute(query)).mappings())
