"""Tables of stock. Only the shard hosts write them; replicas read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    RowMapping,
    Select,
    Table,
    Text,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from store.schema import metadata

stock_levels = Table(
    "stock_levels",
    metadata,
    Column("product_id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("low_stock_threshold", Integer, nullable=False),
    Column("low", Boolean, nullable=False, comment="available < low_stock_threshold"),
    Column("discontinued", Boolean, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
    CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="reserved_within_on_hand"),
    Index("ix_stock_levels_low", "tenant_id", postgresql_where=text("low AND NOT discontinued")),
    postgresql_with={"fillfactor": "50"},
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("shard", Integer, nullable=False),
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
    Column("sequence", BigInteger, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("on_hand_delta", BigInteger, nullable=False),
    Column("reserved_delta", BigInteger, nullable=False),
    Column("on_hand_after", BigInteger, nullable=False),
    Column("reserved_after", BigInteger, nullable=False),
    Column("reason", Text),
    Column("reference", Text),
    Column("reservation_id", Uuid),
    Column("command_id", Uuid, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
)


async def low_stock(tx: AsyncConnection, offset: int, limit: int) -> tuple[list[RowMapping], int]:
    """Levels below their threshold that this scope shows, scarcest first, and how many."""
    available = (stock_levels.c.on_hand - stock_levels.c.reserved).label("available")
    columns = (stock_levels.c.product_id, available, stock_levels.c.low_stock_threshold)
    query = select(*columns).where(stock_levels.c.low, ~stock_levels.c.discontinued)
    return await _page(tx, query, (available, stock_levels.c.product_id), offset, limit)


async def movements(
    tx: AsyncConnection, product_id: UUID, offset: int, limit: int
) -> tuple[list[RowMapping], int]:
    """A product's ledger, latest first, and its length."""
    query = select(stock_movements).where(stock_movements.c.product_id == product_id)
    return await _page(tx, query, (stock_movements.c.sequence.desc(),), offset, limit)


async def list_reservations(
    tx: AsyncConnection,
    status: str | None,
    product_id: UUID | None,
    offset: int,
    limit: int,
) -> tuple[list[RowMapping], int]:
    """The tenant's reservations, latest first, and how many."""
    query = select(reservations)
    if status is not None:
        query = query.where(reservations.c.status == status)
    if product_id is not None:
        query = query.where(reservations.c.product_ids.contains([product_id]))
    return await _page(tx, query, (reservations.c.id.desc(),), offset, limit)


async def _page(
    tx: AsyncConnection, query: Select[Any], order: Sequence[Any], offset: int, limit: int
) -> tuple[list[RowMapping], int]:
    total = await tx.scalar(select(func.count()).select_from(query.subquery()))
    rows = await tx.execute(query.order_by(*order).offset(offset).limit(limit))
    return list(rows.mappings()), int(total or 0)


# --- the shard hosts' side ---------------------------------------------------------------


class StockRows(Protocol):
    """What `StockLoader.write` takes: tuples in the order of the columns below."""

    @property
    def levels(self) -> Sequence[tuple[Any, ...]]: ...

    @property
    def reservations(self) -> Sequence[tuple[Any, ...]]: ...

    @property
    def movements(self) -> Sequence[tuple[Any, ...]]: ...

    @property
    def events(self) -> Sequence[tuple[Any, ...]]: ...


_LOAD_LEVELS = """
SELECT product_id, on_hand, reserved, low_stock_threshold, low, discontinued, sequence
FROM stock_levels JOIN unnest($1::uuid[], $2::uuid[]) AS k(id, tenant)
ON product_id = k.id AND tenant_id = k.tenant"""

_LOAD_RESERVATIONS = """
SELECT r.id, product_ids, quantities, status, created_by,
  (extract(epoch FROM created_at) * 1000)::bigint, (extract(epoch FROM expires_at) * 1000)::bigint,
  reference, sequence
FROM reservations r JOIN unnest($1::uuid[], $2::uuid[]) AS k(id, tenant)
ON r.id = k.id AND r.tenant_id = k.tenant"""

# The oldest first: ids are UUIDv7, so their order is the order of creation.
_LOAD_OPEN_HOLDS = """
SELECT array_agg(id ORDER BY id) FROM (
  SELECT id FROM reservations
  WHERE tenant_id = $1 AND created_by = $2 AND status = 'open' AND $3 = ANY(product_ids)
  ORDER BY id LIMIT $4) AS oldest"""

_LOAD_DUE = """
SELECT shard, (extract(epoch FROM expires_at) * 1000)::bigint, tenant_id, id FROM reservations
WHERE status = 'open' AND shard = ANY($1::int[])
  AND expires_at <= to_timestamp($2::bigint / 1000.0)"""

