"""Turns: expensive requests that are open to everyone run a few at a time, so that no others wait
for them.

A replica has one event loop and the database a few processors. However many people list or search,
both are free for signing in, selling and `/ready`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import Unavailable
from core.telemetry import TURNS_REFUSED

# Of the six connections that public reads have (`store.kit.engine`), two are left for cheap ones.
AT_ONCE = 4
MAX_WAITING = 64
# One caller, however many connections it opens, leaves half of the places to others.
MAX_PER_CALLER = 32
MAX_WAIT_SECONDS = 2.0


class Turns:
    """AT_ONCE callers have their turn in a replica; others wait for one, in order and within
    bounds."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._callers: Counter[str] = Counter()
        self._inside = 0

    @asynccontextmanager
    async def take(self, caller: str) -> AsyncIterator[None]:
        """A turn for as long as the block lasts. Raises Unavailable when too many are waiting, or
        it took too long to come."""
        if self._inside >= AT_ONCE + MAX_WAITING or self._callers[caller] >= MAX_PER_CALLER:
            raise self._refusal("full")
        self._inside += 1
        self._callers[caller] += 1
        try:
            await self._wait()
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._inside -= 1
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            raise self._refusal("late") from error

    def _refusal(self, reason: str) -> Unavailable:
        TURNS_REFUSED.labels(reason).inc()
        return Unavailable("Too many lists are being read; try again.", retry_after_seconds=1)
