"""What lists of stock are read from. Behind the wall."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import MAX_COUNTED, Part, Span
from store.inventory.stock import reservations, stock_items, stock_levels, stock_movements
from store.kit.paging import Row, falling, page, rising


async def low_stock(tx: AsyncConnection, location_id: UUID | None, span: Span) -> Part[Row]:
    """Levels below their threshold that this scope shows, scarcest first. Where more than
    MAX_COUNTED are low, those are so many of them: an index by what is available would have to
    be written with every sale."""
    available = (stock_levels.c.on_hand - stock_levels.c.reserved).label("available")
    query = select(
        stock_levels.c.product_id,
        stock_levels.c.location_id,
        available,
        stock_levels.c.low_stock_threshold,
    ).where(stock_levels.c.low)
    if location_id is not None:
        query = query.where(stock_levels.c.location_id == location_id)
    low = query.limit(MAX_COUNTED + 1).subquery()
    discontinued = select(1).where(
        stock_items.c.product_id == low.c.product_id, stock_items.c.discontinued
    )
    order = rising(low.c.available, low.c.product_id, low.c.location_id)
    query = select(low, _decimals(low.c.product_id)).where(~discontinued.exists())
    return await page(tx, query, order, span)


def _decimals(product_id: ColumnElement[UUID]) -> ColumnElement[Any]:
    """How many decimals the quantities of an item have."""
    known = select(stock_items.c.quantity_decimals).where(stock_items.c.product_id == product_id)
    return func.coalesce(known.scalar_subquery(), 0).label("decimals")


def line_decimals(product_ids: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same for a row that has its items in an array."""
    wanted = func.unnest(product_ids).table_valued("id", with_ordinality="n").render_derived()
    found = func.array_agg(
        aggregate_order_by(func.coalesce(stock_items.c.quantity_decimals, 0), wanted.c.n)
    )
    known = select(found).select_from(
        wanted.outerjoin(stock_items, stock_items.c.product_id == wanted.c.id)
    )
    return known.scalar_subquery().label("decimals")


async def parent_sequence(tx: AsyncConnection, product_id: UUID) -> int | None:
    """The sequence of an item of the tenant's that its owner holds for a parent; None if it is
    none there."""
    query = select(stock_items.c.sequence).where(
        stock_items.c.product_id == product_id, stock_items.c.parent
    )
    found: int | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def movements(
    tx: AsyncConnection,
    product_id: UUID,
    location_id: UUID,
    *,
    by_occurrence: bool,
    span: Span,
) -> Part[Row]:
    """An item's ledger at a location, latest first: as it was recorded, or as things happened."""
    query = select(stock_movements, _decimals(stock_movements.c.product_id)).where(
        stock_movements.c.product_id == product_id, stock_movements.c.location_id == location_id
    )
    order = falling(stock_movements.c.sequence)
    if by_occurrence:
        order = falling(stock_movements.c.occurred_at, stock_movements.c.sequence)
    return await page(tx, query, order, span)


async def list_reservations(
    tx: AsyncConnection,
    status: str | None,
    product_id: UUID | None,
    location_id: UUID | None,
    span: Span,
) -> Part[Row]:
    """The tenant's reservations, latest first."""
    query = select(reservations, line_decimals(reservations.c.product_ids))
    if product_id is not None:
        # Behind a policy no index of arrays would be used; the ledger has a line for each item.
        line = stock_movements.c
        query = query.join(stock_movements, line.reservation_id == reservations.c.id).where(
            line.product_id == product_id, line.kind == "reserved"
        )
    compared = ((reservations.c.location_id, location_id), (reservations.c.status, status))
    also = [column == value for column, value in compared if value is not None]
    if product_id is None and also:
        query = query.where(also.pop(0))
    return await page(tx, query, falling(reservations.c.id), span, also=also)
