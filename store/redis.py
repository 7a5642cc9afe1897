"""The way to Redis, which may be lost at any moment: nothing that is true lives there only.

Every call ends within about a second, and ends in `RedisUnavailable` if Redis cannot answer;
callers go on without it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError  # noqa: A004

TIMEOUT_SECONDS = 0.5
PAUSE_SECONDS = 1.0
MAX_CONNECTIONS = 16


class RedisUnavailable(Exception):
    """Redis cannot be asked right now."""


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turns whatever the client raises into `RedisUnavailable`."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise RedisUnavailable(str(error)) from error


class Redis:
    """A bounded pool of connections with short timeouts. Keys and members are text, values bytes.

    After a failure it is not asked again for PAUSE_SECONDS: while it is stalled, only one request
    a second pays for finding out. `client` is for the modules of `store/`, which wrap it in
    `unavailable_on_failure`.
    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._paused_until = 0.0
        self.client = aioredis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            max_connections=MAX_CONNECTIONS,
            # Once more, for a pooled connection that a restarted server has forgotten.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        if time.monotonic() < self._paused_until:
            raise RedisUnavailable("it was away a moment ago")
        try:
            with unavailable_on_failure():
                yield
        except RedisUnavailable:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            raise

    async def ping(self) -> None:
        with self._guarded():
            await self.client.ping()

    async def add(self, amounts: Mapping[str, int], *, ttl_seconds: int) -> dict[str, int]:
        """Adds to counters, in one round trip; they vanish `ttl_seconds` after the last time.
        Returns their new values."""
        with self._guarded():
            pipeline = self.client.pipeline(transaction=False)
            for key, amount in amounts.items():
                pipeline.incrby(key, amount)
                pipeline.expire(key, ttl_seconds)
            answers = await pipeline.execute()
        return dict(zip(amounts, answers[::2], strict=True))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            return []
        with self._guarded():
            return cast(list[bytes | None], await self.client.mget(list(keys)))

    async def set(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        with self._guarded():
            await self.client.set(key, value, ex=ttl_seconds)

    async def delete(self, *keys: str) -> None:
        with self._guarded():
            await self.client.delete(*keys)

    async def close(self) -> None:
        with unavailable_on_failure():
            await self.client.aclose()
