"""Bodies, queries and answers about purchase orders."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, field_validator

from actors.purchasing.model import MAX_LINES, PurchaseReply, PurchaseStatus
from core import moments
from core.money import from_minor
from core.quantities import from_steps
from deployments.inventory.fields import Reference
from gateway.changes import Partial
from gateway.fields import absent
from gateway.quantities import Quantity, QuantityOut
from gateway.schemas import Amount, CamelModel, Moment, Sum, SyncQuery


class NewPurchaseLine(CamelModel):
    product_id: UUID
    quantity: Quantity
    cost: Amount | None = Field(
        default=None, description="Of one; by default what the supplier takes, or else 0"
    )


def _each_once(lines: list[NewPurchaseLine]) -> list[NewPurchaseLine]:
    if len({line.product_id for line in lines}) < len(lines):
        raise ValueError("must name each product once")
    return lines


NewPurchaseLines = Annotated[
    list[NewPurchaseLine], Field(min_length=1, max_length=MAX_LINES), AfterValidator(_each_once)
]


class NewPurchase(CamelModel):
    """What to order of whom, for which location."""

    supplier_id: UUID
    location_id: UUID | None = Field(default=None, description="By default the main location")
    lines: NewPurchaseLines
    reference: Reference = None
    expected_at: Moment | None = Field(
        default=None, description="By default the lead time from now"
    )


class PurchaseChanges(Partial):
    """What to change of a draft; what is left out stays. A supplier of another currency needs new
    `lines`."""

    supplier_id: UUID = absent()
    location_id: UUID = absent("A location of the business")
    lines: NewPurchaseLines = absent()
    reference: Reference = None
    expected_at: Moment | None = None


class DeliveredLine(CamelModel):
    product_id: UUID
    quantity: Quantity


class Delivery(CamelModel):
    """What came. Without `lines`, all that was outstanding."""

    lines: list[DeliveredLine] | None = Field(default=None, min_length=1, max_length=MAX_LINES)
    allow_excess: bool = Field(default=False, description="Take more than was ordered, too")

    @field_validator("lines")
    @classmethod
    def _each_once(cls, value: list[DeliveredLine] | None) -> list[DeliveredLine] | None:
        if value is not None and len({line.product_id for line in value}) < len(value):
            raise ValueError("must name each product once")
        return value


class OrderStatus(StrEnum):
    """`closed`: a part of it came, and the rest was cancelled."""

    DRAFT = "draft"
    ORDERED = "ordered"
    PARTLY_RECEIVED = "partly_received"
    RECEIVED = "received"
    CLOSED = "closed"
    CANCELLED = "cancelled"

    @classmethod
    def of(cls, order: PurchaseReply) -> OrderStatus:
        """Inside an order that is over is `received` if any of it came."""
        is_cut = any(line.cancelled for line in order.lines)
        if order.status is PurchaseStatus.RECEIVED and is_cut:
            return cls.CLOSED
        return cls(order.status.value)


class PurchaseQuery(SyncQuery):
    status: OrderStatus | None = None
    supplier_id: UUID | None = None
    product_id: UUID | None = None


class PurchaseLineOut(CamelModel):
    """`outstanding` is what is still to come. `cost`, of one, is management's alone."""

    product_id: UUID
    quantity: QuantityOut
    received: QuantityOut
    cancelled: QuantityOut
    outstanding: QuantityOut
    cost: Sum | None = Field(default=None, exclude_if=lambda value: value is None)


class PurchaseOut(CamelModel):
    id: UUID
    supplier_id: UUID
    location_id: UUID
    status: OrderStatus
    currency: str
    reference: str | None
    expected_at: datetime | None
    lines: list[PurchaseLineOut]
    total: Sum | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="What was ordered costs; management's alone",
    )
    created_by: str
    created_at: datetime
    ordered_at: datetime | None

    @classmethod
    def of(cls, order: PurchaseReply, *, with_costs: bool) -> PurchaseOut:
        terms, currency = order.terms, order.terms.currency
        total = sum(line.total_minor for line in order.lines)
        return cls(
            id=order.purchase_id,
            supplier_id=terms.supplier_id,
            location_id=terms.location_id,
            status=OrderStatus.of(order),
            currency=currency,
            reference=terms.reference,
            expected_at=_moment(terms.expected_at_ms),
            lines=[
                PurchaseLineOut(
                    product_id=line.item_id,
                    quantity=from_steps(line.quantity, line.decimals),
                    received=from_steps(line.received, line.decimals),
                    cancelled=from_steps(line.cancelled, line.decimals),
                    outstanding=from_steps(line.outstanding, line.decimals),
                    cost=from_minor(line.cost_minor, currency) if with_costs else None,
                )
                for line in order.lines
            ],
            total=from_minor(total, currency) if with_costs else None,
            created_by=order.created_by,
            created_at=_moment(order.created_at_ms),
            ordered_at=_moment(order.ordered_at_ms),
        )


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else moments.of_ms(ms)
