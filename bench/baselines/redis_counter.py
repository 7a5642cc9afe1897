"""A counter in Redis, decided by a Lua script, and the hold's row in Postgres behind it.

Nobody waits for a row's lock. In exchange the count is no longer in the database: losing Redis, or
dying between the two writes, leaves a count that has to be made anew from the holds. Here the
answer waits for the row, since every contender answers only what is durable.
"""

from __future__ import annotations

from dataclasses import astuple

import asyncpg
import redis.asyncio as aioredis
from fastapi import FastAPI

from bench.baselines.http import Hold, make_app
from bench.baselines.pool import INSERT_HOLD, open_pool
from core.settings import Settings, get_settings

TAKE = """
local left = tonumber(redis.call('GET', KEYS[1]) or '0')
local wanted = tonumber(ARGV[1])
if left < wanted then return -1 end
return redis.call('DECRBY', KEYS[1], wanted)
"""
_CONNECTIONS = 16


class RedisCounter:
    """See `bench.baselines.http.Shop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = _client(settings)
        self._take = self._redis.register_script(TAKE)
        self._pool: asyncpg.Pool

    async def start(self) -> None:
        self._pool = await open_pool(self._settings)

    async def stop(self) -> None:
        await self._pool.close()
        await self._redis.aclose()

    async def reserve(self, hold: Hold) -> int | None:
        counter = _key(hold)
        available = int(await self._take(keys=[counter], args=[hold.quantity]))
        if available < 0:
            return None
        try:
            await self._pool.execute(INSERT_HOLD, *astuple(hold))
        except BaseException:
            await self._redis.incrby(counter, hold.quantity)
            raise
        return available


async def load_counters(settings: Settings) -> None:
    """Makes the counters from the database: before the first request, and after losing Redis."""
    client = _client(settings)
    connection = await asyncpg.connect(settings.owner_database_url)
    try:
        rows = await connection.fetch(
            "SELECT tenant_id, product_id, on_hand - coalesce((SELECT sum(quantity) FROM holds h"
            " WHERE h.product_id = s.product_id AND status = 'open'), 0)::bigint FROM stock s"
        )
        await client.flushdb()
        await client.mset({f"stock:{row[0]}:{row[1]}": row[2] for row in rows})
    finally:
        await connection.close()
        await client.aclose()


def _client(settings: Settings) -> aioredis.Redis:
    pool = aioredis.BlockingConnectionPool.from_url(
        settings.effective_redis_url, max_connections=_CONNECTIONS, timeout=10
    )
    return aioredis.Redis.from_pool(pool)


def _key(hold: Hold) -> str:
    return f"stock:{hold.tenant_id}:{hold.product_id}"


def app() -> FastAPI:
    settings = get_settings()
    return make_app(RedisCounter(settings), settings)
