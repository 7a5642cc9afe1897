"""Ends a process whose event loop hangs: its parent starts it again."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

LOOK_SECONDS = 0.5
# A lease is worth nothing to a host that hangs, but a renewal aside may keep it up permanently.
HUNG_SECONDS = 8.0
# Without a lease others wait for this process to go.
HUNG_WITHOUT_LEASE_SECONDS = 3.0


class Watchdog:
    """Looks from a thread whether the loop has turned. It counts its own looks, not the clock:
    while the whole process is stopped, or the machine asleep, the loop is not at fault.

    What holds the interpreter's lock stops this thread too; a process that is lost then is ended
    from outside, by pid.
    """

    def __init__(
        self,
        leave: Callable[[], None],
        holds_lease: Callable[[], bool] = lambda: True,
        *,
        hung_seconds: float = HUNG_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`leave` ends the process at once, from any thread."""
        self._leave = leave
        self._holds_lease = holds_lease
        self._limit_seconds = hung_seconds
        self._look_seconds = look_seconds
        self._turns = 0
        self._hung_seconds = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watches `loop`, from the thread that runs it, for as long as the process lives."""
        self._turn(loop)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        # A look may fall between two turns; the next one does not.
        loop.call_later(self._look_seconds, self._turn, loop)

    def _watch(self) -> None:
        seen = self._turns
        while not self.look(self._turns != seen):
            seen = self._turns
            time.sleep(self._look_seconds)

    def look(self, has_turned: bool) -> bool:
        """One look. Returns whether it has ended the process."""
        self._hung_seconds = 0.0 if has_turned else self._hung_seconds + self._look_seconds
        limit = self._limit_seconds if self._holds_lease() else HUNG_WITHOUT_LEASE_SECONDS
        if self._hung_seconds < limit:
            return False
        # Not by the log: its lock may be what the loop hangs on.
        with suppress(OSError, ValueError):
            print(f"The event loop hung for {limit:.0f} s; leaving.", file=sys.stderr, flush=True)  # noqa: T201
        self._leave()
        return True
