"""Whether the database says what the answers said: a run that is not exact does not count."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import asyncpg
import httpx2

from bench import goods
from bench.contenders import Running
from bench.ground import Ground

SELL_OUT_REQUESTS = 600
SELL_OUT_CLIENTS = 64
_SETTLE_TIMEOUT_SECONDS = 15.0
_SETTLE_POLL_SECONDS = 0.15

# holds, units held, units that levels say are reserved, products whose holds exceed their stock,
# lines of the ledger (as many as holds where there is none).
_BASELINE = """
SELECT count(*), coalesce(sum(quantity), 0)::bigint,
  (SELECT sum(reserved) FROM stock)::bigint,
  (SELECT count(*) FROM (SELECT product_id, sum(quantity) AS held FROM holds GROUP BY 1) AS h
    JOIN stock s USING (product_id) WHERE h.held > s.on_hand),
  count(*)
FROM holds"""

_HOLDFAST = """
SELECT count(*), coalesce(sum(quantities[1]), 0)::bigint,
  (SELECT sum(reserved) FROM stock_levels)::bigint,
  (SELECT count(*) FROM (SELECT product_ids[1] AS product_id, sum(quantities[1]) AS held
    FROM reservations GROUP BY 1) AS h
    JOIN stock_levels s USING (product_id) WHERE h.held > s.on_hand OR h.held <> s.reserved),
  (SELECT count(*) FROM stock_movements WHERE kind = 'reserved')
FROM reservations"""


@dataclass(frozen=True, slots=True)
class Books:
    holds: int
    units: int
    reserved: int
    oversold: int
    ledger: int


class NotExact(Exception):
    """What was answered and what is in the database differ."""


def read(running: Running, ground: Ground) -> Books:
    """The books of holds once nothing moves any more. Raises NotExact."""
    query = _HOLDFAST if running.contender.kind == "holdfast" else _BASELINE
    return Books(*settled(running, ground, query))


def settled(running: Running, ground: Ground, query: str) -> tuple[int, ...]:
    """The one row of figures that `query` gives once it stays the same: what was under way when
    the load ended is done. Raises NotExact."""

    async def work(connection: asyncpg.Connection) -> tuple[int, ...]:
        return tuple(await connection.fetchrow(query))

    deadline = time.monotonic() + _SETTLE_TIMEOUT_SECONDS
    before = ground.run(running.database, work)
    while time.monotonic() < deadline:
        time.sleep(_SETTLE_POLL_SECONDS)
        after = ground.run(running.database, work)
        if after == before:
            return after
        before = after
    raise NotExact("the database did not come to rest")


def check(running: Running, before: Books, after: Books, granted: int, unheard: int) -> None:
    """Every hold that was granted is there, and at most as many more as there were requests whose
    answer the load did not wait for when its time was over. Raises NotExact."""
    added = after.holds - before.holds
    if not granted <= added <= granted + unheard:
        raise NotExact(f"{granted} holds were granted, the database has {added} more")
    if after.oversold:
        raise NotExact(f"{after.oversold} products were oversold")
    if after.ledger != after.holds:
        raise NotExact(f"{after.holds} holds, {after.ledger} lines of the ledger")
    if running.contender.name != "redis_counter" and after.reserved != after.units:
        raise NotExact(f"{after.units} units are held, levels say {after.reserved}")


def sell_out(running: Running, token: str) -> None:
    """Many clients want more than there is of one product, each waiting for its answer: exactly
    what there is must be granted, all else refused. Raises NotExact."""
    statuses = asyncio.run(_scramble(running.url, token))
    expected = {200: goods.FEW, 409: SELL_OUT_REQUESTS - goods.FEW}
    if statuses != expected:
        raise NotExact(f"answers to {SELL_OUT_REQUESTS} requests for {goods.FEW}: {statuses}")


async def _scramble(url: str, token: str) -> dict[int, int]:
    left = iter(range(SELL_OUT_REQUESTS))
    body = {"productId": str(goods.product_id(goods.SOLD_OUT)), "quantity": 1}
    body |= {"ttlSeconds": 86_400}
    statuses: dict[int, int] = {}

    async def client(http: httpx2.AsyncClient) -> None:
        for number in left:
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"sell-out-{number}"}
            answer = await http.post("/api/inventory/reserve", json=body, headers=headers)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1

    limits = httpx2.Limits(max_connections=SELL_OUT_CLIENTS)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=30) as http:
        await asyncio.gather(*(client(http) for _ in range(SELL_OUT_CLIENTS)))
    return statuses


def compare_with_api(running: Running, ground: Ground) -> None:
    """What Holdfast's owner of the hot product says of it, and what its row says, once nothing
    moves any more. Raises NotExact."""
    product = goods.product_id(goods.HOT)
    answer = httpx2.get(f"{running.url}/api/inventory/{product}", timeout=10)
    answer.raise_for_status()
    told = answer.json()["data"]

    async def work(connection: asyncpg.Connection) -> int:
        query = "SELECT on_hand - reserved FROM stock_levels WHERE product_id = $1"
        return int(await connection.fetchval(query, product))

    stored = ground.run(running.database, work)
    if told["quantity"] != stored:
        raise NotExact(f"the owner says {told['quantity']} are available, its row {stored}")
