"""The worst that one tenant may ask of a host, and the goods that it asks it of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from uuid import UUID

import asyncpg

from actors.families import encode_command
from actors.runtime.wire import shard_of
from actors.stock import model as m
from bench.shards import SHARDS
from core.clock import SystemClock
from core.ids import uuid7

TENANT = UUID("018f0000-0000-7000-9000-0000000000c1")
# The one has the ledger that counts ask about, the other the holds that fall due together.
HOT, HELD = (
    UUID("018f0000-0000-7000-8001-000000000001"),
    UUID("018f0000-0000-7000-8001-000000000002"),
)
PLENTY = 100_000_000
REFUSED = "data that the database refuses"
# Nobody works off more expired holds than these in a second.
EXPIRED_PER_SECOND = 20_000
_COUNTED_BEFORE_MS = 5 * 3_600_000

_BUSINESS = "INSERT INTO businesses (id, name) VALUES ($1, 'Culprit')"
_ITEMS = "INSERT INTO stock_items SELECT unnest($2::uuid[]), $1, false, 0, 1, now()"
_LEVELS = """
INSERT INTO stock_levels (product_id, location_id, tenant_id, on_hand, reserved, incoming,
  low_stock_threshold, low, floor, sequence, updated_at)
SELECT id, $1, $1, $3, 0, 0, 10, false, 0, $4, now() FROM unnest($2::uuid[]) AS id"""
# The last six hours; each line was dated back, which is what counts have to add up.
_LEDGER = """
INSERT INTO stock_movements (product_id, location_id, sequence, tenant_id, kind, on_hand_delta,
  reserved_delta, incoming_delta, on_hand_after, reserved_after, incoming_after, command_id,
  created_by, occurred_at, recorded_at)
SELECT $2, $1, n, $1, 'sold', 0, 0, 0, $3, 0, 0, gen_random_uuid(), 'bench',
  at - interval '1 minute', at
FROM generate_series(1, $4::int) AS n,
  LATERAL (SELECT now() - interval '6 hours' * (1 - n::float / $4)) AS moment(at)"""
_REFUSES = f"""
CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION USING ERRCODE = ''23514''; END';
CREATE TRIGGER refused BEFORE INSERT ON reservations FOR EACH ROW
  WHEN (new.reference = '{REFUSED}') EXECUTE FUNCTION refused()"""
_HOLDS = """
INSERT INTO reservations (id, tenant_id, shard, location_id, status, product_ids, quantities,
  created_by, created_at, expires_at, sequence)
SELECT gen_random_uuid(), $1, $2, $1, 'open', ARRAY[$3::uuid], ARRAY[1], 'bench', now(),
  now() - $4 * interval '1 millisecond', 1
FROM generate_series(1, $5::int)"""
_RESERVED = "UPDATE stock_levels SET reserved = reserved + $2 WHERE product_id = $1"


@dataclass(frozen=True, slots=True)
class Culprit:
    """`bodies` are commands without end; `call_size` of them travel together, and `calls` calls
    are under way. With `expires` as many of its holds fall due as could be in all that time."""

    name: str
    bodies: Callable[[], Iterator[bytes]] = lambda: iter(())
    call_size: int = 1
    calls: int = 0
    expires: bool = False


async def stock(connection: asyncpg.Connection, ledger: int) -> None:
    """The culprit's business, with a product of so many lines; and what the database refuses."""
    await connection.execute(_BUSINESS, TENANT)
    await connection.execute(_ITEMS, TENANT, [HOT, HELD])
    await connection.execute(_LEVELS, TENANT, [HOT, HELD], PLENTY, ledger)
    await connection.execute(_LEDGER, TENANT, HOT, PLENTY, ledger)
    await connection.execute(_REFUSES)
    await connection.execute("VACUUM (ANALYZE) stock_movements")


async def hold_until_now(connection: asyncpg.Connection, number: int) -> None:
    """Opens so many holds, whose time and grace are over by now."""
    shard = shard_of(TENANT, SHARDS)
    await connection.execute(_HOLDS, TENANT, shard, HELD, m.GRACE_MS, number)
    await connection.execute(_RESERVED, HELD, number)


async def expired(connection: asyncpg.Connection) -> int:
    """How many holds have been returned."""
    query = "SELECT count(*) FROM reservations WHERE tenant_id = $1 AND status = 'expired'"
    return int(await connection.fetchval(query, TENANT))


def _counts() -> Iterator[bytes]:
    """Each of another moment, so that none rests on another's answer."""
    first_ms = SystemClock().now_ms() - _COUNTED_BEFORE_MS
    for number in range(10**9):
        yield encode_command(m.Count((m.CountLine(HOT, PLENTY, first_ms + number),)))


def _adjustments() -> Iterator[bytes]:
    """Of new items; after a hundred commands of the same ones."""
    made = (
        encode_command(m.Adjust(tuple(_one_more() for _ in range(m.MAX_LINES)), "other"))
        for _ in range(100)
    )
    return cycle(made)


def _one_more() -> m.Adjustment:
    return m.Adjustment(uuid7(), 1, None, "add")


def _holds(reference: str | None = None) -> Iterator[bytes]:
    while True:
        line = m.Line(HOT, 1)
        yield encode_command(m.Reserve(uuid7(), (line,), 86_400_000, reference))


CULPRITS = (
    Culprit("nobody"),
    Culprit("counts, dated back", _counts, calls=40),
    Culprit("1,000-line adjustments", _adjustments, calls=40),
    Culprit("refused rows", lambda: _holds(REFUSED), call_size=10, calls=4),
    Culprit("a flash sale", _holds, call_size=500, calls=8),
    Culprit("a mass expiry", expires=True),
)
