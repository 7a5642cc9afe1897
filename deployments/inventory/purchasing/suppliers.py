"""Of whom a business buys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import EmailStr, Field, StringConstraints

from core.errors import FieldError, ValidationFailed
from core.money import check_in_use
from deployments.inventory.access import BUYERS
from deployments.inventory.events import SUPPLIER
from deployments.kit.record_routes import About, record_routes
from deployments.kit.records import Kind, Writing
from gateway.access import require
from gateway.changes import Changes
from gateway.fields import Currency, Name, NewRecord, absent
from gateway.schemas import CamelModel, DeletedAt
from store.inventory import suppliers as stored
from store.inventory.suppliers import Supplier

LeadTime = Annotated[int, Field(ge=0, le=3_650, description="From order to delivery, in days")]


class _Fields(CamelModel):
    contact_name: Name | None = None
    email: EmailStr | None = Field(default=None, max_length=254)
    phone: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = None
    lead_time_days: LeadTime = absent()
    currency: Currency = absent("What it takes; by default the business' own")
    notes: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class NewSupplier(_Fields, NewRecord):
    name: Name = Field(description="Unique in the business, whatever its case")


class SupplierChanges(_Fields, Changes):
    name: Name = absent()


class SupplierOut(CamelModel):
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
    deleted_at: DeletedAt = None


async def _check(writing: Writing[Supplier]) -> None:
    tx, values, before = writing.tx, writing.values, writing.before
    if before is None:
        values.setdefault("lead_time_days", 0)
        if "currency" not in values:
            values["currency"] = writing.business.currency
        check_in_use(values["currency"])
    elif values.get("currency", before.currency) != before.currency:
        check_in_use(values["currency"])
        if await stored.has_costs(tx, before.id):
            message = "cannot change while it has costs in the old one"
            raise ValidationFailed([FieldError("currency", message)])


router = record_routes(
    Kind(
        noun="supplier",
        path="/suppliers",
        events=SUPPLIER,
        rows=stored.rows,
        out=lambda supplier, _: SupplierOut.shown(supplier),
        # How a person is reached is not for the log.
        audited=("name", "lead_time_days", "currency", "notes"),
        check=_check,
    ),
    read=require(BUYERS),
    write=require(BUYERS),
    new=NewSupplier,
    changes=SupplierChanges,
    out=SupplierOut,
    about=About(
        list="Your suppliers, by name.",
        get="One supplier.",
        create="Adds a supplier of your business.",
        delete="Nothing new can be ordered of it; what is under way stays.",
    ),
)
