"""Businesses themselves: the table and its queries. A business is a tenant; its own row is walled
by its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    String,
    Table,
    Uuid,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from core.cash import NO_ROUNDING, cash_step_minor
from store.business.locations import UTC_ZONE, add_main
from store.business.taxes import Rate, rates_at
from store.kit.schema import APP_ROLE, USER, address_columns, metadata, moment, of_tenant

DEFAULT_PLAN = "free"

# People choose among the businesses that they work for before they act for one.
_MINE = f"""FOR SELECT TO {APP_ROLE} USING (
  EXISTS (SELECT FROM memberships m WHERE m.tenant_id = businesses.id AND m.user_id = {USER}))"""  # noqa: S608 - our own names

businesses = Table(
    "businesses",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("legal_name", String(255)),
    *address_columns(),
    Column("email", String(254)),
    Column("phone", String(32)),
    Column("website", String(2048)),
    Column("currency", CHAR(3), nullable=False, server_default="USD"),
    Column("plan", String(40), nullable=False, server_default=DEFAULT_PLAN),
    Column("prices_include_tax", Boolean, nullable=False, server_default=text("false")),
    Column(
        "cash_rounding_minor",
        BigInteger,
        comment="What cash is rounded to multiples of; 0: not at all; null: as is usual",
    ),
    Column("settings", JSONB, nullable=False, server_default="{}"),
    Column("version", Integer, nullable=False, server_default="1"),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    moment("deleted_at", nullable=True),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    info=of_tenant(app="SELECT, INSERT, UPDATE", host="SELECT", key="id", further={"own": _MINE}),
)


@dataclass(frozen=True, slots=True)
class Business:
    """What a business says about itself. `currency` is the ISO 4217 code of its prices."""

    id: UUID
    name: str
    legal_name: str | None
    street: str | None
    city: str | None
    state: str | None
    zip: str | None
    country: str | None
    email: str | None
    phone: str | None
    website: str | None
    currency: str
    plan: str
    prices_include_tax: bool
    cash_rounding_minor: int | None
    settings: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


_FIELDS = tuple(businesses.c[field.name] for field in fields(Business))


@dataclass(frozen=True, slots=True)
class TillTerms:
    """What a till at one location goes by. `rates` holds a rate for each tax class that has one
    at that moment; goods without a class are of `default_tax_class_id`. Amounts in cash are
    multiples of `cash_step_minor` in the shifts that are opened now."""

    business_name: str
    location_name: str
    currency: str
    time_zone: str
    prices_include_tax: bool
    receipt_header: str
    receipt_footer: str
    default_tax_class_id: UUID | None
    rates: Mapping[UUID, Rate]
    cash_step_minor: int = NO_ROUNDING

    def rate(self, tax_class_id: UUID | None) -> Rate | None:
        """The rate of an item's class; None if such goods are not taxed here."""
        known = tax_class_id or self.default_tax_class_id
        return None if known is None else self.rates.get(known)


async def open_business(
    tx: AsyncConnection, tenant_id: UUID, name: str, currency: str, time_zone: str = UTC_ZONE
) -> None:
    """A business on the default plan, and its main location. The scope must be the new tenant."""
    await tx.execute(insert(businesses).values(id=tenant_id, name=name, currency=currency))
    await add_main(tx, tenant_id, currency, time_zone)


async def lock_business(
    tx: AsyncConnection, tenant_id: UUID, *, shared: bool = False
) -> Business | None:
    """The tenant's business, unless it is deleted; nobody else changes it, its people or its
    master data until `tx` ends. With `shared` it merely stays as it is, for any number at once:
    a transaction that holds it so must not lock it otherwise, for two would wait for each other."""
    query = (
        select(*_FIELDS)
        .where(businesses.c.id == tenant_id, businesses.c.deleted_at.is_(None))
        .with_for_update(read=shared, key_share=not shared)
    )
    row = (await tx.execute(query)).mappings().first()
    return Business(**row) if row else None


async def get(tx: AsyncConnection, tenant_id: UUID) -> Business | None:
    """The tenant's business, unless it is deleted."""
    query = select(*_FIELDS).where(businesses.c.id == tenant_id, businesses.c.deleted_at.is_(None))
    row = (await tx.execute(query)).mappings().first()
    return Business(**row) if row else None


async def change(tx: AsyncConnection, tenant_id: UUID, values: Mapping[str, Any]) -> Business:
    """Writes `values` and counts the version up."""
    statement = (
        update(businesses)
        .where(businesses.c.id == tenant_id)
        .values(**values, version=businesses.c.version + 1, updated_at=func.statement_timestamp())
        .returning(*_FIELDS)
    )
    return Business(**(await tx.execute(statement)).mappings().one())


async def has_goods(tx: AsyncConnection, tenant_id: UUID) -> bool:
    """Whether the business has, or ever had, a product: then money has been put into figures."""
    query = text("SELECT EXISTS (SELECT FROM products WHERE tenant_id = :tenant)")
    return bool((await tx.execute(query, {"tenant": tenant_id})).scalar_one())


async def business_currency(tx: AsyncConnection, tenant_id: UUID) -> str | None:
    """ISO 4217 code of the tenant's prices; None if the scope does not show the tenant, or it is
    deleted."""
    query = select(businesses.c.currency).where(
        businesses.c.id == tenant_id, businesses.c.deleted_at.is_(None)
    )
    return (await tx.execute(query)).scalar_one_or_none()


# The class of goods that name none is null if the business has said nothing.
_TILL_TERMS = """
SELECT b.name AS business_name, l.name AS location_name, l.currency, l.time_zone,
  b.prices_include_tax, l.receipt_header, l.receipt_footer,
  (SELECT id FROM tax_classes WHERE is_default AND deleted_at IS NULL) AS default_tax_class_id,
  b.cash_rounding_minor, b.currency AS own_currency
FROM locations l JOIN businesses b ON b.id = l.tenant_id
WHERE l.id = $1 AND l.deleted_at IS NULL"""


async def till_terms(lookup: asyncpg.Connection, location_id: UUID) -> TillTerms | None:
    """What holds at one of the tenant's locations now; None if the tenant has no such location,
    or has deleted it."""
    row = await lookup.fetchrow(_TILL_TERMS, location_id)
    if row is None:
        return None
    terms = dict(row)
    step = cash_step_minor(
        terms["currency"], terms.pop("cash_rounding_minor"), terms.pop("own_currency")
    )
    rates = await rates_at(lookup, location_id)
    return TillTerms(**terms, rates=rates, cash_step_minor=step)
