"""Tax classes and their rates: the tables and their queries, behind the wall.

A class says what kind of goods something is; a rate says what such goods are taxed with from a
moment on, everywhere or at one location. Rates are parts per million: 20 % is 200,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.paging import falling, rising
from store.kit.schema import exempt, live_id, metadata, moment, of_tenant
from store.kit.versioned import Rows

MAX_CLASSES = 100
MAX_RATES = 5_000
LIVE = text("deleted_at IS NULL")

tax_classes = Table(
    "tax_classes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    Column("version", Integer, nullable=False, server_default="1"),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    moment("deleted_at", nullable=True),
    live_id(),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("name <> ''", name="named"),
    Index(
        "uq_tax_classes_name", "tenant_id", text("lower(name)"), unique=True, postgresql_where=LIVE
    ),
    Index(
        "uq_tax_classes_default",
        "tenant_id",
        unique=True,
        postgresql_where=text("is_default AND deleted_at IS NULL"),
    ),
    Index("ix_tax_classes_oldest", "tenant_id", "created_at", "id", postgresql_where=LIVE),
    Index("ix_tax_classes_changed", "tenant_id", "updated_at", "id"),
    info=of_tenant(app="SELECT, INSERT, UPDATE"),
)

tax_rates = Table(
    "tax_rates",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("tax_class_id", Uuid, nullable=False),
    Column(
        "location_id",
        Uuid,
        comment="Null: wherever no rate of the location's own holds",
        info=exempt(no_use="where a location is gone its rate is asked for by nobody"),
    ),
    Column("name", String(100), nullable=False),
    Column("rate_ppm", Integer, nullable=False),
    moment("valid_from"),
    Column("version", Integer, nullable=False, server_default="1"),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    moment("deleted_at", nullable=True),
    # With the tenant in the key, no rate can hang on another business's class or location.
    ForeignKeyConstraint(
        ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
    ),
    ForeignKeyConstraint(["tenant_id", "location_id"], ["locations.tenant_id", "locations.id"]),
    CheckConstraint("rate_ppm BETWEEN 0 AND 10000000", name="rate_bounded"),
    CheckConstraint("name <> ''", name="named"),
    Index(
        "uq_tax_rates_moment",
        "tenant_id",
        "tax_class_id",
        "location_id",
        "valid_from",
        unique=True,
        postgresql_where=LIVE,
        postgresql_nulls_not_distinct=True,
    ),
    Index(
        "ix_tax_rates_newest",
        "tenant_id",
        "tax_class_id",
        "valid_from",
        "id",
        postgresql_where=LIVE,
    ),
    Index("ix_tax_rates_changed", "tenant_id", "updated_at", "id"),
    info=of_tenant(app="SELECT, INSERT, UPDATE"),
)


class Rate(NamedTuple):
    """What goods of a class are taxed with: `rate_ppm` 200,000 is 20 %."""

    name: str
    rate_ppm: int


@dataclass(frozen=True, slots=True)
class TaxClass:
    """`is_default`: goods that name no class are of this one."""

    id: UUID
    name: str
    is_default: bool
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaxRate:
    """`location_id` None: it holds wherever no rate of the location's own does."""

    id: UUID
    tax_class_id: UUID
    location_id: UUID | None
    name: str
    rate_ppm: int
    valid_from: datetime
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


classes = Rows(
    tax_classes,
    TaxClass,
    order=rising(tax_classes.c.created_at, tax_classes.c.id),
    unique={"uq_tax_classes_name": "name", "uq_tax_classes_default": "isDefault"},
)
rates = Rows(
    tax_rates,
    TaxRate,
    order=falling(tax_rates.c.tax_class_id, tax_rates.c.valid_from, tax_rates.c.id),
    unique={"uq_tax_rates_moment": "validFrom"},
)


IS_DEFAULT: ColumnElement[bool] = tax_classes.c.is_default.is_(True)


def of_class(tax_class_id: UUID) -> ColumnElement[bool]:
    """What narrows a list of rates to one class."""
    return tax_rates.c.tax_class_id == tax_class_id


async def live_names(tx: AsyncConnection) -> dict[UUID, str]:
    """The names of the tenant's classes by id."""
    query = select(tax_classes.c.id, tax_classes.c.name).where(tax_classes.c.deleted_at.is_(None))
    return {row.id: row.name for row in await tx.execute(query.limit(MAX_CLASSES))}


async def names(tx: AsyncConnection, class_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """The names of classes by id, of deleted ones too."""
    query = select(tax_classes.c.id, tax_classes.c.name).where(
        tax_classes.c.id.in_(list(class_ids))
    )
    return {row.id: row.name for row in await tx.execute(query)}


_RATES = """
SELECT DISTINCT ON (tax_class_id) tax_class_id, name, rate_ppm FROM tax_rates
WHERE deleted_at IS NULL AND valid_from <= coalesce($2, now())
  AND (location_id IS NULL OR location_id = $1)
ORDER BY tax_class_id, location_id IS NULL, valid_from DESC"""

_USES = text("""
SELECT 'products' WHERE EXISTS (SELECT FROM products WHERE used_tax_class_id = :id)
UNION ALL
SELECT 'variants' WHERE EXISTS (SELECT FROM product_variants WHERE used_tax_class_id = :id)""")


async def uses_of(tx: AsyncConnection, tax_class_id: UUID) -> list[str]:
    """What keeps a class of the tenant's from being deleted: products, variants or both."""
    return list((await tx.execute(_USES, {"id": tax_class_id})).scalars())


async def rates_at(
    lookup: asyncpg.Connection, location_id: UUID, at: datetime | None = None
) -> dict[UUID, Rate]:
    """Tax class to the rate that holds at a location at a moment (now, by default). A rate of
    the location's own beats one that holds everywhere; among equals the newest counts."""
    rows = await lookup.fetch(_RATES, location_id, at)
    return {class_id: Rate(name, rate_ppm) for class_id, name, rate_ppm in rows}
