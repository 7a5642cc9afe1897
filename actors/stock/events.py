"""What stock emits. Quantities are whole: pieces, or steps of 10^-quantityDecimals of the product's
unit, so that 350 with 3 decimals are 0.350 kg. `sequence` is the level's."""

from __future__ import annotations

from uuid import UUID

from core.events import UNSET, Event, Unset


class Level(Event):
    """The level of an item at a location, as the change left it."""

    product_id: UUID
    location_id: UUID
    on_hand: int
    reserved: int
    available: int
    incoming: int
    low_stock_threshold: int
    sequence: int
    quantity_decimals: int | Unset = UNSET


class StockUpdated(Level, kind="inventory.stock.updated.v1"):
    """A level changed; emitted once per batch."""


class StockLow(Level, kind="inventory.stock.low.v1"):
    """A level came down to its threshold."""


class StockOversold(Level, kind="inventory.stock.oversold.v1"):
    """Goods are gone that were not there, or that were promised to others."""
