"""Where a business is: its locations, the table and its queries, behind the wall.

A business's first location is made with it and has its id: it is meant where none is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType
from uuid import UUID

from sqlalchemy import (
    CHAR,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.paging import rising
from store.kit.schema import address_columns, live_id, metadata, moment, of_tenant
from store.kit.versioned import Rows

MAX_LOCATIONS = 500
MAIN_NAME = "Main"
UTC_ZONE = "UTC"

LIVE = text("deleted_at IS NULL")

locations = Table(
    "locations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("name", String(255), nullable=False),
    *address_columns(),
    Column("phone", String(32)),
    Column("time_zone", String(64), nullable=False, comment="IANA"),
    Column("currency", CHAR(3), nullable=False),
    Column("receipt_header", Text, nullable=False, server_default=""),
    Column("receipt_footer", Text, nullable=False, server_default=""),
    Column("opening_hours", JSONB, nullable=False, server_default="{}"),
    Column("version", Integer, nullable=False, server_default="1"),
    moment("created_at", server_default=func.now()),
    moment("updated_at", server_default=func.now()),
    moment("deleted_at", nullable=True),
    live_id(),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("name <> ''", name="named"),
    CheckConstraint(
        "char_length(receipt_header) <= 1000 AND char_length(receipt_footer) <= 1000",
        name="receipt_bounded",
    ),
    CheckConstraint("id <> tenant_id OR deleted_at IS NULL", name="main_stays"),
    Index(
        "uq_locations_name", "tenant_id", text("lower(name)"), unique=True, postgresql_where=LIVE
    ),
    Index("ix_locations_oldest", "tenant_id", "created_at", "id", postgresql_where=LIVE),
    Index("ix_locations_changed", "tenant_id", "updated_at", "id"),
    info=of_tenant(app="SELECT, INSERT, UPDATE"),
)


async def add_main(tx: AsyncConnection, tenant_id: UUID, currency: str, time_zone: str) -> None:
    """The location that a new business has."""
    await tx.execute(
        insert(locations).values(
            id=tenant_id,
            tenant_id=tenant_id,
            name=MAIN_NAME,
            currency=currency,
            time_zone=time_zone,
        )
    )


# What in some tables keeps a location from being deleted: a query by `:id` of one column `use`, in
# which null says nothing. The tables' columns `used_location_id` say the same to the database,
# which refuses whatever slips in after this was asked.
LocationUses = NewType("LocationUses", str)


async def uses_of(
    tx: AsyncConnection, location_id: UUID, declared: Iterable[LocationUses]
) -> list[str]:
    """What keeps a location of the tenant's from being deleted, by all that is `declared`."""
    queries = " UNION ".join(declared)
    query = text(f"SELECT use FROM ({queries}) AS uses WHERE use IS NOT NULL ORDER BY use")  # noqa: S608
    return list((await tx.execute(query, {"id": location_id})).scalars())


async def live_ids(tx: AsyncConnection) -> frozenset[UUID]:
    """Ids of the tenant's locations that are not deleted."""
    query = select(locations.c.id).where(locations.c.deleted_at.is_(None)).limit(MAX_LOCATIONS)
    return frozenset((await tx.execute(query)).scalars())


@dataclass(frozen=True, slots=True)
class Location:
    """`opening_hours` is as `deployments.business.hours` writes it."""

    id: UUID
    name: str
    street: str | None
    city: str | None
    state: str | None
    zip: str | None
    country: str | None
    phone: str | None
    time_zone: str
    currency: str
    receipt_header: str
    receipt_footer: str
    opening_hours: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


rows = Rows(
    locations,
    Location,
    order=rising(locations.c.created_at, locations.c.id),
    unique={"uq_locations_name": "name"},
)
