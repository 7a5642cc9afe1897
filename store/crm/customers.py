"""Customers, behind the wall, and what they are found by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.crm.terms import MAX_TERM, Term, terms_of
from store.kit.paging import page, rising
from store.kit.schema import exempt, metadata, moment, of_tenant, used
from store.kit.versioned import Rows

_LIVE = text("deleted_at IS NULL")
# A term that more customers have is looked for along the list instead.
_FEW = 1_000

customers = Table(
    "customers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("name", String(255)),
    Column("sort_name", String(255), nullable=False, comment="What the list is sorted by"),
    Column("email", String(254)),
    Column("phone", String(32), comment="In E.164, or a national number's digits"),
    Column("group_id", Uuid),
    Column("tax_exempt", Boolean, nullable=False),
    Column("tax_exempt_reason", String(255)),
    Column("tax_exempt_certificate", String(100)),
    Column("tax_exempt_until", Date, comment="The last day"),
    Column("notes", Text, info=exempt(no_bound="bounded by its body")),
    Column("external_id", String(255)),
    Column("tags", ARRAY(String(50)), nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("version", Integer, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at", nullable=True),
    *used("used_group_id", "deleted_at IS NULL", "customer_groups", "group_id"),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("num_nonnulls(name, email, phone) > 0 OR deleted_at IS NOT NULL", name="named"),
    Index("ix_customers_sorted", "tenant_id", "sort_name", "id", postgresql_where=_LIVE),
    Index(
        "uq_customers_external_id",
        "tenant_id",
        "external_id",
        unique=True,
        postgresql_where=_LIVE,
    ),
    Index("ix_customers_changed", "tenant_id", "updated_at", "id"),
    info=of_tenant(app="SELECT, INSERT, UPDATE", host=""),
)

customer_terms = Table(
    "customer_terms",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("term", String(MAX_TERM, collation="C"), primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
    Index("ix_customer_terms_customer_id", "customer_id"),
    comment="What customers are found by: see store.crm.terms",
    info=of_tenant(app="SELECT, INSERT, DELETE", host=""),
)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as it is stored."""

    id: UUID
    name: str | None
    sort_name: str
    email: str | None
    phone: str | None
    group_id: UUID | None
    tax_exempt: bool
    tax_exempt_reason: str | None
    tax_exempt_certificate: str | None
    tax_exempt_until: date | None
    notes: str | None
    external_id: str | None
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class _Customers(Rows[Customer]):
    """Writes what customers are found by along with them."""

    async def add(self, tx: AsyncConnection, values: Mapping[str, Any]) -> Customer:
        made = await super().add(tx, values)
        await _put_terms(tx, values["tenant_id"], made)
        return made

    async def change(
        self, tx: AsyncConnection, row_id: UUID, values: Mapping[str, Any]
    ) -> Customer:
        changed = await super().change(tx, row_id, values)
        if values.keys() & {"name", "email", "phone", "deleted_at"}:
            mine = customer_terms.c.customer_id == row_id
            gone = delete(customer_terms).where(mine).returning(customer_terms.c.tenant_id)
            tenants = (await tx.execute(gone)).scalars().all()
            if "deleted_at" not in values:
                await _put_terms(tx, tenants[0], changed)
        return changed


async def _put_terms(tx: AsyncConnection, tenant_id: UUID, customer: Customer) -> None:
    terms = terms_of(customer.name, customer.email, customer.phone)
    row = {"tenant_id": tenant_id, "customer_id": customer.id}
    await tx.execute(insert(customer_terms), [{**row, "term": term} for term in sorted(terms)])


rows = _Customers(
    customers,
    Customer,
    order=rising(customers.c.sort_name, customers.c.id),
    unique={"uq_customers_external_id": "externalId"},
)


async def found(
    tx: AsyncConnection, wanted: Sequence[Term], span: Span, *conditions: ColumnElement[bool]
) -> Part[Customer]:
    """Customers that have all of these terms, by name. The rarest term leads to them; where each is
    common, the list is walked."""
    among, also = None, [_has(term) for term in wanted]
    for place, term in enumerate(wanted):
        ids = select(customer_terms.c.customer_id).where(_is(term)).limit(_FEW + 1).subquery()
        count = await tx.scalar(select(func.count()).select_from(ids))
        if (count or 0) <= _FEW:
            among = customers.c.id.in_(select(customer_terms.c.customer_id).where(_is(term)))
            del also[place]
            break
    query = rows.query.where(*conditions)
    if among is not None:
        part = await page(tx, query.where(among, *also), rows.order, span)
    else:
        part = await page(tx, query, rows.order, span, also=also)
    return part.map(rows.shaped)


def _is(term: Term) -> ColumnElement[bool]:
    column = customer_terms.c.term
    # By bytes, the order of the column: no character sorts behind the last one.
    begins = and_(column >= term.beginning, column < term.beginning + "\U0010ffff")
    return or_(begins, column.in_(term.whole)) if term.whole else begins


def _has(term: Term) -> ColumnElement[bool]:
    """Asked of each customer that is walked by. As EXISTS it would become a join, for which all who
    have the term would be gathered first: with a limit it is none."""
    own = select(true()).where(customer_terms.c.customer_id == customers.c.id, _is(term))
    return own.limit(1).scalar_subquery().is_(True)


class Buyer(NamedTuple):
    """What a till needs to know of a customer. The exemption holds through its last day."""

    id: UUID
    tax_exempt: bool
    tax_exempt_reason: str | None
    tax_exempt_certificate: str | None
    tax_exempt_until: date | None


_BUYER = f"SELECT {', '.join(Buyer._fields)} FROM customers WHERE id = ANY($1::uuid[])"  # noqa: S608


async def buyers(
    lookup: asyncpg.Connection, ids: Iterable[UUID], *, deleted: bool = False
) -> dict[UUID, Buyer]:
    """Those of the tenant's customers that there are, by id; with `deleted` also those that were
    deleted since."""
    query = _BUYER if deleted else f"{_BUYER} AND deleted_at IS NULL"
    return {row["id"]: Buyer(*row) for row in await lookup.fetch(query, list(ids))}
