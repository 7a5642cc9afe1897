"""Keeping a host's lease: renewed once a second, however long its batches take."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from actors.runtime.ports import Store
from actors.runtime.tenure import Tenure
from actors.runtime.upkeep import every
from core import telemetry
from core.clock import Clock
from core.telemetry import get_logger

T = TypeVar("T")

RENEW_SECONDS = 1.0

# Runs a coroutine beside the work loop; what it returns may be awaited there.
Aside = Callable[[Coroutine[Any, Any, T]], Awaitable[T]]

log = get_logger("runtime.lease")


class Renewal:
    """What it touches of the host are single values, so that it may run in a thread."""

    def __init__(
        self, store: Store, tenure: Tenure, clock: Clock, leave: Callable[[], None]
    ) -> None:
        self._store = store
        self._tenure = tenure
        self._clock = clock
        self._leave = leave

    async def once(self) -> None:
        """Raises OutcomeUnknown when the database cannot be asked."""
        sent_boot_seconds, sent_ms = self._clock.boot_seconds(), self._clock.now_ms()
        database_now_ms = await self._store.renew(self._tenure.decided_at_ms)
        if database_now_ms is None:
            log.error("fenced: the shards of this host were taken")
            telemetry.FENCED.labels("all").inc()
            self._tenure.end()
            self._leave()
            return
        self._clock.calibrate(database_now_ms, sent_ms, self._clock.now_ms())
        self._tenure.renewed(sent_boot_seconds)

    async def run(self) -> None:
        """Renews until the process ends."""
        await every(RENEW_SECONDS, self.once)


async def here(work: Coroutine[Any, Any, T]) -> T:
    """Beside the work loop, but in the same thread."""
    return await work


def in_thread(name: str) -> Aside[Any]:
    """A thread with a loop of its own: what runs there goes on while the work loop decides."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=name, daemon=True).start()

    async def aside(work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    return aside
