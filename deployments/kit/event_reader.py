"""How consumers have events done: once for each, after what they tell of is durable.

A consumer's effect is written in the transaction that also notes that the event was seen to, so
that it happens exactly once however often processes die. Events of one tenant come in the order of
their commits. One that fails goes into a backlog with those that follow of its subject, and is
tried again and again, later and later; all others go on. Where a tenant's takes long to fail, all
that come of this tenant within a minute go there untried, and nothing of it is tried again as long,
else all other tenants would wait for each. In the end it is set aside, for `holdfast outbox` to
show, and its subject goes on without it.

Any number of processes may run the same consumers: the one that has the position works, batch by
batch, and the others find it taken. When it dies its transaction ends, and the next has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from itertools import groupby
from uuid import UUID

import msgspec

from core.background import is_cancelled, kept_running
from core.events import KINDS, Delivery, Event
from core.telemetry import EVENTS_FAILED, get_logger
from deployments.kit.consumers import Consumer, check_names
from deployments.kit.portions import Portion, is_slow
from store.kit import backlog
from store.kit import consumers as stored
from store.kit.backlog import Subject, Tried
from store.kit.consumers import Batch, Row, Settled
from store.kit.engine import Database, Scope, Transaction, rescope

# How long an event waits to be seen in a quiet copy, and the time between looks in a busy one.
POLL_SECONDS, BUSY_SECONDS = 1.0, 0.02
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
# Of a tenant for whom a handler failed slowly, events wait so long in the backlog.
SPARED_SECONDS = 60.0
MAX_SUBJECTS = 100
# Transactions of all consumers of a process at once: requests need the connections too.
MAX_AT_ONCE = 3

log = get_logger("consumers")


async def run(
    db: Database, consumers: Sequence[Consumer], *, poll_seconds: float = POLL_SECONDS
) -> None:
    """Works for these consumers until it is cancelled. Raises ValueError as `check_names`."""
    check_names(consumers)
    if not consumers:
        return
    settled, turns = Settled(), asyncio.Semaphore(MAX_AT_ONCE)
    readers = [_Reader(db, consumer, settled, turns) for consumer in consumers]
    async with asyncio.TaskGroup() as tasks:

        def begin(work: Callable[[], Awaitable[None]], name: str) -> None:
            tasks.create_task(kept_running(work, name))

        for reader in readers:
            begin(partial(_whenever, reader.is_behind, reader.read_on), "reading events")
            begin(partial(_whenever, reader.is_due, reader.catch_up), "trying events again")
        begin(partial(_watch, db, settled, readers, poll_seconds), "looking for events")


async def _watch(
    db: Database, settled: Settled, readers: Sequence[_Reader], poll_seconds: float
) -> None:
    """Looks what there is, and wakes the readers that are behind."""
    pause_seconds, before = 0.0, None
    while True:
        try:
            seen = await stored.look(db, settled.id)
            settled.see(seen)
            for reader in readers:
                await reader.notice(seen)
            now = (seen.newest, settled.id, *(reader.position for reader in readers))
            is_quiet = now == before
            pause_seconds = min(2 * pause_seconds, poll_seconds) if is_quiet else BUSY_SECONDS
            before = now
        except Exception as error:
            log.warning("events wait", reason=repr(error))
            pause_seconds = PAUSE_SECONDS
        await asyncio.sleep(pause_seconds)


async def _whenever(wanted: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            await work()
        except Exception as error:
            log.warning("events wait", reason=repr(error))
            await asyncio.sleep(PAUSE_SECONDS)


class _Reader:
    """One consumer in one process. `position` is where it was when this process looked last."""

    def __init__(
        self, db: Database, consumer: Consumer, settled: Settled, turns: asyncio.Semaphore
    ) -> None:
        self.position: int | None = None
        self.is_behind, self.is_due = asyncio.Event(), asyncio.Event()
        self._db, self._consumer = db, consumer
        self._settled, self._turns = settled, turns
        self._kinds = [event.kind for event in consumer.kinds]
        self._portion = Portion()
        # Until when what comes of a tenant goes to the backlog untried, by this process's clock.
        self._spared: dict[UUID, float] = {}

    async def notice(self, seen: stored.Look) -> None:
        """Wakes what is to be done; enters the consumer when it is seen for the first time."""
        settled = self._settled.id
        if settled is None:
            # With another server the position is another one, and the consumer may be unknown.
            self.position = None
            return
        if self.position is None:
            async with self._db.transaction(Scope()) as tx:
                await self._enter(tx, settled)
            self.position = 0
        if self.position < settled:
            self.is_behind.set()
        if seen.is_due:
            self.is_due.set()

    async def _enter(self, tx: Transaction, now: int) -> None:
        """Enters the consumer, if it is new, or was deleted although its code is there."""
        begins_at = now if self._consumer.begins == "now" else 0
        await stored.begin(tx, self._consumer.name, begins_at)

    async def read_on(self) -> None:
        """Sees to all that is settled, unless somebody else is at it."""
        while (self.position or 0) < (self._settled.id or 0):
            if not await self._batch():
                return

    async def _batch(self) -> bool:
        """Whether there may be more to do."""
        portion, position, batch = self._portion, 0, Batch([], None)
        began = time.monotonic()
        try:
            async with self._transaction(Scope()) as tx:
                began = time.monotonic()
                taken = await stored.take(tx, self._consumer.name)
                if taken is None:
                    await self._enter(tx, self.position or self._settled.id or 0)
                    return False
                self.position = position = taken
                upto = portion.upto(position, self._settled.id or 0)
                batch = await stored.read(
                    tx, self._consumer.name, position, upto, portion.size, self._kinds
                )
                if batch.last is None:
                    self.position = max(position, upto)
                    return portion.end_search()
                await self._see_to(tx, batch.rows)
                await stored.move(tx, self._consumer.name, batch.last)
        except Exception as error:
            if batch.last is None:
                raise
            is_alone, after_seconds = portion.is_last(batch), time.monotonic() - began
            if not is_alone:
                portion.failed(batch.last, after_seconds)
            await self._failed(position, batch, error, is_alone, after_seconds)
        else:
            self.position = batch.last
            portion.took(time.monotonic() - began)
        return True

    async def _see_to(self, tx: Transaction, rows: Sequence[Row]) -> None:
        """Handles what can be, tenant by tenant; what waits for an earlier one is put with it."""
        name, now = self._consumer.name, time.monotonic()
        self._spared = {tenant: until for tenant, until in self._spared.items() if until > now}
        of_tenant = sorted(rows, key=lambda row: (row.tenant_id.int, row.id))
        for tenant_id, some in groupby(of_tenant, key=lambda row: row.tenant_id):
            await rescope(tx, Scope(tenant_id))
            ready, waiting = list[Row](), list[Row]()
            spared_until = self._spared.get(tenant_id)
            for row in some:
                (ready if spared_until is None and not row.waits else waiting).append(row)
            if waiting:
                due_in_seconds = 0.0 if spared_until is None else spared_until - now
                await backlog.park(tx, name, waiting, problem="", due_in_seconds=due_in_seconds)
            await self._handle(tx, tenant_id, ready)

    async def _handle(self, tx: Transaction, tenant_id: UUID, rows: Sequence[Row]) -> None:
        deliveries = [_delivery(row) for row in rows]
        try:
            if self._consumer.handle_all is None:
                for delivery in deliveries:
                    await self._consumer.handle(tx, tenant_id, delivery)
            elif deliveries:
                await self._consumer.handle_all(tx, tenant_id, deliveries)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            # Not we were cancelled, but something that it waited for: else we would end unseen.
            raise RuntimeError("what it waited for was cancelled") from error

    async def _failed(
        self, position: int, batch: Batch, error: Exception, is_alone: bool, after_seconds: float
    ) -> None:
        """Nothing of the batch has happened, and less will be tried at once. One event that fails
        alone is parked."""
        if not is_alone:
            return
        name = self._consumer.name
        for row in batch.rows:
            self._note(row, error, attempts=1)
            pause_seconds = self._consumer.pause_seconds(1)
            async with self._transaction(Scope(row.tenant_id)) as tx:
                if await stored.take(tx, name) != position:
                    return
                pause_seconds += await self._spare(tx, row.tenant_id, after_seconds)
                await backlog.park(
                    tx, name, [row], problem=_words(error), due_in_seconds=pause_seconds
                )
                await stored.move(tx, name, row.id)
            self.position = row.id

    async def catch_up(self) -> None:
        """Tries again what is due of the backlog."""
        async with self._transaction(Scope()) as tx:
            subjects = await backlog.due_subjects(tx, self._consumer.name, MAX_SUBJECTS)
        for subject in subjects:
            while await self._try_first(subject):
                pass

    async def _try_first(self, about: Subject) -> bool:
        """Whether there may be more to do about the subject."""
        name, tried = self._consumer.name, None
        began = time.monotonic()
        try:
            async with self._transaction(Scope(about.tenant_id)) as tx:
                began = time.monotonic()
                tried = await backlog.first_due(tx, name, about)
                if tried is None:
                    return False
                await self._handle(tx, about.tenant_id, [tried.row])
                await backlog.done(tx, name, tried.row)
        except Exception as error:
            if tried is None:
                raise
            return await self._failed_again(tried, error, time.monotonic() - began)
        return True

    async def _failed_again(self, tried: Tried, error: Exception, after_seconds: float) -> bool:
        """Whether it was for the last time, so that its subject goes on."""
        attempts = tried.attempts + 1
        is_last = attempts >= self._consumer.max_attempts
        self._note(tried.row, error, attempts)
        async with self._transaction(Scope(tried.row.tenant_id)) as tx:
            pause_seconds = await self._spare(tx, tried.row.tenant_id, after_seconds)
            if not is_last:
                pause_seconds += self._consumer.pause_seconds(attempts)
            await backlog.failed(
                tx,
                self._consumer.name,
                tried,
                problem=_words(error),
                due_in_seconds=pause_seconds,
                is_last=is_last,
            )
        return is_last

    async def _spare(self, tx: Transaction, tenant_id: UUID, after_seconds: float) -> float:
        """Of a tenant for whom it took too long nothing is tried for a while; for how long."""
        if not is_slow(after_seconds):
            return 0.0
        self._spared[tenant_id] = time.monotonic() + SPARED_SECONDS
        await backlog.spare(tx, self._consumer.name, tenant_id, SPARED_SECONDS)
        return SPARED_SECONDS

    def _note(self, row: Row, error: Exception, attempts: int) -> None:
        name, is_last = self._consumer.name, attempts >= self._consumer.max_attempts
        EVENTS_FAILED.labels(name, "set_aside" if is_last else "again").inc()
        facts = {"event_id": str(row.event_id), "type": row.type, "tenant_id": str(row.tenant_id)}
        log.warning("event failed", consumer=name, attempts=attempts, reason=repr(error), **facts)

    @asynccontextmanager
    async def _transaction(self, scope: Scope) -> AsyncIterator[Transaction]:
        """A transaction: few are open at a time, and each ends in bounded time."""
        async with (
            self._turns,
            asyncio.timeout(TIMEOUT_SECONDS),
            self._db.transaction(scope) as tx,
        ):
            yield tx


def _words(error: Exception) -> str:
    """Of its text the first line: what follows may quote what was to be written. Nothing in it that
    cannot be stored: a failure that nobody can note would be tried forever, before all else."""
    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return said.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _delivery(row: Row) -> Delivery:
    event = _decoder(row.type)(row.data)
    return Delivery(row.event_id, row.subject, row.time, event)


@lru_cache
def _decoder(kind: str) -> Callable[[str], Event]:
    return msgspec.json.Decoder(KINDS[kind]).decode
