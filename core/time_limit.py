"""One time limit for very many blocks, without a timer for each."""

from __future__ import annotations

import asyncio
from types import TracebackType

TICK_SECONDS = 0.25


class TimeLimit:
    """What `asyncio.timeout` does for one block, for all that share one limit: none is ended
    before its `seconds` are over, and each soon after. All of them run in one loop.

    A timer of the loop's own costs as much as a tenth of the hottest requests, and hardly one of
    them ever fires. Since all blocks may take equally long, the first that began is the first to be
    due: one look at it every TICK_SECONDS does for all.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[_Block, float] = {}
        self._ticking = False

    def block(self) -> _Block:
        """To be used with `with`, once. Raises TimeoutError out of the block that is due."""
        return _Block(self)

    def _begin(self, block: _Block) -> None:
        loop = asyncio.get_running_loop()
        self._running[block] = loop.time() + self._seconds
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK_SECONDS, self._tick)

    def _end(self, block: _Block) -> None:
        self._running.pop(block, None)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._running:
            block, until = next(iter(self._running.items()))
            if until > now:
                loop.call_later(TICK_SECONDS, self._tick)
                return
            del self._running[block]
            block.expire()
        self._ticking = False


class _Block:
    __slots__ = ("_cancelling", "_is_expired", "_limit", "_task")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._is_expired = False

    def expire(self) -> None:
        self._is_expired = True
        self._task.cancel()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task has a time limit")
        self._task = task
        self._cancelling = task.cancelling()
        self._limit._begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._limit._end(self)
        # As asyncio.Timeout does it: another who cancels the task meanwhile has precedence.
        is_ours = self._is_expired and self._task.uncancel() <= self._cancelling
        if is_ours and kind is asyncio.CancelledError:
            raise TimeoutError from error
