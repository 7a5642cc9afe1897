"""How often Python looks for cycles in a process that serves, and when memory goes back."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

YOUNG_OBJECTS = 5_000
# Times that many are looked at once more. A look at a million takes half a second, in which a host
# answers nobody, and one at a hundred thousand 50 ms.
YOUNG_ROUNDS = 3
# That many times more until all are looked at: after some twenty million objects that stayed.
OLD_ROUNDS = 1_000
TIDY_EVERY_SECONDS = 10.0
# Of a core; an idle process takes a tenth of that.
BUSY = 0.15


def collect_seldom() -> None:
    """Call it once a process has what it keeps permanently.

    By default the collector runs with every few hundred new objects, and a batch of commands makes
    tens of thousands, hardly any of them in a cycle: it took half of a host's time. What is there
    already is not looked at again, and what has outlived two looks hardly ever: that is states,
    answers that are remembered, connections, and goes by its references. What of it is in a cycle
    waits for that, or until somebody tidies.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS)


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """While modules are loaded: nothing of that is garbage, and to look for it takes a fourth of
    the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Tidying:
    """Gives back what a burst of requests needed, once it is over.

    What was under way when the collector came by it takes for old, and looks at again only after
    millions of new objects; and what is free within the process, the system's allocator keeps.
    """

    def __init__(self) -> None:
        self._spent_seconds = time.process_time()
        self._is_due = False

    async def run(self) -> None:
        """Tidies until the process ends."""
        while True:
            await asyncio.sleep(TIDY_EVERY_SECONDS)
            spent_seconds = time.process_time()
            self.look((spent_seconds - self._spent_seconds) / TIDY_EVERY_SECONDS)
            self._spent_seconds = spent_seconds

    def look(self, load: float) -> bool:
        """One look, at a process that was busy for the share `load` of the time since the last
        one. Returns whether it tidied: once after each burst, while nobody waits."""
        if load > BUSY:
            self._is_due = True
            return False
        if not self._is_due:
            return False
        self._is_due = False
        gc.collect()
        _trim()
        return True


def _trim() -> None:
    """Has the allocator give back what is free; GNU's alone must be asked."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
