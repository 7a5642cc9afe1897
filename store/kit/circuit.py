"""Whether the database answers at all, so that no caller waits for a silent one.

A server that is down says so at once. One that is stopped, or out of reach, says nothing: a caller
would wait for the whole of a time limit, and so would each after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from core.errors import Unavailable
from store.kit.connect import FAILURES

SUSPICIOUS_AFTER_SECONDS = 1.0
PROBE_TIMEOUT_SECONDS = 1.0
PROBES_TO_BE_SURE = 2
_PAUSE_SECONDS = 0.25


class Circuit:
    """Frames every use of one database. When a use has taken long, `probe` asks the server on a
    connection of its own. Silence opens the circuit: callers that wait inside are sent away, later
    ones are refused at once, until a probe is answered again."""

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        self._probe = probe
        self._is_open = False
        self._inside: dict[asyncio.Timeout, float] = {}  # each with its beginning, oldest first
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """Raises Unavailable at once while the circuit is open, and TimeoutError inside the block
        when it opens meanwhile."""
        if self._is_open:
            raise Unavailable("The database does not answer. Repeat with the same key.")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            self._inside[limit] = loop.time()
            if self._watching is None or self._watching.done():
                self._watching = loop.create_task(self._watch())
            try:
                yield
            finally:
                del self._inside[limit]

    async def _watch(self) -> None:
        """Runs while a caller is inside, or the circuit is open."""
        loop = asyncio.get_running_loop()
        while self._inside:
            await asyncio.sleep(SUSPICIOUS_AFTER_SECONDS / 2)
            since = next(iter(self._inside.values()), loop.time())
            if loop.time() - since >= SUSPICIOUS_AFTER_SECONDS:
                await self._until_answered()

    async def _until_answered(self) -> None:
        silences = 0
        while await self._is_silent():
            silences += 1
            if silences >= PROBES_TO_BE_SURE:
                self._open()
            await asyncio.sleep(_PAUSE_SECONDS)
        self._is_open = False

    async def _is_silent(self) -> bool:
        """Any answer shows that the server is there, also an error: the callers find out what it
        means."""
        with suppress(*(kind for kind in FAILURES if kind is not TimeoutError)):
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                    await self._probe()
            except TimeoutError:
                return True
        return False

    def _open(self) -> None:
        self._is_open = True
        now = asyncio.get_running_loop().time()
        for limit in self._inside:
            if not limit.expired():
                limit.reschedule(now)

    async def close(self) -> None:
        """Ends the watch."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
