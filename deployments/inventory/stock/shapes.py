"""Levels, reservations and movements as the API answers them, from what owners reply and from
rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from actors.stock.model import Hold, Level, Status
from core.moments import of_ms
from core.quantities import from_steps
from deployments.inventory.fields import StockLineOut
from deployments.inventory.stock.bundles import available
from deployments.inventory.stock.schemas import (
    HeldLineOut,
    LevelOut,
    LowStockOut,
    MovementOut,
    PlaceLevelOut,
    ReservationOut,
    ReservationRow,
)
from store.catalog.bundles import Component
from store.kit.paging import Row

_MOVED = tuple(
    f"{what}_{side}" for what in ("on_hand", "reserved", "incoming") for side in ("delta", "after")
)


def level_out(tenant_id: UUID, levels: Sequence[Level]) -> LevelOut:
    """Levels of one item at some locations, and their sums."""
    # One that has no level yet knows of no decimals, and is nothing.
    decimals = max(level.decimals for level in levels)

    def units(steps: Iterable[int]) -> int | Decimal:
        return from_steps(sum(steps), decimals)

    quantity = units(max(level.available, 0) for level in levels)
    threshold = units(level.low_stock_threshold for level in levels)
    return LevelOut(
        product_id=levels[0].product_id,
        quantity=quantity,
        on_hand=units(level.on_hand for level in levels),
        reserved=units(level.reserved for level in levels),
        incoming=units(level.incoming for level in levels),
        low_stock_threshold=threshold,
        is_low_stock=quantity < threshold,
        backorder_limit=from_steps(levels[0].backorder_limit, decimals),
        locations=[place_level(tenant_id, level) for level in levels],
    )


def bundle_level(
    tenant_id: UUID, bundle_id: UUID, parts: Sequence[Component], levels: Sequence[Level]
) -> LevelOut:
    """What the parts at each location make: whole bundles on hand, and free."""
    by_place: dict[UUID, dict[UUID, Level]] = {}
    for level in levels:
        by_place.setdefault(level.location_id or tenant_id, {})[level.product_id] = level
    bundles = []
    for location_id, there in by_place.items():
        on_hand = available(parts, {item_id: level.on_hand for item_id, level in there.items()})
        free = available(parts, {item_id: level.available for item_id, level in there.items()})
        bundles.append(Level(bundle_id, on_hand, on_hand - free, 0, location_id=location_id))
    return level_out(tenant_id, bundles)


def place_level(tenant_id: UUID, level: Level) -> PlaceLevelOut:
    decimals = level.decimals
    return PlaceLevelOut(
        product_id=level.product_id,
        location_id=level.location_id or tenant_id,
        # What is owed at one location takes nothing from what is free at others.
        quantity=from_steps(max(level.available, 0), decimals),
        on_hand=from_steps(level.on_hand, decimals),
        reserved=from_steps(level.reserved, decimals),
        incoming=from_steps(level.incoming, decimals),
        low_stock_threshold=from_steps(level.low_stock_threshold, decimals),
        is_low_stock=level.is_low,
        sequence=level.sequence,
    )


def reservation_out(
    tenant_id: UUID,
    hold: Hold,
    out: type[ReservationOut] = ReservationOut,
    line: type[HeldLineOut] = HeldLineOut,
    units: Callable[[int, int], Any] = from_steps,
) -> ReservationOut:
    """A hold as it is answered, in the models given; `units` makes their quantities of steps."""
    lines = [
        line(
            product_id=product_id,
            quantity=units(quantity, level.decimals),
            available=units(max(level.available, 0), level.decimals),
        )
        for (product_id, quantity), level in zip(hold.lines, hold.levels, strict=True)
    ]
    made = out(
        id=hold.reservation_id,
        location_id=hold.location_id or tenant_id,
        status=hold.status,
        expires_at=of_ms(hold.expires_at_ms),
        created_at=of_ms(hold.created_at_ms),
        reference=hold.reference,
        lines=lines,
    )
    if len(lines) == 1:
        [held] = lines
        made.product_id, made.quantity = held.product_id, held.quantity
        made.available = held.available
    return made


def reservation_row(row: Row) -> ReservationRow:
    return ReservationRow(
        id=row["id"],
        location_id=row["location_id"],
        status=Status(row["status"]),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        reference=row["reference"],
        lines=lines_of(row),
    )


def lines_of(row: Row) -> list[StockLineOut]:
    """Of a row that has its items in one array, their quantities in another, and how many decimals
    these have in a third."""
    columns = (row["product_ids"], row["quantities"], row["decimals"])
    return [
        StockLineOut(product_id=product_id, quantity=from_steps(steps, decimals))
        for product_id, steps, decimals in zip(*columns, strict=True)
    ]


def low_stock_out(row: Row) -> LowStockOut:
    return LowStockOut(
        product_id=row["product_id"],
        location_id=row["location_id"],
        quantity=from_steps(max(row["available"], 0), row["decimals"]),
        low_stock_threshold=from_steps(row["low_stock_threshold"], row["decimals"]),
    )


def movement_out(row: Row) -> MovementOut:
    shown = {name: row[name] for name in MovementOut.model_fields}
    moved = {name: from_steps(row[name], row["decimals"]) for name in _MOVED}
    return MovementOut(**shown | moved)
