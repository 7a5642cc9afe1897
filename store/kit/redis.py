"""Redis, which may be lost at any moment: no truth is kept there alone.

Every call ends within about a second, and ends in `RedisUnavailable` if Redis cannot answer;
callers go on without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import cast

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError  # noqa: A004

TIMEOUT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
MAX_CONNECTIONS = 16
MAX_CLOSING_SECONDS = 5.0


class RedisUnavailable(Exception):
    """Redis cannot be asked right now."""


class Redis:
    """A bounded pool of connections with short timeouts. Keys and members are text, values bytes.

    After a failure it is not asked again for PAUSE_SECONDS: while it is stalled, only one request a
    second pays for finding out. Once closed it is not asked any more.
    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._paused_until = 0.0
        self._inside = 0
        self._closed = False
        self._idle = asyncio.Event()
        self._client = aioredis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            max_connections=MAX_CONNECTIONS,
            # One repeat, for a pooled connection that a restarted server has forgotten.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        )

    @contextmanager
    def asked(self) -> Iterator[aioredis.Redis]:
        """The client, for modules of `store/`; whatever it raises becomes RedisUnavailable."""
        if self._closed:
            raise RedisUnavailable("it is closed")
        self._inside += 1
        try:
            yield self._client
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailable(str(error)) from error
        finally:
            self._inside -= 1
            if not self._inside:
                self._idle.set()

    @contextmanager
    def _guarded(self) -> Iterator[aioredis.Redis]:
        if time.monotonic() < self._paused_until:
            raise RedisUnavailable("it was away a moment ago")
        try:
            with self.asked() as client:
                yield client
        except RedisUnavailable:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            raise

    async def ping(self) -> None:
        with self._guarded() as client:
            await client.ping()

    async def add(self, amounts: Mapping[str, int], *, ttl_seconds: int) -> dict[str, int]:
        """Adds to counters, in one round trip; a counter expires `ttl_seconds` after the last
        addition. Returns their new values."""
        with self._guarded() as client:
            pipeline = client.pipeline(transaction=False)
            for key, amount in amounts.items():
                pipeline.incrby(key, amount)
                pipeline.expire(key, ttl_seconds)
            answers = await pipeline.execute()
        return dict(zip(amounts, answers[::2], strict=True))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            return []
        with self._guarded() as client:
            return cast(list[bytes | None], await client.mget(list(keys)))

    async def set(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        with self._guarded() as client:
            await client.set(key, value, ex=ttl_seconds)

    async def delete(self, *keys: str) -> None:
        with self._guarded() as client:
            await client.delete(*keys)

    async def close(self) -> None:
        """Ends its connections once none is in use: a caller whose connection is ended in use would
        ask once more, over a new one, which would never be ended."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_CLOSING_SECONDS):
                while self._inside:
                    self._idle.clear()
                    await self._idle.wait()
        with suppress(RedisError, OSError, TimeoutError):
            await self._client.aclose()
