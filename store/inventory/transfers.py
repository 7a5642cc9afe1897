"""Transfers of stock between locations. Only the shard hosts write them; replicas read them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    Uuid,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from core.paging import Part, Span
from store.hosts.aggregates import Tables
from store.hosts.reads import by_id
from store.hosts.writes import upsert
from store.inventory.reading import line_decimals
from store.kit.changes import changed, stamped
from store.kit.paging import Row, falling, page
from store.kit.schema import metadata, of_tenant, used

stock_transfers = Table(
    "stock_transfers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("from_location_id", Uuid, nullable=False),
    Column("to_location_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("product_ids", ARRAY(Uuid), nullable=False),
    Column("quantities", ARRAY(BigInteger), nullable=False),
    Column("reference", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True), comment="Received or cancelled"),
    Column("sequence", BigInteger, nullable=False),
    Column(
        "received",
        ARRAY(BigInteger),
        nullable=False,
        server_default=text("'{}'"),
        comment="Of each line; empty: all, or nothing yet",
    ),
    *stamped("stock_transfers"),
    # Where cancelling brings the goods back to.
    *used(
        "used_location_id",
        "status = 'in_transit' AND from_location_id <> tenant_id",
        "locations",
        "from_location_id",
    ),
    CheckConstraint("status IN ('in_transit', 'received', 'cancelled')", name="status_known"),
    CheckConstraint("cardinality(product_ids) = cardinality(quantities)", name="lines_paired"),
    CheckConstraint("0 < ALL (quantities)", name="quantities_positive"),
    CheckConstraint("from_location_id <> to_location_id", name="not_to_itself"),
    Index("ix_stock_transfers_tenant_id_id", "tenant_id", "id"),
    Index("ix_stock_transfers_status", "tenant_id", "status", "id"),
    Index("ix_stock_transfers_from", "tenant_id", "from_location_id", "id"),
    Index("ix_stock_transfers_to", "tenant_id", "to_location_id", "id"),
    info=of_tenant(app="SELECT"),
)


# How its quantities are measured stands with the items.
_SHOWN = (stock_transfers, line_decimals(stock_transfers.c.product_ids))


async def list_transfers(
    tx: AsyncConnection, status: str | None, location_id: UUID | None, span: Span
) -> Part[Row]:
    """The tenant's transfers, latest first; `location_id` is either end."""
    if span.since is not None:
        return await _changed(tx, status, location_id, span)
    query, order = select(*_SHOWN), falling(stock_transfers.c.id)
    of_status = [] if status is None else [stock_transfers.c.status == status]
    if location_id is None:
        return await page(tx, query.where(*of_status), order, span)
    # No transfer has the same two ends.
    ends = (stock_transfers.c.from_location_id, stock_transfers.c.to_location_id)
    either = [query.where(end == location_id) for end in ends]
    return await page(tx, either, order, span, also=of_status)


async def _changed(
    tx: AsyncConnection, status: str | None, location_id: UUID | None, span: Span
) -> Part[Row]:
    c, also = stock_transfers.c, []
    if status is not None:
        also.append(c.status == status)
    if location_id is not None:
        also.append(or_(c.from_location_id == location_id, c.to_location_id == location_id))
    return await changed(tx, select(*_SHOWN), c.changed_at, c.id, span, also)


TABLES = Tables(
    reads={"transfer": by_id(stock_transfers)},
    writes={
        "stock_transfers": upsert(
            stock_transfers,
            keep=(
                "from_location_id",
                "to_location_id",
                "product_ids",
                "quantities",
                "reference",
                "created_by",
                "created_at",
            ),
        )
    },
    due={},
)
