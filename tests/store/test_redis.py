"""Redis may vanish or stall: callers hear so soon, and it is asked again in time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from core.settings import Settings
from store.embedded import valkey
from store.embedded.server import Server
from store.kit import redis as module
from store.kit.redis import Redis, RedisUnavailable
from tests.conftest import fresh_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fresh_settings(tmp_path / "home")


def started(settings: Settings) -> Server:
    server = valkey.start(settings)
    server.wait_ready(30)
    return server


async def attempts(client: Redis, count: int) -> float:
    """Seconds that `count` vain attempts take."""
    began = time.monotonic()
    for _ in range(count):
        with pytest.raises(RedisUnavailable):
            await client.add({"k": 1}, ttl_seconds=60)
    return time.monotonic() - began


async def test_a_stall_costs_one_caller_half_a_second(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 3.0)
    server = started(settings)
    client = Redis(settings.effective_redis_url)
    try:
        assert await client.add({"k": 2, "m": 1}, ttl_seconds=60) == {"k": 2, "m": 1}
        os.kill(server.pid, signal.SIGSTOP)
        assert await attempts(client, 50) < 10
    finally:
        os.kill(server.pid, signal.SIGCONT)
        await client.close()
        server.stop(5)


async def test_it_is_found_again_after_a_restart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    server = started(settings)
    client = Redis(settings.effective_redis_url)
    try:
        await client.add({"k": 1}, ttl_seconds=60)
        server.stop(5)
        assert await attempts(client, 20) < 8
        server = started(settings)
        assert await client.add({"m": 1}, ttl_seconds=60) == {"m": 1}
        await client.set("v", b"x", ttl_seconds=60)
        assert await client.get_many(["v", "none"]) == [b"x", None]
        await client.delete("v")
        assert await client.get_many(["v"]) == [None]
    finally:
        await client.close()
        server.stop(5)


async def test_it_leaves_no_connection_behind_whoever_asks_while_it_closes(
    embedded: Settings,
) -> None:
    for _ in range(10):
        redis = Redis(embedded.effective_redis_url)
        users = [asyncio.create_task(_ask_until_it_is_away(redis)) for _ in range(10)]
        while not (pool := redis._client.connection_pool)._in_use_connections:
            await asyncio.sleep(0)
        await redis.close()
        await asyncio.gather(*users)
        left = (*pool._available_connections, *pool._in_use_connections)
        assert not any(connection.is_connected for connection in left)


async def _ask_until_it_is_away(redis: Redis) -> None:
    with suppress(RedisUnavailable):
        while True:
            await redis.set("k", b"x" * 10_000, ttl_seconds=60)