_WRITE_LEVELS = """
INSERT INTO stock_levels AS s (product_id, tenant_id, on_hand, reserved, low_stock_threshold,
  low, discontinued, sequence, updated_at)
SELECT a, b, c, d, e, f, g, h, to_timestamp(i / 1000.0) FROM unnest($1::uuid[], $2::uuid[],
  $3::bigint[], $4::bigint[], $5::int[], $6::bool[], $7::bool[], $8::bigint[], $9::bigint[])
  AS r(a, b, c, d, e, f, g, h, i)
ON CONFLICT (product_id) DO UPDATE SET on_hand = excluded.on_hand, reserved = excluded.reserved,
  low_stock_threshold = excluded.low_stock_threshold, low = excluded.low,
  discontinued = excluded.discontinued, sequence = excluded.sequence,
  updated_at = excluded.updated_at"""

# Arrays of arrays do not unnest by rows, so the lines of a hold travel as array literals.
_WRITE_RESERVATIONS = """
INSERT INTO reservations (id, tenant_id, shard, status, product_ids, quantities, reference,
  created_by, created_at, expires_at, sequence)
SELECT a, b, c, d, e::uuid[], f::int[], g, h, to_timestamp(i / 1000.0), to_timestamp(j / 1000.0), k
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
  $8::text[], $9::bigint[], $10::bigint[], $11::bigint[]) AS r(a, b, c, d, e, f, g, h, i, j, k)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, product_ids = excluded.product_ids,
  quantities = excluded.quantities, expires_at = excluded.expires_at,
  sequence = excluded.sequence"""

_WRITE_MOVEMENTS = """
INSERT INTO stock_movements (product_id, sequence, tenant_id, kind, on_hand_delta, reserved_delta,
  on_hand_after, reserved_after, reason, reference, reservation_id, command_id, created_by,
  occurred_at)
SELECT a, b, c, d, e, f, g, h, i, j, k, l, m, to_timestamp(n / 1000.0) FROM unnest($1::uuid[],
  $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::bigint[])
  AS r(a, b, c, d, e, f, g, h, i, j, k, l, m, n)"""

_WRITE_EVENTS = """
INSERT INTO outbox (event_id, tenant_id, type, subject, time, data)
SELECT gen_random_uuid(), a, b, c, to_timestamp(d / 1000.0), e::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[]) AS r(a, b, c, d, e)"""

MAX_OPEN_HOLDS = 100


class StockLoader:
    """Reads and writes stock over a shard host's connection. See `store.journal.Loader`."""

    async def load(self, connection: asyncpg.Connection, keys: Sequence[Any]) -> dict[Any, Any]:
        """Rows by key, without what does not exist; one query per kind of key."""
        found: dict[Any, Any] = {}
        for kind, query in (("stock", _LOAD_LEVELS), ("reservation", _LOAD_RESERVATIONS)):
            wanted = {key.id: key for key in keys if key.kind == kind}
            if wanted:
                rows = await connection.fetch(
                    query, list(wanted), [key.tenant_id for key in wanted.values()]
                )
                found |= {wanted[row[0]]: tuple(row)[1:] for row in rows}
        for key in keys:
            if key.kind == "open_holds":
                found[key] = await connection.fetchval(
                    _LOAD_OPEN_HOLDS, key.tenant_id, key.detail, key.id, MAX_OPEN_HOLDS
                )
        return found

    async def due(
        self, connection: asyncpg.Connection, shards: Sequence[int], until_ms: int
    ) -> list[tuple[int, Any]]:
        """Open holds that expire by `until_ms`: (shard, (expires_at_ms, tenant, reservation))."""
        rows = await connection.fetch(_LOAD_DUE, list(shards), until_ms)
        return [(row[0], tuple(row)[1:]) for row in rows]

    async def write(self, connection: asyncpg.Connection, rows: StockRows) -> None:
        """Writes a batch's rows: one statement per table, whatever their number."""
        reservations = [
            (*row[:4], _array_literal(row[4]), _array_literal(row[5]), *row[6:])
            for row in rows.reservations
        ]
        for statement, tuples in (
            (_WRITE_LEVELS, rows.levels),
            (_WRITE_RESERVATIONS, reservations),
            (_WRITE_MOVEMENTS, rows.movements),
            (_WRITE_EVENTS, rows.events),
        ):
            if tuples:
                columns = (list(column) for column in zip(*tuples, strict=True))
                await connection.execute(statement, *columns)


def _array_literal(items: Sequence[Any]) -> str:
    """Postgres' notation of an array of plain scalars, which need no quoting."""
    return "{" + ",".join(map(str, items)) + "}"
