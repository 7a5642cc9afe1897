"""What the till emits. Amounts are in the minor unit of `currency`."""

from __future__ import annotations

from uuid import UUID

from core.events import UNSET, Event, Part, Unset


class Document(Event):
    """Something that a receipt was given for."""

    location_id: UUID
    register_id: UUID
    shift_id: UUID
    receipt_number: int
    currency: str
    cashier_id: str


class SoldLine(Part):
    """A line of a sale, less discounts, tax included; `quantity` in steps of 10^-quantityDecimals
    units."""

    item_id: UUID
    product_id: UUID
    quantity: int
    total_minor: int
    quantity_decimals: int | Unset = UNSET


class SaleCompleted(Document, kind="pos.sale.completed.v1"):
    """A sale was made. One that was made offline was made at `sold_at_ms`, which may be days
    before the event. Gift cards that it sold are in the totals, and not among the lines."""

    sale_id: UUID
    sold_at_ms: int
    offline: bool
    customer_id: UUID | None
    total_minor: int
    tax_minor: int
    discount_minor: int
    tips_minor: int
    lines: tuple[SoldLine, ...]


class ReturnedLine(Part):
    """What came back of a line, in steps of 10^-quantityDecimals units; `restock` says whether it
    went back onto the shelf."""

    item_id: UUID
    quantity: int
    restock: bool
    total_minor: int
    quantity_decimals: int | Unset = UNSET


class SaleReturned(Document, kind="pos.sale.returned.v1"):
    """Goods were given back, or a sale was voided. Without a receipt there is no `sale_id`."""

    return_id: UUID
    sale_id: UUID | None
    lines: tuple[ReturnedLine, ...]
    total_minor: int
    tax_minor: int
    void: bool


class ShiftClosed(Event, kind="pos.shift.closed.v1"):
    """A drawer was counted; `number` is that of the register's shift."""

    shift_id: UUID
    register_id: UUID
    location_id: UUID
    number: int
    currency: str
    expected_minor: int
    counted_minor: int
