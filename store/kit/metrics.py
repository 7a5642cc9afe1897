"""Metrics of all processes in one text: each publishes its own to Redis, anyone may merge them.

Loss-tolerant: without Redis a process still shows its own figures.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest

from core.telemetry import REGISTRY
from store.kit.redis import Redis, RedisUnavailable

INTERVAL_SECONDS = 2.0
TTL_SECONDS = 10
MAX_PROCESSES = 512
_PREFIX = "holdfast:metrics"
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")


class MetricsPublisher:
    """Publishes this process's metrics under `process`, such as `replica-3` or `keeper`.

    `run` goes on until it is cancelled, and survives Redis.
    """

    def __init__(
        self,
        redis: Redis,
        process: str,
        *,
        registry: CollectorRegistry = REGISTRY,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        if not _NAME.fullmatch(process):
            raise ValueError(f"not a process name: {process!r}")
        self.process = process
        self._redis = redis
        self._registry = registry
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        while True:
            with suppress(RedisUnavailable):  # The next round reports the same and more.
                await self.publish()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The client of Redis may lose a cancellation that comes together with its own
                # time-out.
                raise asyncio.CancelledError
            await asyncio.sleep(self._interval_seconds)

    async def publish(self) -> None:
        """One round. Raises RedisUnavailable."""
        text = generate_latest(self._registry)
        with self._redis.asked() as client:
            pipeline = client.pipeline(transaction=False)
            pipeline.set(f"{_PREFIX}:{self.process}", text, ex=TTL_SECONDS)
            pipeline.zadd(_PREFIX, {self.process: time.time()})
            await pipeline.execute()


async def exposition(
    redis: Redis, process: str, *, registry: CollectorRegistry = REGISTRY
) -> bytes:
    """Prometheus text of every process that published lately, and of this one as it is now.

    One HELP and TYPE per family; each sample carries the label `process`.
    """
    try:
        texts = await _published(redis)
    except RedisUnavailable:
        texts = {}
    texts[process] = generate_latest(registry)
    # Parsing the text of many processes would hold up the event loop for too long.
    return await asyncio.to_thread(merge, texts)


async def _published(redis: Redis) -> dict[str, bytes]:
    oldest = time.time() - TTL_SECONDS
    with redis.asked() as client:
        await client.zremrangebyscore(_PREFIX, "-inf", oldest)
        members = cast(list[bytes], await client.zrevrange(_PREFIX, 0, MAX_PROCESSES - 1))
    names = [member.decode() for member in members]
    texts = await redis.get_many([f"{_PREFIX}:{name}" for name in names])
    return {name: text for name, text in zip(names, texts, strict=True) if text is not None}


def merge(texts: Mapping[str, bytes]) -> bytes:
    """One exposition out of many, `texts` by process name.

    Lines are sorted into their families as they stand: to parse each sample takes ten times as
    long, and this runs in a replica that has requests to answer.
    """
    families: dict[str, list[str]] = {}
    for process, text in sorted(texts.items()):
        label = f'process="{process}"'
        said: list[str] = []  # of the family that the lines belong to
        known = False
        for line in filter(None, text.decode().split("\n")):
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                known = name in families
                said = families.setdefault(name, [])
            if line.startswith("#"):
                if not known:
                    said.append(line)
            else:
                said.append(_labelled(line, label))
    # When a series began: three lines for each that is worth one.
    kept = (lines for name, lines in families.items() if not name.endswith("_created"))
    return "".join(f"{line}\n" for lines in kept for line in lines).encode()


def _labelled(line: str, label: str) -> str:
    """A sample with one more label."""
    name, brace, rest = line.partition("{")
    if brace:
        return f"{name}{{{label},{rest}"
    name, _, value = line.partition(" ")
    return f"{name}{{{label}}} {value}"
