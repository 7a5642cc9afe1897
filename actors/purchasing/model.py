"""Purchase orders: states, commands, events and replies. Quantities are whole steps, costs minor
units of the order's currency, each of one unit (10^decimals steps).

A draft moves nothing. An order that is placed counts as incoming at its location, line by line,
until it is received or cancelled: incoming = sum over lines of quantity - received - cancelled.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from actors.messages import Command, Reply
from actors.stock.model import Measure, Measures
from core.money import line_minor

MAX_LINES = 500
PURCHASE = "purchase"


class PurchaseStatus(StrEnum):
    DRAFT = "draft"
    ORDERED = "ordered"
    PARTLY_RECEIVED = "partly_received"
    RECEIVED = "received"
    CANCELLED = "cancelled"


OPEN = frozenset({PurchaseStatus.ORDERED, PurchaseStatus.PARTLY_RECEIVED})


class WantedLine(NamedTuple):
    """What is asked of the supplier; an order has each item once."""

    item_id: UUID
    quantity: int
    cost_minor: int


class PurchaseLine(msgspec.Struct, frozen=True, array_like=True):
    """A line as it stands. `received` may exceed `quantity` where more came and was kept."""

    item_id: UUID
    quantity: int
    cost_minor: int
    received: int = 0
    cancelled: int = 0
    decimals: int = 0

    @property
    def outstanding(self) -> int:
        """What is still to come."""
        return max(self.quantity - self.received - self.cancelled, 0)

    @property
    def total_minor(self) -> int:
        """What is asked of the supplier costs."""
        return line_minor(self.cost_minor, self.quantity, self.decimals)


class Terms(msgspec.Struct, frozen=True):
    """What an order says besides its lines."""

    supplier_id: UUID
    location_id: UUID
    currency: str
    reference: str | None = None
    expected_at_ms: int | None = None


class Purchase(msgspec.Struct, frozen=True):
    """A purchase order."""

    terms: Terms
    lines: tuple[PurchaseLine, ...]
    status: PurchaseStatus
    created_by: str
    created_at_ms: int
    ordered_at_ms: int | None = None
    sequence: int = 0

    @property
    def measures(self) -> Measures:
        """How its quantities are meant."""
        return tuple(Measure(line.item_id, line.decimals) for line in self.lines if line.decimals)


# --- replies -------------------------------------------------------------------------------


class PurchaseReply(Reply, frozen=True):
    """An order as it now stands."""

    purchase_id: UUID
    terms: Terms
    lines: tuple[PurchaseLine, ...]
    status: PurchaseStatus
    created_by: str
    created_at_ms: int
    ordered_at_ms: int | None


# --- commands ------------------------------------------------------------------------------


class PutPurchase(Command[PurchaseReply], frozen=True):
    """Writes a draft: a new one, or in place of what it said, but for what it is to `keep`: names
    of terms, and `lines`. Costs are in the currency that `terms` name."""

    purchase_id: UUID
    terms: Terms
    lines: tuple[WantedLine, ...]
    is_new: bool
    keep: tuple[str, ...] = ()
    measures: Measures = ()


class PlacePurchase(Command[PurchaseReply], frozen=True):
    """The draft goes to the supplier: its goods are incoming."""

    purchase_id: UUID


class Delivered(NamedTuple):
    item_id: UUID
    quantity: int


class ReceivePurchase(Command[PurchaseReply], frozen=True):
    """Goods came: all lines, or none. More than is outstanding only with `allow_excess`."""

    purchase_id: UUID
    lines: tuple[Delivered, ...]
    allow_excess: bool = False
    measures: Measures = ()


class CancelPurchase(Command[PurchaseReply], frozen=True):
    """What has not come will not come."""

    purchase_id: UUID


class GetPurchase(Command[PurchaseReply], frozen=True):
    purchase_id: UUID


# --- events --------------------------------------------------------------------------------


class Drafted(msgspec.Struct, frozen=True):
    terms: Terms
    lines: tuple[WantedLine, ...]
    created_by: str
    created_at_ms: int
    measures: Measures = ()


class Placed(msgspec.Struct, frozen=True):
    at_ms: int


class GoodsReceived(msgspec.Struct, frozen=True):
    lines: tuple[Delivered, ...]


class RestCancelled(msgspec.Struct, frozen=True):
    pass
