"""What purchasing emits: ids, quantities and no costs."""

from __future__ import annotations

from uuid import UUID

from core.events import UNSET, Event, Part, Unset


class OrderLine(Part):
    """A line as it stands, in steps of 10^-quantityDecimals units."""

    product_id: UUID
    quantity: int
    received: int
    cancelled: int
    quantity_decimals: int | Unset = UNSET


class PurchaseOrder(Event):
    """A purchase order as the change left it."""

    purchase_order_id: UUID
    supplier_id: UUID
    location_id: UUID
    status: str
    lines: tuple[OrderLine, ...]


class PurchaseOrdered(PurchaseOrder, kind="inventory.purchase_order.ordered.v1"):
    """An order was placed with its supplier."""


class PurchaseReceived(PurchaseOrder, kind="inventory.purchase_order.received.v1"):
    """Goods of an order came in."""


class PurchaseCancelled(PurchaseOrder, kind="inventory.purchase_order.cancelled.v1"):
    """What was outstanding of an order will not come."""
