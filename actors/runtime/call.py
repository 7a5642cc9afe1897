"""The answers of one call, which come one by one."""

from __future__ import annotations

import asyncio
from itertools import count

from actors.runtime.wire import Answer, PartialAnswers, encode

# Of calls that are not answered yet, and how long they are kept for a replica that asks for the
# rest: after that, a caller that lives has given up.
MAX_OPEN_CALLS = 10_000
MAX_UNASKED_SECONDS = 60.0


class Call:
    """Commands that came together. `deliver` is called once for each."""

    def __init__(self, size: int) -> None:
        self._fresh: list[tuple[int, Answer]] = []
        self._arrived = asyncio.Event()
        self.left = size

    def deliver(self, place: int, answer: Answer) -> None:
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
        answers: dict[int, Answer] = {}
        while self.left or self._fresh:
            answers.update(await self.some())
        return [answers[place] for place in sorted(answers)]


class Calls:
    """Calls whose answers are fetched one part after the other, because a call over Ray returns
    once."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Call, asyncio.TimerHandle]] = {}
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._open)

    async def first(self, call: Call) -> bytes:
        """The answers that are there first, and under which number `more` gives the others."""
        return await self._part(call, next(self._numbers))

    async def more(self, number: int) -> bytes:
        """Answers that have come since. Raises KeyError for a call of another process, and for one
        that was given up."""
        return await self._part(self._take(number), number)

    async def _part(self, call: Call, number: int) -> bytes:
        answers = await call.some()
        if not call.left:
            return encode(PartialAnswers(0, answers))
        timer = asyncio.get_running_loop().call_later(MAX_UNASKED_SECONDS, self._take, number)
        self._open[number] = call, timer
        while len(self._open) > MAX_OPEN_CALLS:
            self._take(next(iter(self._open)))
        return encode(PartialAnswers(number, answers))

    def _take(self, number: int) -> Call:
        call, timer = self._open.pop(number)
        timer.cancel()
        return call
