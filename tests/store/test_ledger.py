"""What moved since a moment, looked up: the same as adding up the ledger, without walking it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from actors.runtime.family import Key
from core.ids import uuid7
from core.settings import Settings
from store.inventory import stock
from tests.store.plans import buffers

_READ = stock.TABLES.reads["moved_after"]
_START_MS = 1_700_000_000_000
# Sequences have gaps: a threshold that is set takes one, and no line.
_WRITE = """
INSERT INTO stock_movements (product_id, location_id, sequence, tenant_id, kind, on_hand_delta,
  reserved_delta, incoming_delta, on_hand_after, reserved_after, incoming_after, command_id,
  created_by, occurred_at, recorded_at)
SELECT $1, $2, sequence, $2, 'sold', delta, 0, 0, after, 0, 0, uuidv7(), 'x',
  to_timestamp(occurred / 1000.0), to_timestamp(recorded / 1000.0)
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
  AS line(sequence, delta, after, occurred, recorded)"""
_LONG = """
INSERT INTO stock_movements (product_id, location_id, sequence, tenant_id, kind, on_hand_delta,
  reserved_delta, incoming_delta, on_hand_after, reserved_after, incoming_after, command_id,
  created_by, occurred_at, recorded_at)
SELECT $1, $2, n, $2, 'sold', -1, 0, 0, -n, 0, 0, uuidv7(), 'x', at, at
FROM generate_series(1, 20000) AS n, LATERAL (SELECT to_timestamp($3 / 1000.0 + n) AS at) AS t"""


@pytest.fixture
async def connection(embedded: Settings) -> AsyncIterator[asyncpg.Connection]:
    """As the shard hosts see the database; nothing of it stays."""
    opened = await asyncpg.connect(embedded.owner_database_url)
    await opened.execute("BEGIN; SET LOCAL ROLE holdfast_host")
    yield opened
    await opened.close()


def ledger(rng: random.Random, lines: int) -> list[tuple[int, ...]]:
    """Lines as (sequence, delta, after, occurred, recorded), of which some are dated back."""
    sequence, on_hand, recorded_ms = 0, 0, _START_MS
    made = []
    for _ in range(lines):
        sequence += rng.choice((1, 1, 1, 2, 5))
        recorded_ms += rng.choice((0, 0, 1, 10, 1_000))
        delta = rng.randint(-5, 9)
        on_hand += delta
        late_ms = rng.choice((0, 0, 0, 1, 500, 20_000))
        made.append((sequence, delta, on_hand, recorded_ms - late_ms, recorded_ms))
    return made


async def moved_after(
    connection: asyncpg.Connection, product: UUID, place: UUID, moments_ms: list[int]
) -> list[int]:
    keys = [Key("moved_after", 0, place, product, (place, at), True) for at in moments_ms]
    rows = await connection.fetch(_READ.statement, *_READ.arguments(keys))
    found = {row[0]: row[3] for row in rows}
    return [found[place] for place in range(1, len(keys) + 1)]


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 40, 300])
async def test_it_is_what_the_ledger_adds_up_to(connection: asyncpg.Connection, lines: int) -> None:
    for seed in range(10):
        rng = random.Random(seed)
        product, place = uuid7(), uuid7()
        made = ledger(rng, lines)
        if made:
            await connection.execute(_WRITE, product, place, *map(list, zip(*made, strict=True)))
        known = {at for line in made for at in line[3:]}
        moments = sorted({at + shift for at in known for shift in (-1, 0, 1)} | {_START_MS})
        moments = rng.sample(moments, min(60, len(moments)))
        sums = [sum(line[1] for line in made if line[3] > at) for at in moments]
        assert await moved_after(connection, product, place, moments) == sums, f"seed {seed}"


async def test_a_long_ledger_is_not_walked(connection: asyncpg.Connection) -> None:
    product, place = uuid7(), uuid7()
    await connection.execute(_LONG, product, place, _START_MS)
    for seconds in (-5, 5, 10_000, 19_995, 30_000):
        at = _START_MS + seconds * 1_000
        (moved,) = await moved_after(connection, product, place, [at])
        assert moved == -max(20_000 - max(seconds, 0), 0)
        arguments: list[Any] = _READ.arguments(
            [Key("moved_after", 0, place, product, (place, at), True)]
        )
        assert await buffers(connection, _READ.statement, *arguments) < 200
