"""Rows of stock as the store writes and reads them: the fields are the columns, in their order.
Times are in ms since the epoch, UTC."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class ItemRow(NamedTuple):
    product_id: UUID
    tenant_id: UUID
    discontinued: bool
    backorder_limit: int
    sequence: int
    updated_at: int
    parent: bool
    quantity_decimals: int | None


class ItemRead(NamedTuple):
    """`location_ids`: where it has a level."""

    discontinued: bool
    backorder_limit: int
    sequence: int
    parent: bool
    quantity_decimals: int | None
    location_ids: list[UUID]


class LevelRow(NamedTuple):
    product_id: UUID
    location_id: UUID
    tenant_id: UUID
    on_hand: int
    reserved: int
    incoming: int
    low_stock_threshold: int
    low: bool
    floor: int
    counted_at: int | None
    sequence: int
    updated_at: int


class LevelRead(NamedTuple):
    """`quantity_decimals` are the item's; null where nothing was said of them."""

    on_hand: int
    reserved: int
    incoming: int
    low_stock_threshold: int
    low: bool
    floor: int
    counted_at: int | None
    sequence: int
    quantity_decimals: int | None


class MovementRow(NamedTuple):
    product_id: UUID
    location_id: UUID
    sequence: int
    tenant_id: UUID
    kind: str
    on_hand_delta: int
    reserved_delta: int
    incoming_delta: int
    on_hand_after: int
    reserved_after: int
    incoming_after: int
    reason: str | None
    reference: str | None
    reservation_id: UUID | None
    command_id: UUID
    created_by: str
    occurred_at: int
    recorded_at: int


class ReservationRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    shard: int
    location_id: UUID
    status: str
    product_ids: list[UUID]
    quantities: list[int]
    reference: str | None
    created_by: str
    created_at: int
    expires_at: int
    sequence: int


class OpenHolds(NamedTuple):
    """Ids of a caller's open reservations of an item at a location, the oldest first."""

    ids: list[UUID]


class TransferRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    from_location_id: UUID
    to_location_id: UUID
    status: str
    product_ids: list[UUID]
    quantities: list[int]
    reference: str | None
    created_by: str
    created_at: int
    closed_at: int | None
    sequence: int
    received: list[int]


WRITTEN: dict[str, type] = {
    "stock_items": ItemRow,
    "stock_levels": LevelRow,
    "stock_levels moved": LevelRow,
    "reservations": ReservationRow,
    "reservations changed": ReservationRow,
    "stock_movements": MovementRow,
    "stock_transfers": TransferRow,
}
