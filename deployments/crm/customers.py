"""Customers: made and found at the till, kept by the business."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from core.errors import FieldError, Forbidden, NotFound, ValidationFailed
from core.paging import Part, Span
from core.principal import MANAGEMENT, STAFF, Principal, Role
from core.words import folded
from deployments.crm.events import CUSTOMER
from deployments.kit.record_routes import About, record_routes
from deployments.kit.records import Kind, Writing
from gateway.access import require
from gateway.changes import Changes, Emptied
from gateway.fields import (
    Email,
    Name,
    NewRecord,
    Phone,
    absent,
    name_of,
    no_blank_ends,
    visible,
)
from gateway.schemas import CamelModel, DeletedAt, SyncQuery
from store.crm import customers as stored
from store.crm import groups, terms
from store.crm.customers import Customer
from store.kit.engine import Transaction

EDITORS = MANAGEMENT | {Role.STAFF, Role.SERVICE}
MAX_TAGS = MAX_METADATA = 50
# What a cashier has to type before anybody is found, and how many are shown.
MIN_TYPED, MAX_FOUND = 3, 20

Typed = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Tag = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50, pattern=r"^\S(.*\S)?$"),
    BeforeValidator(no_blank_ends),
    AfterValidator(name_of(50)),
]
ExternalId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"^\S(.*\S)?$"),
    BeforeValidator(no_blank_ends),
    AfterValidator(visible),
]
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=40)]
MetadataValue = Annotated[str, StringConstraints(max_length=500)]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]
MetadataPart = Annotated[
    dict[MetadataName, MetadataValue | None],
    Field(max_length=MAX_METADATA, description="What your own programs note of it; null for none"),
]
PhoneNumber = Annotated[Phone, AfterValidator(terms.normalized)]


class TaxExemption(CamelModel):
    """Why a customer pays no tax, and until when."""

    reason: Annotated[str, StringConstraints(max_length=255)] | None = None
    certificate_number: Annotated[str, StringConstraints(max_length=100)] | None = None
    valid_until: date | None = Field(
        default=None, description="The last day, where it is sold; without one it does not end"
    )


class _Fields(CamelModel):
    name: Name | None = None
    email: Email | None = Field(default=None, description="Several customers may have one")
    phone: PhoneNumber | None = Field(
        default=None,
        description="With its country's code it becomes E.164, or else its digits alone. Several"
        " customers may have one",
    )
    group_id: UUID | None = None
    tax_exemption: TaxExemption | None = Field(
        default=None, description="Present: pays no tax. A change replaces what it gives of it"
    )
    notes: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    external_id: ExternalId | None = Field(
        default=None, description="Your own name for it, unique in the business"
    )


class NewCustomer(_Fields, NewRecord):
    """A customer, by a name, an email or a phone at least."""

    tags: Tags = absent()
    metadata: Annotated[dict[MetadataName, MetadataValue], Field(max_length=MAX_METADATA)] = absent(
        "What your own programs note of it"
    )


class CustomerChanges(_Fields, Changes):
    """What is left out stays, and null clears."""

    tags: Annotated[Tags | None, Emptied([])] = None
    metadata: Annotated[MetadataPart | None, Emptied({})] = None


class CustomerOut(CamelModel):
    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    group_id: UUID | None
    tax_exemption: TaxExemption | None
    notes: str | None
    external_id: str | None
    tags: list[str]
    metadata: dict[str, str]
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt = None

    @classmethod
    def of(cls, customer: Customer, _: UUID) -> CustomerOut:
        return cls.shown(
            customer,
            tax_exemption=exemption_of(customer),
            tags=list(customer.tags),
            metadata=dict(customer.metadata),
        )


class CustomerQuery(SyncQuery):
    """`q`: words of the name as they begin, an e-mail address, or the end of a phone number in
    whatever spelling. A cashier has to give it, and is shown twenty at most."""

    q: Typed | None = None
    group_id: UUID | None = None
    external_id: ExternalId | None = None

    @field_validator("q")
    @classmethod
    def _follows_all(cls, typed: str | None, info: ValidationInfo) -> str | None:
        if typed is not None and info.data.get("updated_since") is not None:
            raise ValueError("does not go with `updatedSince`")
        return typed


def exemption_of(customer: Customer | stored.Buyer) -> TaxExemption | None:
    if not customer.tax_exempt:
        return None
    return TaxExemption(
        reason=customer.tax_exempt_reason,
        certificate_number=customer.tax_exempt_certificate,
        valid_until=customer.tax_exempt_until,
    )


async def _check(writing: Writing[Customer]) -> None:
    values, before = writing.values, writing.before
    if "tax_exemption" in values:
        values |= _exempt_columns(values.pop("tax_exemption"))
    if len(values.get("metadata", ())) > MAX_METADATA:
        message = f"must have at most {MAX_METADATA} names together"
        raise ValidationFailed([FieldError("metadata", message)])
    if before is None:
        values |= {"tax_exempt": False, "tags": [], "metadata": {}} | values
    reached = {name: values.get(name, getattr(before, name, None)) for name in _REACHED}
    if not any(reached.values()):
        raise ValidationFailed([FieldError("name", "or an email or a phone has to be there")])
    values["sort_name"] = folded(next(filter(None, reached.values())))[:255]
    group_id = values.get("group_id")
    if group_id is not None and await groups.rows.get(writing.tx, group_id) is None:
        named = FieldError("groupId", "is no group of customers here")
        raise NotFound("There is no such group of customers here.", errors=[named])


_REACHED = ("name", "email", "phone")


def _exempt_columns(given: TaxExemption | None) -> dict[str, Any]:
    """The columns to write of an exemption: what it leaves out stays, None ends it."""
    if given is None:
        names = ("reason", "certificate", "until")
        return {"tax_exempt": False} | {f"tax_exempt_{name}": None for name in names}
    columns = {
        "reason": "tax_exempt_reason",
        "certificate_number": "tax_exempt_certificate",
        "valid_until": "tax_exempt_until",
    }
    said = {columns[name]: getattr(given, name) for name in given.model_fields_set}
    return {"tax_exempt": True, **said}


async def _listed(tx: Transaction, principal: Principal, query: CustomerQuery) -> Part[Customer]:
    """Raises Forbidden for a cashier who would list customers rather than find one."""
    span, typed = query.span, (query.q or "").strip()
    if principal.role is Role.CASHIER:
        if len(typed) < MIN_TYPED or query.cursor is not None or query.page > 1:
            raise Forbidden(
                f"A cashier finds customers by `q`, of {MIN_TYPED} characters or more, and sees"
                " one page."
            )
        span = Span(1, min(span.limit, MAX_FOUND), since=span.since)
    c = stored.customers.c
    compared = ((c.group_id, query.group_id), (c.external_id, query.external_id))
    conditions = [column == value for column, value in compared if value is not None]
    if span.since is not None:
        return await stored.rows.part(tx, span, *conditions)
    wanted = terms.wanted(typed)
    if typed and not wanted:  # no letter and no number: nobody
        return Part([], 1, span.limit, 0, True, None)
    found = await stored.found(tx, wanted, span, *conditions)
    if principal.role is Role.CASHIER:
        found = Part(found.items, 1, span.limit, len(found.items), True, None)
    return found


CUSTOMERS = Kind(
    noun="customer",
    path="/customers",
    events=CUSTOMER,
    rows=stored.rows,
    out=CustomerOut.of,
    # Who it is and how they are reached is not for the log.
    audited=("group_id", "tax_exempt", "tax_exempt_certificate", "tax_exempt_until", "external_id"),
    check=_check,
    refusals=(NotFound,),
)
router = record_routes(
    CUSTOMERS,
    read=require(STAFF),
    write=require(EDITORS),
    create=require(STAFF),
    new=NewCustomer,
    changes=CustomerChanges,
    out=CustomerOut,
    query=CustomerQuery,
    listed=_listed,
    about=About(
        list="Customers by name, or those that `q` finds. Two with one phone number are both"
        " found.",
        create="Anybody at a till may. Nothing keeps two from having one address or number: they"
        " are found together.",
        delete="Nothing more is sold to it; sales that name it stay.",
    ),
)
