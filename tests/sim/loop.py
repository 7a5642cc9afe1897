"""An event loop in which time passes only when everybody waits, and everything that happens,
happens in the same order each time.

What asyncio leaves to chance are sets of futures and tasks, whose order is that of their
addresses; here each has a number instead.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingWillHappen(Exception):
    """Everybody waits, and for nothing that could still come: a deadlock."""


class _Numbered:
    number: int

    def __hash__(self) -> int:
        return self.number


class _Future(_Numbered, asyncio.Future[Any]):
    pass


class _Task(_Numbered, asyncio.Task[Any]):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.number = next(options["loop"].numbers)
        super().__init__(*arguments, **options)


class _NoSelector(selectors.SelectSelector):
    """Waits for no file: lets the time pass that would have been waited."""

    def __init__(self, let_pass: Callable[[float], None]) -> None:
        super().__init__()
        self._let_pass = let_pass

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingWillHappen
        self._let_pass(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at time 0."""

    def __init__(self) -> None:
        self._now = 0.0
        self.numbers = itertools.count()
        super().__init__(_NoSelector(self._pass))
        self.set_task_factory(_task)

    def _pass(self, seconds: float) -> None:
        self._now += seconds

    def time(self) -> float:
        return self._now

    def create_future(self) -> asyncio.Future[Any]:
        future = _Future.__new__(_Future)
        future.number = next(self.numbers)
        future.__init__(loop=self)  # type: ignore[misc]
        return future


def _task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any) -> Any:
    return _Task(work, loop=loop, **options)


def simulate(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs `main` to its end in a loop of its own. Raises NothingWillHappen on a deadlock."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(_ended(asyncio.all_tasks(loop)))
        asyncio.set_event_loop(None)
        loop.close()


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    pending = tasks - {asyncio.current_task()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
