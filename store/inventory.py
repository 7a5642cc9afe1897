"""Tables of stock. Only the shard hosts write them; replicas read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    RowMapping,
    Table,
    Text,
    Uuid,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from store.aggregates import Columns, Read, Tables, Write, array_literal, ids_and_tenants
from store.paging import page
from store.schema import metadata, used

stock_levels = Table(
    "stock_levels",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("location_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column(
        "incoming",
        BigInteger,
        nullable=False,
        comment="Ordered or on its way, and not there yet",
    ),
    Column("low_stock_threshold", Integer, nullable=False),
    Column("low", Boolean, nullable=False, comment="available < low_stock_threshold"),
    Column(
        "floor",
        BigInteger,
        nullable=False,
        comment="Least that may be available: -backorder_limit, or where a count left it",
    ),
    Column("counted_at", DateTime(timezone=True), comment="Moment of the latest count"),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    *used(
        "used_location_id",
        "location_id <> tenant_id AND (on_hand <> 0 OR reserved <> 0 OR incoming <> 0)",
        "locations",
        "location_id",
    ),
    CheckConstraint("reserved >= 0", name="reserved_not_negative"),
    CheckConstraint("incoming >= 0", name="incoming_not_negative"),
    CheckConstraint("on_hand - reserved >= floor", name="available_above_floor"),
    Index("ix_stock_levels_low", "tenant_id", "location_id", postgresql_where=text("low")),
    postgresql_with={"fillfactor": "50"},
)

stock_items = Table(
    "stock_items",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("discontinued", Boolean, nullable=False),
    Column("backorder_limit", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column(
        "parent",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Has variants: takes in and promises nothing itself",
    ),
    CheckConstraint("backorder_limit >= 0", name="backorder_limit_not_negative"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("location_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("product_ids", ARRAY(Uuid), nullable=False),
    Column("quantities", ARRAY(Integer), nullable=False),
    Column("reference", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("status IN ('open', 'confirmed', 'released', 'expired')", name="status_known"),
    CheckConstraint("cardinality(product_ids) = cardinality(quantities)", name="lines_paired"),
    CheckConstraint("0 < ALL (quantities)", name="quantities_positive"),
    Index("ix_reservations_due", "shard", "expires_at", postgresql_where=text("status = 'open'")),
    Index(
        "ix_reservations_open_holds",
        "tenant_id",
        "created_by",
        "id",
        postgresql_where=text("status = 'open'"),
    ),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("location_id", Uuid, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("on_hand_delta", BigInteger, nullable=False),
    Column("reserved_delta", BigInteger, nullable=False),
    Column("incoming_delta", BigInteger, nullable=False),
    Column("on_hand_after", BigInteger, nullable=False),
    Column("reserved_after", BigInteger, nullable=False),
    Column("incoming_after", BigInteger, nullable=False),
    Column("reason", Text),
    Column("reference", Text),
    Column("reservation_id", Uuid),
    Column("command_id", Uuid, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)


async def low_stock(
    tx: AsyncConnection, location_id: UUID | None, offset: int, limit: int
) -> tuple[list[RowMapping], int]:
    """Levels below their threshold that this scope shows, scarcest first, and how many."""
    available = (stock_levels.c.on_hand - stock_levels.c.reserved).label("available")
    query = select(
        stock_levels.c.product_id,
        stock_levels.c.location_id,
        available,
        stock_levels.c.low_stock_threshold,
    ).where(stock_levels.c.low, ~_discontinued)
    if location_id is not None:
        query = query.where(stock_levels.c.location_id == location_id)
    order = (available, stock_levels.c.product_id, stock_levels.c.location_id)
    return await page(tx, query, order, offset, limit)


async def parent_sequence(tx: AsyncConnection, product_id: UUID) -> int | None:
    """The sequence of an item of the tenant's that its owner holds for a parent; None if it is
    none there."""
    query = select(stock_items.c.sequence).where(
        stock_items.c.product_id == product_id, stock_items.c.parent
    )
    found: int | None = (await tx.execute(query)).scalar_one_or_none()
    return found


_discontinued = (
    select(1)
    .where(stock_items.c.product_id == stock_levels.c.product_id, stock_items.c.discontinued)
    .exists()
)


async def movements(
    tx: AsyncConnection,
    product_id: UUID,
    location_id: UUID,
    *,
    by_occurrence: bool,
    offset: int,
    limit: int,
) -> tuple[list[RowMapping], int]:
    """An item's ledger at a location and its length, latest first: as it was recorded, or as
    things happened."""
    query = select(stock_movements).where(
        stock_movements.c.product_id == product_id, stock_movements.c.location_id == location_id
    )
    order = [stock_movements.c.sequence.desc()]
    if by_occurrence:
        order.insert(0, stock_movements.c.occurred_at.desc())
    return await page(tx, query, order, offset, limit)


async def list_reservations(
    tx: AsyncConnection,
    status: str | None,
    product_id: UUID | None,
    location_id: UUID | None,
    offset: int,
    limit: int,
) -> tuple[list[RowMapping], int]:
    """The tenant's reservations, latest first, and how many."""
    query = select(reservations)
    if status is not None:
        query = query.where(reservations.c.status == status)
    if product_id is not None:
        query = query.where(reservations.c.product_ids.contains([product_id]))
    if location_id is not None:
        query = query.where(reservations.c.location_id == location_id)
    return await page(tx, query, (reservations.c.id.desc(),), offset, limit)


