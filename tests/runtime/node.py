"""One process of a host in a test, which can be killed and stopped, and its clocks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from actors.runtime.call import Calls
from actors.runtime.family import Families
from actors.runtime.host import Host
from actors.runtime.ports import HostLost
from actors.runtime.wire import (
    decode_envelopes,
)
from core.clock import SystemClock
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import HostStore
from store.hosts.leases import Incarnation

# No process ever has such a number: a restarted host sees that its predecessor is gone.
DEAD_PIDS = itertools.count(2**23)


class SteerableClock:
    """The machine's clocks, which a test may set ahead, with or without calibration."""

    def __init__(self, *, calibrates: bool = True) -> None:
        self._system = SystemClock()
        self.calibrates = calibrates
        self.ahead_ms = 0
        self.boot_ahead_seconds = 0.0

    def now_ms(self) -> int:
        return self._system.now_ms() + self.ahead_ms

    def boot_seconds(self) -> float:
        return self._system.boot_seconds() + self.boot_ahead_seconds

    def calibrate(self, database_now_ms: int, sent_ms: int, received_ms: int) -> None:
        if self.calibrates:
            self._system.calibrate(database_now_ms, sent_ms, received_ms)


class GatedStore:
    """A host's store whose process may be stopped: while it is, no call begins or returns."""

    def __init__(self, store: Any, awake: asyncio.Event) -> None:
        self._store = store
        self._awake = awake

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._store, name)

        async def gated(*arguments: Any) -> Any:
            await self._awake.wait()
            try:
                return await method(*arguments)
            finally:
                await self._awake.wait()

        return gated


class Node:
    """One process of a host, from its start to its death."""

    def __init__(
        self, store: Any, clock: Any, families: Families, sever: Callable[[Any], None]
    ) -> None:
        self.store = store
        self.incarnation: Incarnation = store.host
        self.name = self.incarnation.name
        self.clock = clock
        self._sever = sever
        self.awake = asyncio.Event()
        self.awake.set()
        self.left = False
        self.dead = asyncio.Event()
        self._calls = Calls()
        self.host = Host(GatedStore(self.store, self.awake), families, clock, self._leave)
        self._started: asyncio.Task[None] | None = None

    def _leave(self) -> None:
        self.left = True
        self.kill()

    @property
    def serves(self) -> bool:
        """Whether it has a socket by now, and still."""
        return self.alive and self._started is not None and self._started.done()

    @property
    def alive(self) -> bool:
        return not self.dead.is_set()

    async def started(self) -> None:
        """Starts the host as its Ray actor does. Raises HostLost when it dies meanwhile."""
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        await asyncio.wait({self._started})
        if not self.alive:
            raise HostLost(self.name)

    async def _start(self) -> None:
        while self.alive:
            try:
                await self.host.start()
                return
            except OutcomeUnknown:
                await asyncio.sleep(0.2)

    def kill(self) -> None:
        """The end without a goodbye: sockets first, so that nothing more is said on them."""
        self.dead.set()
        self._sever(self.store)
        self.awake.set()
        for task in self._tasks():
            task.cancel()

    def _tasks(self) -> list[asyncio.Task[None]]:
        own = [self._started] if self._started is not None else []
        return [*self.host._tasks, *own]

    async def gone(self) -> None:
        """Returns when nothing of the process runs any more. A roll-back that fails takes the
        place of the cancellation that it was for, so one may not be enough."""
        pending = set(self._tasks())
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.1)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.awake.clear()

    def thaw(self) -> None:
        """SIGCONT."""
        if self.alive:
            self.awake.set()

    async def submit(self, blob: bytes) -> bytes:
        """What its Ray actor does with a call."""
        await self.awake.wait()
        await self.started()
        part = await self._calls.first(self.host.take(decode_envelopes(blob)))
        await self.awake.wait()
        return part

    async def more(self, number: int) -> bytes:
        """What its Ray actor does when it is asked for more answers."""
        await self.awake.wait()
        part = await self._calls.more(number)
        await self.awake.wait()
        return part


async def _never() -> Any:
    raise OSError("this process is dead")


def sever(store: HostStore) -> None:
    """Ends a dead host's connections; what is left of its tasks must not make new ones."""
    for connection in store.connections:
        connection._connect = _never
        connection.drop()
