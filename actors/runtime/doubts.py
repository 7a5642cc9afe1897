"""What is no yes, and may be the answer to a command that was done before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence
from uuid import UUID

from actors.runtime.batch import Verdict
from actors.runtime.fetching import MAX_FETCH, Fetching
from actors.runtime.ports import Store
from core.telemetry import get_logger

log = get_logger("runtime.doubts")


class Doubts:
    """Refusals are told once the command log has said that their commands are new: nothing is
    written for them, so no commit can ask. One question at a time, for all that have gathered
    meanwhile. `tell` tells the callers."""

    def __init__(
        self, store: Store, fetching: Fetching, tell: Callable[[Sequence[Verdict]], None]
    ) -> None:
        self._store = store
        self._fetching = fetching
        self._tell = tell
        self._waiting: list[Verdict] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, verdicts: Sequence[Verdict]) -> None:
        self._waiting += verdicts
        if self._task is None and self._waiting:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:MAX_FETCH], self._waiting[MAX_FETCH:]
                await self._settle(some)
        finally:
            self._task = None

    async def _settle(self, verdicts: Sequence[Verdict]) -> None:
        """Who was answered before, or cannot be told from those, is looked up alone."""
        command_ids = [verdict.work.context.command_id for verdict in verdicts]
        try:
            known: Container[UUID] = await self._store.known(command_ids)
        except Exception as error:
            log.warning("the command log was not asked", reason=repr(error))
            known = command_ids
        for verdict in verdicts:
            if verdict.work.context.command_id in known:
                self._fetching.look_up(verdict.work)
        self._tell([one for one in verdicts if one.work.context.command_id not in known])

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
