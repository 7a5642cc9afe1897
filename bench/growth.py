"""Growth: commands per second of a host while the database holds a thousand aggregates or a
million, and while they are one tenant's or a thousand tenants'; and what a host holds in memory
when all of them have been asked for. No HTTP, no Ray; see `engine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from random import randrange
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import psutil
import uvloop

from actors.families import encode_command
from actors.runtime.host import Host
from actors.runtime.wire import Envelope, encode
from actors.stock import model as m
from bench.engine import drive
from bench.ground import Ground
from bench.report import Ratio, Spread
from bench.shards import envelope, serving, warm
from core.ids import uuid7
from core.settings import Settings

CALL_SIZES = (50, 500)
# Of a host of two.
SHARDS = 128
PLENTY = 100_000_000
FEW, BETWEEN = 1_000, 10_000
# Commands that are made ready per second of measuring.
_READY = 60_000

_BUSINESSES = """
INSERT INTO businesses (id, name)
SELECT ('018f0000-0000-7000-9001-' || lpad(to_hex(n), 12, '0'))::uuid, 'Growth'
FROM generate_series(0, $1::int - 1) AS n"""
_GOODS = """
CREATE TEMP TABLE goods ON COMMIT DROP AS
SELECT ('018f0000-0000-7000-8002-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
  ('018f0000-0000-7000-9001-' || lpad(to_hex(n % $1::int), 12, '0'))::uuid AS tenant
FROM generate_series(0, $2::int - 1) AS n"""
_ITEMS = "INSERT INTO stock_items SELECT id, tenant, false, 0, 1, now() FROM goods"
_LEVELS = """
INSERT INTO stock_levels (product_id, location_id, tenant_id, on_hand, reserved, incoming,
  low_stock_threshold, low, floor, sequence, updated_at)
SELECT id, tenant, tenant, $1, 0, 0, 10, false, 0, 1, now() FROM goods"""
_FEWER_SHARDS = "UPDATE installation SET value = $1 WHERE name = 'shards'"


@dataclass(frozen=True, slots=True)
class Size:
    """So many products in the database, of so many tenants."""

    products: int
    tenants: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """Commands go over the first `asked_for` products of a size, in any order. `beside` is the
    row that it is compared with."""

    size: Size
    asked_for: int
    beside: str | None = None

    @property
    def name(self) -> str:
        size = self.size
        asked = "" if self.asked_for == size.products else f", {self.asked_for:,} of them in use"
        tenants = "1 tenant" if size.tenants == 1 else f"{size.tenants:,} tenants"
        return f"{size.products:,} products{asked}, {tenants}"


@dataclass(frozen=True, slots=True)
class GrowthRun:
    """`rates` are commands per second by call size, in each round. The rest is the host's, after
    all products of its size were asked for: how many states its memory held, its own count of
    their bytes, and by how many the process had grown."""

    row: Row
    rates: dict[int, list[float]]
    states: int
    counted_bytes: int
    grown_bytes: int

    def as_json(self) -> dict[str, Any]:
        rates = {size: [round(rate) for rate in some] for size, some in self.rates.items()}
        return asdict(self) | {"name": self.row.name, "rates": rates}


def rows(most_products: int, most_tenants: int) -> list[Row]:
    """What is measured: each beside the smallest of its kind."""
    few, one = Row(Size(FEW), FEW), Row(Size(BETWEEN), BETWEEN)
    most = Size(most_products)
    return [
        few,
        Row(most, FEW, few.name),
        Row(most, most.products, few.name),
        one,
        Row(Size(BETWEEN, most_tenants), BETWEEN, one.name),
    ]


def ratios(runs: Sequence[GrowthRun]) -> list[Ratio]:
    """How flat it is: 1 where growth costs nothing."""
    found = {run.row.name: run for run in runs}
    made = []
    for run in runs:
        if run.row.beside is None:
            continue
        base = found[run.row.beside]
        for size, rates in run.rates.items():
            values = [a / b for a, b in zip(rates, base.rates[size], strict=True)]
            name = f"growth, calls of {size}: {run.row.name} / {run.row.beside}"
            made.append(Ratio(name, Spread.of(values), None, "rate", len(values)))
    return made


@dataclass(frozen=True, slots=True)
class Growth:
    """How much is measured."""

    seconds: float
    rounds: int
    products: int = 1_000_000
    tenants: int = 1_000


def measure(ground: Ground, plan: Growth) -> list[GrowthRun]:
    """All rows, in rounds: all hosts live beside each other, one of them has work at a time."""
    wanted = rows(plan.products, plan.tenants)
    urls: dict[Size, str] = {}
    names: list[str] = []
    for size in dict.fromkeys(row.size for row in wanted):
        names.append(f"bench_growth_{len(names)}")
        settings = Settings.model_validate({"database_url": ground.fresh(names[-1], "holdfast")})
        ground.run(names[-1], partial(_fill, size=size))
        urls[size] = settings.host_database_url
    runs = uvloop.run(_measure(urls, wanted, plan))
    for name in names:
        ground.drop(name)
    return runs


async def _fill(connection: asyncpg.Connection, size: Size) -> None:
    async with connection.transaction():
        await connection.execute(_FEWER_SHARDS, str(SHARDS))
        await connection.execute(_BUSINESSES, size.tenants)
        await connection.execute(_GOODS, size.tenants, size.products)
        await connection.execute(_ITEMS)
        await connection.execute(_LEVELS, PLENTY)
    await connection.execute("VACUUM (ANALYZE) stock_items, stock_levels")


class _Memory(NamedTuple):
    states: int
    counted_bytes: int
    grown_bytes: int


async def _measure(
    urls: Mapping[Size, str], wanted: Sequence[Row], plan: Growth
) -> list[GrowthRun]:
    rates: dict[Row, dict[int, list[float]]] = {
        row: {size: [] for size in CALL_SIZES} for row in wanted
    }
    hosts, memory = {}, {}
    async with AsyncExitStack() as stack:
        for size, url in urls.items():
            before = psutil.Process().memory_info().rss
            hosts[size] = host = await stack.enter_async_context(serving(url))
            await _ask_for_all(host, size)
            grown = psutil.Process().memory_info().rss - before
            memory[size] = _Memory(len(host._memory), host._memory.bytes, grown)
        for row, call_size in product([*wanted] * plan.rounds, CALL_SIZES):
            ready = int(_READY * plan.seconds)
            blobs = [_call(row, call_size) for _ in range(ready // call_size)]
            answered, spent = await drive(hosts[row.size], blobs, 2, plan.seconds)
            rates[row][call_size].append(answered / spent)
    return [GrowthRun(row, rates[row], *memory[row.size]) for row in wanted]


async def _ask_for_all(host: Host, size: Size) -> None:
    for number in range(size.tenants):
        mine = range(number, size.products, size.tenants)
        await warm(host, _tenant(number), map(_product, mine), shards=SHARDS)


def _call(row: Row, call_size: int) -> bytes:
    return encode([_reserve(row) for _ in range(call_size)])


def _reserve(row: Row) -> Envelope:
    number = randrange(row.asked_for)
    hold = m.Reserve(uuid7(), (m.Line(_product(number), 1),), 86_400_000)
    tenant = _tenant(number % row.size.tenants)
    return envelope(tenant, "bench", encode_command(hold), shards=SHARDS)


def _product(number: int) -> UUID:
    return UUID(f"018f0000-0000-7000-8002-{number:012x}")


def _tenant(number: int) -> UUID:
    return UUID(f"018f0000-0000-7000-9001-{number:012x}")
