"""The answers of one call, which come one by one."""

from __future__ import annotations

import asyncio

from actors.runtime.wire import Answer


class Call:
    """Commands that came together. `tell` is called once for each."""

    def __init__(self, size: int) -> None:
        self._fresh: list[tuple[int, Answer]] = []
        self._arrived = asyncio.Event()
        self.left = size

    def tell(self, place: int, answer: Answer) -> None:
        self._fresh.append((place, answer))
        self.left -= 1
        self._arrived.set()

    async def some(self) -> list[tuple[int, Answer]]:
        """Waits for answers, and returns those that have come since the last time."""
        if not self._fresh and self.left:
            await self._arrived.wait()
            # What was decided together is answered in one go.
            await asyncio.sleep(0)
        self._arrived.clear()
        fresh, self._fresh = self._fresh, []
        return fresh

    async def all(self) -> list[Answer]:
        """The answers in the order of the commands."""
        told: dict[int, Answer] = {}
        while self.left or self._fresh:
            told.update(await self.some())
        return [told[place] for place in sorted(told)]
