"""Groups of customers, behind the wall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Uuid, text

from store.kit.paging import rising
from store.kit.schema import live_id, metadata, moment, of_tenant
from store.kit.versioned import Rows

MAX_GROUPS = 1_000
_LIVE = text("deleted_at IS NULL")

customer_groups = Table(
    "customer_groups",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at", nullable=True),
    live_id(),
    Index(
        "uq_customer_groups_name",
        "tenant_id",
        text("lower(name)"),
        unique=True,
        postgresql_where=_LIVE,
    ),
    Index("ix_customer_groups_oldest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
    Index("ix_customer_groups_changed", "tenant_id", "updated_at", "id"),
    info=of_tenant(app="SELECT, INSERT, UPDATE", host=""),
)


@dataclass(frozen=True, slots=True)
class CustomerGroup:
    id: UUID
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


rows = Rows(
    customer_groups,
    CustomerGroup,
    order=rising(customer_groups.c.created_at, customer_groups.c.id),
    unique={"uq_customer_groups_name": "name"},
)
