"""Bodies, queries and answers about suppliers and purchase orders."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, EmailStr, Field, StringConstraints, field_validator

from actors.purchasing.model import MAX_LINES, PurchaseReply, PurchaseStatus
from actors.stock.model import MAX_QUANTITY
from core import moments
from core.money import from_minor
from deployments.inventory.stock.schemas import Reference
from gateway.schemas import Amount, CamelModel, Moment, PageQuery
from store.inventory.purchasing import MAX_SUPPLIED_ITEMS, SuppliedItem, Supplier

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
LeadTime = Annotated[int, Field(ge=0, le=3_650, description="From order to delivery, in days")]
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"\S"),
    AfterValidator(str.strip),
]


class _SupplierFields(CamelModel):
    contact_name: Line | None = None
    email: EmailStr | None = Field(default=None, max_length=254)
    phone: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = None
    lead_time_days: LeadTime = Field(default_factory=int)
    currency: Currency = Field(
        default_factory=str, description="What it takes; by default the business' own"
    )
    notes: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class NewSupplier(_SupplierFields):
    name: Line = Field(description="Unique in the business, whatever its case")


class SupplierChanges(_SupplierFields):
    """What to replace; what is left out stays."""

    name: Line = Field(default_factory=str)
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class SupplierView(CamelModel):
    id: UUID
    name: str
    contact_name: str | None
    email: str | None
    phone: str | None
    lead_time_days: int
    currency: str
    notes: str | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, supplier: Supplier) -> SupplierView:
        return cls(**{name: getattr(supplier, name) for name in cls.model_fields})


class SuppliedItemBody(CamelModel):
    """What a supplier calls an item, and takes for one, in its currency."""

    item_id: UUID
    supplier_sku: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    cost: Amount | None = None
    lead_time_days: LeadTime | None = Field(default=None, description="If not the supplier's own")

    @classmethod
    def of(cls, item: SuppliedItem, currency: str) -> SuppliedItemBody:
        cost = None if item.cost_minor is None else from_minor(item.cost_minor, currency)
        return cls(
            item_id=item.item_id,
            supplier_sku=item.supplier_sku,
            cost=cost,
            lead_time_days=item.lead_time_days,
        )


class SuppliedItems(CamelModel):
    """All that the supplier sells, in place of what was there."""

    items: list[SuppliedItemBody] = Field(max_length=MAX_SUPPLIED_ITEMS)

    @field_validator("items")
    @classmethod
    def _each_once(cls, value: list[SuppliedItemBody]) -> list[SuppliedItemBody]:
        if len({item.item_id for item in value}) < len(value):
            raise ValueError("must name each item once")
        return value


class PurchaseLineBody(CamelModel):
    item_id: UUID
    quantity: Quantity
    cost: Amount | None = Field(
        default=None, description="Of one; by default what the supplier takes, or else 0"
    )


class PurchaseBody(CamelModel):
    """What to order of whom, for which location."""

    supplier_id: UUID
    location_id: UUID | None = Field(default=None, description="By default the main location")
    lines: list[PurchaseLineBody] = Field(min_length=1, max_length=MAX_LINES)
    reference: Reference = None
    expected_at: Moment | None = Field(
        default=None, description="By default the lead time from now"
    )

    @field_validator("lines")
    @classmethod
    def _each_once(cls, value: list[PurchaseLineBody]) -> list[PurchaseLineBody]:
        if len({line.item_id for line in value}) < len(value):
            raise ValueError("must name each item once")
        return value


class DeliveredBody(CamelModel):
    item_id: UUID
    quantity: Quantity


class ReceiptBody(CamelModel):
    """What came. Without `lines`, all that was outstanding."""

    lines: list[DeliveredBody] | None = Field(default=None, min_length=1, max_length=MAX_LINES)
    allow_excess: bool = Field(default=False, description="Take more than was ordered, too")

    @field_validator("lines")
    @classmethod
    def _each_once(cls, value: list[DeliveredBody] | None) -> list[DeliveredBody] | None:
        if value is not None and len({line.item_id for line in value}) < len(value):
            raise ValueError("must name each item once")
        return value


class PurchaseQuery(PageQuery):
    status: PurchaseStatus | None = None
    supplier_id: UUID | None = None
    item_id: UUID | None = None


class PurchaseLineView(CamelModel):
    """`outstanding` is what is still to come. `cost`, of one, is management's alone."""

    item_id: UUID
    quantity: int
    received: int
    cancelled: int
    outstanding: int
    cost: Amount | None = Field(default=None, exclude_if=lambda value: value is None)


class PurchaseView(CamelModel):
    id: UUID
    supplier_id: UUID
    location_id: UUID
    status: PurchaseStatus
    currency: str
    reference: str | None
    expected_at: datetime | None
    lines: list[PurchaseLineView]
    total: Amount | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="What was ordered costs; management's alone",
    )
    created_by: str
    created_at: datetime
    ordered_at: datetime | None

    @classmethod
    def of(cls, order: PurchaseReply, *, with_costs: bool) -> PurchaseView:
        terms, currency = order.terms, order.terms.currency
        total = sum(line.cost_minor * line.quantity for line in order.lines)
        return cls(
            id=order.purchase_id,
            supplier_id=terms.supplier_id,
            location_id=terms.location_id,
            status=order.status,
            currency=currency,
            reference=terms.reference,
            expected_at=_moment(terms.expected_at_ms),
            lines=[
                PurchaseLineView(
                    item_id=line.item_id,
                    quantity=line.quantity,
                    received=line.received,
                    cancelled=line.cancelled,
                    outstanding=line.outstanding,
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
