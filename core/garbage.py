"""How often Python looks for cycles in a process that serves, and when memory goes back."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress

import psutil

YOUNG_OBJECTS = 50_000
TIDY_EVERY_SECONDS = 10.0
# Less than this is not worth the look.
GROWN_BYTES = 32 * 1024 * 1024


def collect_seldom() -> None:
    """Call it once a process has what it keeps for good.

    By default the collector runs with every few hundred new objects, and a batch of commands makes
    tens of thousands, hardly any of them in a cycle: it took half of a host's time. What is there
    already is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


class Tidying:
    """Gives back what a burst of requests needed, once it is over.

    What was under way when the collector came by it takes for old, and looks at again only after
    millions of new objects; and what is free within the process the system's allocator keeps.
    """

    def __init__(self, resident_bytes: Callable[[], int] | None = None) -> None:
        self._resident_bytes = resident_bytes or _resident_bytes
        self._least = self._resident_bytes()

    async def run(self) -> None:
        """Tidies, for good."""
        while True:
            await asyncio.sleep(TIDY_EVERY_SECONDS)
            self.tidy()

    def tidy(self) -> bool:
        """Tidies if the process has grown since it last did; whether it did."""
        if self._resident_bytes() < self._least + GROWN_BYTES:
            return False
        gc.collect()
        _trim()
        self._least = self._resident_bytes()
        return True


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def _trim() -> None:
    """Has the allocator give back what is free; GNU's alone must be asked."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
