"""Of whom a business buys, and what each of them sells for how much, behind the wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.paging import rising
from store.kit.schema import exempt, metadata, moment, of_tenant
from store.kit.versioned import Rows

MAX_SUPPLIED_ITEMS = 1_000
_LIVE = text("deleted_at IS NULL")

suppliers = Table(
    "suppliers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("name", String(255), nullable=False),
    # What the list is sorted by: a column, because only its comparisons are leakproof.
    Column("sort_name", String(255), Computed("lower(name)", persisted=True), nullable=False),
    Column("contact_name", String(255)),
    Column("email", String(254)),
    Column("phone", String(50)),
    Column("lead_time_days", Integer, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("notes", Text, info=exempt(no_bound="bounded by its body")),
    Column("version", Integer, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at", nullable=True),
    UniqueConstraint("tenant_id", "id"),
    CheckConstraint("lead_time_days BETWEEN 0 AND 3650", name="lead_time_bounded"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("name <> ''", name="named"),
    Index(
        "ix_suppliers_sorted",
        "tenant_id",
        "sort_name",
        "id",
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index(
        "uq_suppliers_name", "tenant_id", text("lower(name)"), unique=True, postgresql_where=_LIVE
    ),
    Index("ix_suppliers_changed", "tenant_id", "updated_at", "id"),
    info=of_tenant(app="SELECT, INSERT, UPDATE"),
)

supplier_items = Table(
    "supplier_items",
    metadata,
    Column("supplier_id", Uuid, primary_key=True),
    Column("item_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("supplier_sku", String(64)),
    Column("cost_minor", BigInteger),
    Column("lead_time_days", Integer, comment="null: the supplier's"),
    ForeignKeyConstraint(["tenant_id", "supplier_id"], ["suppliers.tenant_id", "suppliers.id"]),
    CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
    CheckConstraint("lead_time_days BETWEEN 0 AND 3650", name="lead_time_bounded"),
    Index("ix_supplier_items_item", "item_id"),
    info=of_tenant(app="SELECT, INSERT, DELETE"),
)


@dataclass(frozen=True, slots=True)
class Supplier:
    """A supplier as it is stored. Its costs are in `currency`."""

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
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SuppliedItem:
    """What a supplier calls an item and takes for one; None where nobody has said."""

    item_id: UUID
    supplier_sku: str | None
    cost_minor: int | None
    lead_time_days: int | None


_SUPPLIED = tuple(supplier_items.c[name] for name in SuppliedItem.__dataclass_fields__)

rows = Rows(
    suppliers,
    Supplier,
    order=rising(suppliers.c.sort_name, suppliers.c.id),
    unique={"uq_suppliers_name": "name"},
)


async def supplied_items(tx: AsyncConnection, supplier_id: UUID) -> list[SuppliedItem]:
    """What a supplier sells, MAX_SUPPLIED_ITEMS at most."""
    query = (
        select(*_SUPPLIED)
        .where(supplier_items.c.supplier_id == supplier_id)
        .order_by(supplier_items.c.item_id)
        .limit(MAX_SUPPLIED_ITEMS)
    )
    return [SuppliedItem(**row) for row in (await tx.execute(query)).mappings()]


async def put_supplied_items(
    tx: AsyncConnection, supplier: Supplier, tenant_id: UUID, items: Sequence[SuppliedItem]
) -> None:
    """Writes what a supplier sells, in place of what was there."""
    await tx.execute(delete(supplier_items).where(supplier_items.c.supplier_id == supplier.id))
    owner = {"supplier_id": supplier.id, "tenant_id": tenant_id}
    if items:
        await tx.execute(insert(supplier_items), [asdict(item) | owner for item in items])


async def has_costs(tx: AsyncConnection, supplier_id: UUID) -> bool:
    """Whether anybody has said what a supplier takes for something."""
    c = supplier_items.c
    query = select(c.item_id).where(c.supplier_id == supplier_id, c.cost_minor.is_not(None))
    return (await tx.execute(query.limit(1))).first() is not None
