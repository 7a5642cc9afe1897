"""Refusals of commands that may have been done before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence
from uuid import UUID

from actors.runtime.batch import Verdict
from actors.runtime.fetching import MAX_FETCH, Fetching
from actors.runtime.ports import Store
from core.telemetry import get_logger

log = get_logger("runtime.unsure_refusals")


class UnsureRefusals:
    """Refusals are answered once the command log has said that their commands are new: nothing is
    written for them, so no commit can ask. One question at a time, for all that have gathered
    meanwhile. `answer` passes verdicts on to their callers."""

    def __init__(
        self, store: Store, fetching: Fetching, answer: Callable[[Sequence[Verdict]], None]
    ) -> None:
        self._store = store
        self._fetching = fetching
        self._answer = answer
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
        """A command that was decided before, or perhaps was, is looked up alone."""
        command_ids = [verdict.work.context.command_id for verdict in verdicts]
        try:
            known: Container[UUID] = await self._store.known(command_ids)
        except Exception as error:
            log.warning("the command log was not asked", reason=repr(error))
            known = command_ids
        for verdict in verdicts:
            if verdict.work.context.command_id in known:
                self._fetching.look_up(verdict.work)
        new = [verdict for verdict in verdicts if verdict.work.context.command_id not in known]
        self._answer(new)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