# --- the shard hosts' side ---------------------------------------------------------------

MAX_OPEN_HOLDS = 100


def _with_locations(keys: Sequence[Any]) -> Columns:
    # A key without a detail is of the main location.
    return [*ids_and_tenants(keys), [key.detail or key.tenant_id for key in keys]]


def _callers_at_locations(keys: Sequence[Any]) -> Columns:
    callers, locations = zip(*(key.detail for key in keys), strict=True)
    return [*ids_and_tenants(keys), list(callers), list(locations)]


def _moments_at_locations(keys: Sequence[Any]) -> Columns:
    locations, moments_ms = zip(*(key.detail for key in keys), strict=True)
    return [*ids_and_tenants(keys), list(locations), list(moments_ms)]


def _reservation(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:5], array_literal(row[5]), array_literal(row[6]), *row[7:])


_LOAD_LEVELS = """
SELECT k.n, on_hand, reserved, incoming, low_stock_threshold, low, floor,
  (extract(epoch FROM counted_at) * 1000)::bigint, sequence
FROM stock_levels JOIN unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY
  AS k(id, tenant, location, n)
ON product_id = k.id AND location_id = k.location AND tenant_id = k.tenant"""

# Every level has been preceded by its item; where it has levels is told by the levels.
_LOAD_ITEMS = """
SELECT k.n, discontinued, backorder_limit, ARRAY(SELECT location_id FROM stock_levels l
  WHERE l.product_id = i.product_id ORDER BY location_id), sequence, parent
FROM stock_items i JOIN unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k(id, tenant, n)
ON i.product_id = k.id AND i.tenant_id = k.tenant"""

_LOAD_RESERVATIONS = """
SELECT k.n, product_ids, quantities, status, created_by,
  (extract(epoch FROM created_at) * 1000)::bigint, (extract(epoch FROM expires_at) * 1000)::bigint,
  reference, location_id, sequence
FROM reservations r JOIN unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k(id, tenant, n)
ON r.id = k.id AND r.tenant_id = k.tenant"""

# The oldest first: ids are UUIDv7, so their order is the order of creation.
_LOAD_OPEN_HOLDS = f"""
SELECT k.n, ARRAY(SELECT id FROM reservations r
  WHERE r.tenant_id = k.tenant AND r.created_by = k.caller AND r.status = 'open'
    AND r.location_id = k.location AND k.product = ANY(r.product_ids)
  ORDER BY id LIMIT {MAX_OPEN_HOLDS})
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) WITH ORDINALITY
  AS k(product, tenant, caller, location, n)"""  # noqa: S608

# Time never runs backwards in a ledger, so the walk back ends at the first line from before.
_LOAD_MOVED_AFTER = """
SELECT k.n, coalesce(l.sequence, 0), coalesce(l.on_hand, 0), coalesce((
  SELECT sum(on_hand_delta) FROM stock_movements m
  WHERE m.product_id = k.id AND m.location_id = k.location AND m.sequence > coalesce((
      SELECT sequence FROM stock_movements e
      WHERE e.product_id = k.id AND e.location_id = k.location
        AND e.recorded_at <= to_timestamp(k.at / 1000.0)
      ORDER BY sequence DESC LIMIT 1), 0)
    AND m.occurred_at > to_timestamp(k.at / 1000.0)), 0)::bigint
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) WITH ORDINALITY
  AS k(id, tenant, location, at, n)
LEFT JOIN stock_levels l
  ON l.product_id = k.id AND l.location_id = k.location AND l.tenant_id = k.tenant"""

