"""Purchase orders, which only shard hosts write."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Table,
    Text,
    Uuid,
    func,
    literal,
    not_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import MAX_COUNTED, Part, Span
from store.hosts.aggregates import Tables
from store.hosts.reads import by_id
from store.hosts.writes import upsert
from store.kit.changes import changed, stamped
from store.kit.paging import Row, falling, page
from store.kit.schema import metadata, moment, of_tenant

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
    *stamped("purchase_orders"),
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


_RECEIVED, _CLOSED = "received", "closed"
_STORED_AS = {_CLOSED: _RECEIVED}
_IS_CUT = purchase_orders.c.lines.path_exists(literal("strict $[*] ? (@[4] > 0)", JSONPATH))


async def list_purchase_orders(
    tx: AsyncConnection,
    status: str | None,
    supplier_id: UUID | None,
    item_id: UUID | None,
    span: Span,
) -> Part[Row]:
    """Purchase orders, latest first; with `item_id` the latest MAX_COUNTED and one more. Of those
    that are `received`, those are `closed` of which a part was cancelled."""
    c = purchase_orders.c
    compared = ((c.supplier_id, supplier_id), (c.status, _STORED_AS.get(status or "", status)))
    conditions = [column == value for column, value in compared if value is not None]
    if status in (_RECEIVED, _CLOSED):
        conditions.append(_IS_CUT if status == _CLOSED else not_(_IS_CUT))
    query = select(purchase_orders)
    if span.since is not None:
        if item_id is not None:
            conditions.append(c.item_ids.contains([item_id]))
        return await changed(tx, query, c.changed_at, c.id, span, conditions)
    if item_id is not None:
        # Behind a policy no index of arrays would be used; the function looks for the tenant's.
        ordered = select(func.purchase_orders_of(item_id, MAX_COUNTED + 1))
        return await page(tx, query.where(c.id.in_(ordered), *conditions), falling(c.id), span)
    return await page(tx, query.where(*conditions[:1]), falling(c.id), span, also=conditions[1:])


# --- the shard hosts' side ---------------------------------------------------------------

TABLES = Tables(
    reads={"purchase": by_id(purchase_orders)},
    writes={"purchase_orders": upsert(purchase_orders, keep=("created_by", "created_at"))},
    due={},
)
