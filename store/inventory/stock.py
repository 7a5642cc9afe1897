"""Tables of stock. Only the shard hosts write them; replicas read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from store.hosts.aggregates import Tables
from store.hosts.reads import (
    WANTED,
    Columns,
    by_id,
    columns_of,
    ids_and_tenants,
    reading,
)
from store.hosts.writes import insert, update, upsert
from store.kit.schema import HISTORY, PUBLIC, exempt, metadata, of_tenant, used

# What GET /api/inventory/{productId} tells everyone may also be listed for everyone.
_PUBLIC_LEVELS = f"""{PUBLIC} AND NOT EXISTS (
  SELECT FROM stock_items i WHERE i.product_id = stock_levels.product_id AND i.discontinued)"""

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
    Column("low_stock_threshold", BigInteger, nullable=False),
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
    info=of_tenant(app="SELECT", public=_PUBLIC_LEVELS),
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
    Column(
        "quantity_decimals",
        SmallInteger,
        comment="Quantities are steps of 10^-these units; null: of pieces, or not known yet",
    ),
    CheckConstraint("backorder_limit >= 0", name="backorder_limit_not_negative"),
    info=of_tenant(app="SELECT", public=PUBLIC),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("shard", Integer, nullable=False),
    Column(
        "location_id",
        Uuid,
        nullable=False,
        info=exempt(no_use="its goods are reserved at the level"),
    ),
    Column("status", Text, nullable=False),
    Column("product_ids", ARRAY(Uuid), nullable=False),
    Column("quantities", ARRAY(BigInteger), nullable=False),
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
    Index("ix_reservations_newest", "tenant_id", "id"),
    Index("ix_reservations_status", "tenant_id", "status", "id"),
    Index("ix_reservations_location", "tenant_id", "location_id", "id"),
    info=of_tenant(app="SELECT"),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("location_id", Uuid, primary_key=True, info=HISTORY),
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
    Index("ix_stock_movements_occurred", "product_id", "location_id", "occurred_at", "sequence"),
    # Lines that are dated back: what a count must not take for what moved since.
    Index(
        "ix_stock_movements_late",
        "product_id",
        "location_id",
        "sequence",
        postgresql_include=["occurred_at", "on_hand_delta"],
        postgresql_where=text("occurred_at < recorded_at"),
    ),
    # Each hold has one such line for each of its items.
    Index(
        "ix_stock_movements_reserved",
        "product_id",
        "reservation_id",
        postgresql_where=text("kind = 'reserved'"),
    ),
    info=of_tenant(app="SELECT"),
)


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


_LEVELS = reading(
    {
        **columns_of(
            stock_levels,
            "l",
            (
                "on_hand",
                "reserved",
                "incoming",
                "low_stock_threshold",
                "low",
                "floor",
                "counted_at",
                "sequence",
            ),
        ),
        "quantity_decimals": "(SELECT quantity_decimals FROM stock_items i"
        " WHERE i.product_id = l.product_id)",
    },
    """stock_levels l JOIN unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY
  AS k(id, tenant, location, n)
ON l.product_id = k.id AND l.location_id = k.location AND l.tenant_id = k.tenant""",
    _with_locations,
)

# Every level has been preceded by its item; where it has levels is told by the levels.
_ITEMS = reading(
    {
        **columns_of(
            stock_items,
            "i",
            ("discontinued", "backorder_limit", "sequence", "parent", "quantity_decimals"),
        ),
        "location_ids": "ARRAY(SELECT location_id FROM stock_levels l"
        " WHERE l.product_id = i.product_id ORDER BY location_id)",
    },
    f"stock_items i JOIN {WANTED} ON i.product_id = k.id AND i.tenant_id = k.tenant",
)

# The oldest first: ids are UUIDv7, so their order is the order of creation.
_OPEN_HOLDS = reading(
    {
        "ids": f"""ARRAY(SELECT id FROM reservations r
  WHERE r.tenant_id = k.tenant AND r.created_by = k.caller AND r.status = 'open'
    AND r.location_id = k.location AND k.product = ANY(r.product_ids)
  ORDER BY id LIMIT {MAX_OPEN_HOLDS})"""  # noqa: S608
    },
    """unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) WITH ORDINALITY
  AS k(product, tenant, caller, location, n)""",
    _callers_at_locations,
)

# What moved since a moment is what is on hand after the last line less what was on hand after the
# last line from before, less what was recorded later and had happened before. Time never runs
# backwards in a ledger, so that line is found by halving, whatever the ledger's length; only lines
# that are dated back are added up, by an index of their own.
_MOVED_AFTER = reading(
    {
        "sequence": "coalesce(l.sequence, 0)",
        "on_hand": "coalesce(l.on_hand, 0)",
        "moved": """coalesce(last.on_hand_after - coalesce(before.on_hand_after, 0)
  - coalesce(late.moved, 0), 0)::bigint""",
    },
    """(SELECT id, tenant, location, to_timestamp(at / 1000.0) AS at, n
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) WITH ORDINALITY
    AS k(id, tenant, location, at, n)) AS k