_LOAD_BOOKS = """
SELECT k.n, coalesce(l.sequence, 0), coalesce(l.on_hand, 0), coalesce(l.reserved, 0),
  coalesce(l.incoming, 0), coalesce(m.sequence, 0), coalesce(m.on_hand, 0)::bigint,
  coalesce(m.reserved, 0)::bigint, coalesce(m.incoming, 0)::bigint, coalesce(h.held, 0)::bigint
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS k(id, tenant, location, n)
LEFT JOIN stock_levels l
  ON l.product_id = k.id AND l.location_id = k.location AND l.tenant_id = k.tenant
LEFT JOIN LATERAL (
  SELECT max(sequence) AS sequence, sum(on_hand_delta) AS on_hand,
    sum(reserved_delta) AS reserved, sum(incoming_delta) AS incoming
  FROM stock_movements WHERE product_id = k.id AND location_id = k.location) AS m ON true
LEFT JOIN LATERAL (
  SELECT sum(quantity) AS held
  FROM reservations r, unnest(product_ids, quantities) AS line(product, quantity)
  WHERE r.tenant_id = k.tenant AND r.status = 'open' AND r.location_id = k.location
    AND product = k.id) AS h ON true"""

_LOAD_DUE = """
SELECT shard, (extract(epoch FROM expires_at) * 1000)::bigint, tenant_id, id FROM reservations
WHERE status = 'open' AND shard = ANY($1::int[])
  AND expires_at <= to_timestamp($2::bigint / 1000.0)"""

_WRITE_ITEMS = """
INSERT INTO stock_items AS i (product_id, tenant_id, discontinued, backorder_limit, sequence,
  updated_at, parent)
SELECT a, b, c, d, e, to_timestamp(f / 1000.0), g FROM unnest($1::uuid[], $2::uuid[], $3::bool[],
  $4::bigint[], $5::bigint[], $6::bigint[], $7::bool[]) AS r(a, b, c, d, e, f, g)
ON CONFLICT (product_id) DO UPDATE SET discontinued = excluded.discontinued,
  backorder_limit = excluded.backorder_limit, sequence = excluded.sequence,
  updated_at = excluded.updated_at, parent = excluded.parent
WHERE i.sequence < excluded.sequence AND i.tenant_id = excluded.tenant_id"""

_WRITE_LEVELS = """
INSERT INTO stock_levels AS s (product_id, location_id, tenant_id, on_hand, reserved, incoming,
  low_stock_threshold, low, floor, counted_at, sequence, updated_at)
SELECT a, b, c, d, e, f, g, h, i, to_timestamp(j / 1000.0), k, to_timestamp(l / 1000.0)
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[],
  $7::int[], $8::bool[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
  AS r(a, b, c, d, e, f, g, h, i, j, k, l)
ON CONFLICT (product_id, location_id) DO UPDATE SET on_hand = excluded.on_hand,
  reserved = excluded.reserved, incoming = excluded.incoming,
  low_stock_threshold = excluded.low_stock_threshold, low = excluded.low, floor = excluded.floor,
  counted_at = excluded.counted_at, sequence = excluded.sequence,
  updated_at = excluded.updated_at
WHERE s.sequence < excluded.sequence AND s.tenant_id = excluded.tenant_id"""

_WRITE_RESERVATIONS = """
INSERT INTO reservations AS t (id, tenant_id, shard, location_id, status, product_ids, quantities,
  reference, created_by, created_at, expires_at, sequence)
SELECT a, b, c, d, e, f::uuid[], g::int[], h, i, to_timestamp(j / 1000.0),
  to_timestamp(k / 1000.0), l
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::text[], $6::text[], $7::text[],
  $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[])
  AS r(a, b, c, d, e, f, g, h, i, j, k, l)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, product_ids = excluded.product_ids,
  quantities = excluded.quantities, expires_at = excluded.expires_at,
  sequence = excluded.sequence
WHERE t.sequence < excluded.sequence AND t.tenant_id = excluded.tenant_id"""

_WRITE_MOVEMENTS = """
INSERT INTO stock_movements (product_id, location_id, sequence, tenant_id, kind, on_hand_delta,
  reserved_delta, incoming_delta, on_hand_after, reserved_after, incoming_after, reason, reference,
  reservation_id, command_id, created_by, occurred_at, recorded_at)
SELECT a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, to_timestamp(q / 1000.0),
  to_timestamp(r / 1000.0)
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::bigint[],
  $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[],
  $13::text[], $14::uuid[], $15::uuid[], $16::text[], $17::bigint[], $18::bigint[])
  AS w(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)"""

TABLES = Tables(
    reads={
        "stock": Read(_LOAD_LEVELS, _with_locations),
        "item": Read(_LOAD_ITEMS),
        "reservation": Read(_LOAD_RESERVATIONS),
        "open_holds": Read(_LOAD_OPEN_HOLDS, _callers_at_locations),
        "moved_after": Read(_LOAD_MOVED_AFTER, _moments_at_locations),
        "books": Read(_LOAD_BOOKS, _with_locations),
    },
    writes={
        "stock_items": Write(_WRITE_ITEMS),
        "stock_levels": Write(_WRITE_LEVELS),
        "reservations": Write(_WRITE_RESERVATIONS, _reservation),
        "stock_movements": Write(_WRITE_MOVEMENTS),
    },
    due={"reservation": _LOAD_DUE},
)
