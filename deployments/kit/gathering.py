"""Look-ups that share queries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Generic, TypeVar

from core.errors import Unavailable

LONGEST_SECONDS = 10.0

K = TypeVar("K", bound=Hashable)
W = TypeVar("W", bound=Hashable)
R = TypeVar("R")


class Gathering(Generic[K, W, R]):
    """Asks `look_up(key, wanted)` for many at once: while one query about a key is under way, all
    that is asked about it meanwhile gathers for the next. Thousands of questions then cost a few
    queries, and each answer was read after its question was put. A query that takes longer than
    LONGEST_SECONDS raises Unavailable."""

    def __init__(self, look_up: Callable[[K, set[W]], Awaitable[R]]) -> None:
        self._look_up = look_up
        # Only while somebody waits.
        self._queues: dict[K, _Queue[K, W, R]] = {}

    async def ask(self, key: K, wanted: Iterable[W]) -> R:
        """What the query found that looked up all of `wanted`, and what others wanted. Raises
        what it raised."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(key, self._look_up, self._forget_idle)
        return await queue.ask(wanted)

    def _forget_idle(self, key: K) -> None:
        """Not left to those who ask: the last of them may have hung up."""
        if self._queues[key].is_idle:
            del self._queues[key]


class _Queue(Generic[K, W, R]):
    def __init__(
        self,
        key: K,
        look_up: Callable[[K, set[W]], Awaitable[R]],
        answered: Callable[[K], None],
    ) -> None:
        self._key = key
        self._look_up = look_up
        self._answered = answered
        self._gathered: set[W] = set()
        self._next: asyncio.Task[R] | None = None
        self._turn = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        return self._next is None and not self._turn.locked()

    async def ask(self, wanted: Iterable[W]) -> R:
        self._gathered.update(wanted)
        if self._next is None:
            self._next = asyncio.create_task(self._answer())
            self._next.add_done_callback(self._done)
        # One who hangs up must not take the others' answer along.
        return await asyncio.shield(self._next)

    async def _answer(self) -> R:
        async with self._turn:
            wanted, self._gathered, self._next = self._gathered, set(), None
            try:
                # A database that falls silent must not hold up callers after it is back.
                async with asyncio.timeout(LONGEST_SECONDS):
                    return await self._look_up(self._key, wanted)
            except TimeoutError as error:
                raise Unavailable from error

    def _done(self, task: asyncio.Task[R]) -> None:
        if not task.cancelled():
            task.exception()  # Seen: perhaps nobody waits any more.
        self._answered(self._key)
