"""Suppliers, what they sell for how much, and purchase orders, which only shard hosts write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
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
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, FieldError
from core.paging import MOST_COUNTED, Part, Span
from store.hosts.aggregates import Tables
from store.hosts.reads import by_id
from store.hosts.writes import upsert
from store.kit.engine import sqlstate
from store.kit.paging import Row, falling, page, rising
from store.kit.schema import metadata, moment, of_tenant

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
    Column("notes", Text),
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

purchase_orders = Table(
    "purchase_orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("supplier_id", Uuid, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("currency", CHAR(3), nullable=False),
    Column("reference", Text),
    moment("expected_at", nullable=True),
    Column("status", Text, nullable=False),
    # [item, quantity, cost_minor, received, cancelled] each; the items once more for look-ups.
    Column("lines", JSONB, nullable=False),
    Column("item_ids", ARRAY(Uuid), nullable=False),
    Column("created_by", Text, nullable=False),
    moment("created_at"),
    moment("ordered_at", nullable=True),
    moment("updated_at"),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint(
        "status IN ('draft', 'ordered', 'partly_received', 'received', 'cancelled')",
        name="status_known",
    ),
    CheckConstraint("jsonb_array_length(lines) = cardinality(item_ids)", name="lines_paired"),
    Index("ix_purchase_orders_newest", "tenant_id", "id"),
    Index("ix_purchase_orders_status", "tenant_id", "status", "id"),
    Index("ix_purchase_orders_supplier", "tenant_id", "supplier_id", "id"),
    Index("ix_purchase_orders_items", "item_ids", postgresql_using="gin"),
    info=of_tenant(app="SELECT", owner="SELECT"),
)


@dataclass(frozen=True, slots=True)
class Supplier:
    """A supplier as it is stored. Its costs are in `currency`."""

    id: UUID
    tenant_id: UUID
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


@dataclass(frozen=True, slots=True)
class SuppliedItem:
    """What a supplier calls an item and takes for one; None where nobody has said."""

    item_id: UUID
    supplier_sku: str | None
    cost_minor: int | None
    lead_time_days: int | None


_SUPPLIER = tuple(suppliers.c[name] for name in Supplier.__dataclass_fields__)
_SUPPLIED = tuple(supplier_items.c[name] for name in SuppliedItem.__dataclass_fields__)


async def add_supplier(tx: AsyncConnection, supplier: Supplier) -> None:
    """Raises Conflict on `name` if another supplier has it."""
    await _named(tx, insert(suppliers).values(asdict(supplier)))


async def replace_supplier(tx: AsyncConnection, supplier: Supplier) -> None:
    """Writes every field. Raises Conflict on `name` if another supplier has it."""
    statement = update(suppliers).where(suppliers.c.id == supplier.id).values(asdict(supplier))
    await _named(tx, statement)


async def remove_supplier(tx: AsyncConnection, supplier_id: UUID, at: datetime) -> None:
    """Marks it as deleted: its orders go on naming it."""
    await tx.execute(
        update(suppliers)
        .where(suppliers.c.id == supplier_id)
        .values(deleted_at=at, updated_at=at, version=suppliers.c.version + 1)
    )


async def get_supplier(
    tx: AsyncConnection, supplier_id: UUID, *, lock: bool = False
) -> Supplier | None:
    """The supplier that is not deleted, on request locked until `tx` ends."""
    query = select(*_SUPPLIER).where(
        suppliers.c.id == supplier_id, suppliers.c.deleted_at.is_(None)
    )
    row = (await tx.execute(query.with_for_update() if lock else query)).mappings().first()
    return None if row is None else Supplier(**row)


async def list_suppliers(tx: AsyncConnection, span: Span) -> Part[Supplier]:
    """By name."""
    query = select(*_SUPPLIER).where(suppliers.c.deleted_at.is_(None))
    order = rising(suppliers.c.sort_name, suppliers.c.id)
    return (await page(tx, query, order, span)).map(lambda row: Supplier(**row))


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
    tx: AsyncConnection, supplier: Supplier, items: Sequence[SuppliedItem]
) -> None:
    """Writes what a supplier sells, in place of what was there."""
    await tx.execute(delete(supplier_items).where(supplier_items.c.supplier_id == supplier.id))
    owner = {"supplier_id": supplier.id, "tenant_id": supplier.tenant_id}
    if items:
        await tx.execute(insert(supplier_items), [asdict(item) | owner for item in items])


async def list_purchase_orders(
    tx: AsyncConnection,
    status: str | None,
    supplier_id: UUID | None,
    item_id: UUID | None,
    span: Span,
) -> Part[Row]:
    """Purchase orders, latest first; with `item_id` the latest MOST_COUNTED and one more."""
    c = purchase_orders.c
    compared = ((c.supplier_id, supplier_id), (c.status, status))
    conditions = [column == value for column, value in compared if value is not None]
    query = select(purchase_orders)
    if item_id is not None:
        # Behind a policy no index of arrays would be used; the function looks for the tenant's.
        ordered = select(func.purchase_orders_of(item_id, MOST_COUNTED + 1))
        return await page(tx, query.where(c.id.in_(ordered), *conditions), falling(c.id), span)
    return await page(tx, query.where(*conditions[:1]), falling(c.id), span, also=conditions[1:])


async def _named(tx: AsyncConnection, statement: Any) -> None:
    try:
        await tx.execute(statement)
    except IntegrityError as error:
        if sqlstate(error) != "23505":
            raise
        message = "is another supplier's"
        raise Conflict(f"This name {message}.", errors=[FieldError("name", message)]) from error


# --- the shard hosts' side ---------------------------------------------------------------

TABLES = Tables(
    reads={"purchase": by_id(purchase_orders)},
    writes={"purchase_orders": upsert(purchase_orders, keep=("created_by", "created_at"))},
    due={},
)