LEFT JOIN stock_levels l
  ON l.product_id = k.id AND l.location_id = k.location AND l.tenant_id = k.tenant
LEFT JOIN LATERAL (
  SELECT sequence, recorded_at, on_hand_after FROM stock_movements
  WHERE product_id = k.id AND location_id = k.location ORDER BY sequence DESC LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
  -- All up to `low` was recorded by then, nothing beyond `high`. The last line is tried first.
  WITH RECURSIVE halved(low, high) AS (
    SELECT CASE WHEN last.recorded_at <= k.at THEN last.sequence ELSE 0 END,
      CASE WHEN last.recorded_at <= k.at THEN last.sequence ELSE last.sequence - 1 END
    UNION ALL
    SELECT CASE WHEN line.recorded_at > k.at THEN low ELSE middle END,
      CASE WHEN line.recorded_at > k.at THEN line.sequence - 1 ELSE high END
    FROM halved CROSS JOIN LATERAL (SELECT (low + high + 1) / 2 AS middle) AS half
    LEFT JOIN LATERAL (
      SELECT sequence, recorded_at FROM stock_movements
      WHERE product_id = k.id AND location_id = k.location
        AND sequence > low AND sequence <= middle ORDER BY sequence DESC LIMIT 1
    ) AS line ON true
    WHERE low < high
  ) SELECT low AS sequence FROM halved WHERE low = high
) AS found ON true
LEFT JOIN LATERAL (
  SELECT on_hand_after FROM stock_movements
  WHERE product_id = k.id AND location_id = k.location AND sequence <= found.sequence
  ORDER BY sequence DESC LIMIT 1
) AS before ON true
LEFT JOIN LATERAL (
  SELECT sum(on_hand_delta) AS moved FROM stock_movements
  WHERE product_id = k.id AND location_id = k.location AND sequence > found.sequence
    AND occurred_at < recorded_at AND occurred_at <= k.at
) AS late ON true""",
    _moments_at_locations,
)

_SUMMED = ("sequence", "on_hand", "reserved", "incoming")
_BOOKS = reading(
    {
        **{name: f"coalesce(l.{name}, 0)" for name in _SUMMED},
        **{f"ledger_{name}": f"coalesce(m.{name}, 0)::bigint" for name in _SUMMED},
        "held": "coalesce(h.held, 0)::bigint",
    },
    """unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS k(id, tenant, location, n)
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
    AND product = k.id) AS h ON true""",
    _with_locations,
)

# A hold falls due 30,000 ms after its end: `actors.stock.model.GRACE_MS`. A page ends with a whole
# millisecond and the next one begins with the next, whatever fractions the rows have.
_LOAD_DUE = """
SELECT s.shard, floor(extract(epoch FROM due.expires_at) * 1000)::bigint, due.tenant_id, due.id
FROM (SELECT shard, to_timestamp((after_ms + 1 - 30000) / 1000.0) AS from_time,
    to_timestamp(($3::bigint + 1 - 30000) / 1000.0) AS to_time
  FROM unnest($1::int[], $2::bigint[]) AS asked(shard, after_ms)) AS s,
LATERAL (
  SELECT date_trunc('milliseconds', min(page.expires_at)) + interval '1 ms' AS time FROM (
    SELECT expires_at FROM reservations r
    WHERE r.status = 'open' AND r.shard = s.shard
      AND r.expires_at >= s.from_time AND r.expires_at < s.to_time
    ORDER BY r.expires_at OFFSET $4::int - 1 LIMIT 1) AS page) AS full_at,
LATERAL (
  SELECT expires_at, tenant_id, id FROM reservations r
  WHERE r.status = 'open' AND r.shard = s.shard AND r.expires_at >= s.from_time
    AND r.expires_at < coalesce(full_at.time, s.to_time)
  ORDER BY r.expires_at) AS due"""

TABLES = Tables(
    reads={
        "stock": _LEVELS,
        "item": _ITEMS,
        "reservation": by_id(reservations),
        "open_holds": _OPEN_HOLDS,
        "moved_after": _MOVED_AFTER,
        "books": _BOOKS,
    },
    writes={
        "stock_items": upsert(stock_items),
        # What is there is nearly always what is written: an upsert costs a look-up and a lock more.
        "stock_levels": insert(stock_levels, unless_there=True),
        "stock_levels moved": update(stock_levels),
        "reservations": insert(reservations),
        "reservations changed": update(
            reservations,
            keep=("shard", "location_id", "reference", "created_by", "created_at"),
        ),
        "stock_movements": insert(stock_movements),
    },
    due={"reservation": _LOAD_DUE},
)
