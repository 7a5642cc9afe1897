"""Tenants whose rows somebody else holds, such as an administrator's forgotten transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from actors.runtime.batch import Work
from actors.runtime.mailbox import Mailbox
from actors.runtime.wire import BUSY
from core import telemetry
from core.clock import Clock

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 4.0
# After a pause: a tenant that is blamed again within this time pauses for longer.
MEMORY_SECONDS = 10.0


class _Blamed(NamedTuple):
    pause_seconds: float
    until_seconds: float


class Locked:
    """A tenant that is blamed pauses, so that no batch waits for the same rows again and again: its
    callers are refused, and what falls due meanwhile comes before all else afterwards."""

    def __init__(self, mailbox: Mailbox, clock: Clock) -> None:
        self._mailbox = mailbox
        self._clock = clock
        self._blamed: dict[UUID, _Blamed] = {}
        self._pausing: set[UUID] = set()

    def threatens(self, works: Sequence[Work]) -> bool:
        """Whether what these write is most likely held: a tenant of theirs was blamed lately; or
        several were, since a transaction that holds a table is met by every tenant in turn."""
        if self._blamed:
            now = self._clock.boot_seconds()
            self._blamed = {
                tenant_id: blame
                for tenant_id, blame in self._blamed.items()
                if blame.until_seconds > now
            }
        return len(self._blamed) > 1 or any(
            work.context.tenant_id in self._blamed for work in works
        )

    def pauses(self, tenant_id: UUID) -> bool:
        return tenant_id in self._pausing

    def blame(self, work: Work) -> None:
        """Begins a pause for the tenant of a work that changes something."""
        tenant_id, now = work.context.tenant_id, self._clock.boot_seconds()
        before = self._blamed.get(tenant_id)
        pause = FIRST_PAUSE_SECONDS if before is None else before.pause_seconds * 2
        pause = min(pause, MAX_PAUSE_SECONDS)
        self._blamed[tenant_id] = _Blamed(pause, now + pause + MEMORY_SECONDS)
        self._pausing.add(tenant_id)
        self._mailbox.ready.hold(work)
        asyncio.get_running_loop().call_later(pause, self._go_on, work)

    def _go_on(self, work: Work) -> None:
        self._pausing.discard(work.context.tenant_id)
        self._mailbox.ready.release(work)
        self._mailbox.nudge()

    def refuse(self, works: Sequence[Work], left: list[Work]) -> list[Work]:
        """Answers callers whose tenants pause; what else there is of these is `left`. Returns the
        works of all others."""
        others = []
        for work in works:
            if not self.pauses(work.context.tenant_id):
                others.append(work)
            elif work.is_mutation:
                self._mailbox.answer(work, BUSY)
                telemetry.MAILBOX_REFUSED.labels(work.family.name, "locked").inc()
            else:
                left.append(work)
        return others
