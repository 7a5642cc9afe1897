"""A shard host: takes commands, decides them in memory, commits them together, then answers.

Nothing leaves before every batch that it depends on has committed: a decision is answered after
the commit of its batch, and what is read at once is what was committed before. One transaction is
open at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import msgspec

from actors.runtime.batch import (
    Decided,
    Tell,
    Work,
    context_of,
    decide_batch,
    due_work,
    in_halves,
    lane,
)
from actors.runtime.call import Call
from actors.runtime.family import Families, sizes_of
from actors.runtime.fetching import Fetching
from actors.runtime.lease import Aside, Renewal, here
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory, Working
from actors.runtime.ownership import Ownership
from actors.runtime.ports import Store
from actors.runtime.tenure import Tenure
from actors.runtime.upkeep import every, is_running
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope, Outcome
from core import telemetry
from core.clock import Clock
from core.telemetry import get_logger
from store.journal import Fenced, OutcomeUnknown, Rejected, Why
from store.leases import Shard

LOOK_AROUND_SECONDS = 1.0
SWEEP_SECONDS = 0.25
MAX_DUE_AT_ONCE = 500
# Of deciding, before a batch is committed: what is left is decided in the next one.
MAX_DECIDE_SECONDS = 0.05
# A tenant whose data was refused is decided apart from the others for so long.
SUSPICION_SECONDS = 10.0
# Of looking for culprits, once one was found: what is left is decided in the next batch.
MAX_SEARCH_SECONDS = 0.05
# Between the clocks of a replica and a host, both calibrated with the database.
MAX_CLOCK_SKEW_MS = 1_000

REJECTED = {
    Why.DATA: Answer(Outcome.REJECTED),
    Why.BROKEN: Answer(Outcome.BROKEN),
    Why.STALE: ASK_AGAIN,
}

log = get_logger("runtime.host")


@dataclass(slots=True)
class _Search:
    """For those whose data is refused, in one batch: until when, whether one was `found`, and who
    is `left` for the next batch."""

    until_seconds: float
    found: bool = False
    left: list[Work] = field(default_factory=list)


class Host:
    """One incarnation. `leave` ends the process at once; it is called when the host is fenced.
    `aside` runs what renews the lease: in a thread, where there is one to spare."""

    def __init__(
        self,
        store: Store,
        families: Families,
        clock: Clock,
        leave: Callable[[], None],
        aside: Aside[None] = here,
    ) -> None:
        self._store = store
        self._families = families
        self._clock = clock
        self._aside = aside
        self._mailbox = Mailbox()
        self._memory = Memory(size=sizes_of(families))
        self._tenure = Tenure(clock)
        self._fetching = Fetching(store, self._memory, self._mailbox, clock)
        self._renewal = Renewal(store, self._tenure, clock, leave)
        self._ownership = Ownership(
            store, families, clock, self._mailbox, self._memory, self._tenure, self._renew
        )
        self._agenda, self._turn = self._ownership.agenda, self._ownership.turn
        self._suspects: dict[UUID, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Registers, and begins to serve whatever shards it is given."""
        gone = [one.id for one in await self._store.register() if not is_running(one)]
        # Their processes are proved to be gone, so nobody need wait for their leases to end.
        await self._store.expire(gone)
        await self._renew()
        self._tasks = [
            asyncio.create_task(self._serve()),
            asyncio.create_task(self._fetching.run()),
            asyncio.create_task(self._renew_for_good()),
            asyncio.create_task(every(LOOK_AROUND_SECONDS, self._look_around)),
            asyncio.create_task(every(SWEEP_SECONDS, self._sweep)),
        ]

    async def stop(self) -> None:
        self._fetching.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def holds_lease(self) -> bool:
        return self._tenure.valid

    @property
    def epochs(self) -> dict[Shard, int]:
        """Of the shards that this host serves now."""
        return dict(self._tenure.epochs)

    async def sync(self) -> None:
        """See `Ownership.sync`."""
        await self._ownership.sync()

    async def hand_over(self, shards: Sequence[Shard], successor: UUID) -> None:
        """See `Ownership.hand_over`."""
        await self._ownership.hand_over(shards, successor)

    async def _renew(self) -> None:
        await self._aside(self._renewal.once())

    async def _renew_for_good(self) -> None:
        await self._aside(self._renewal.run())

    async def _look_around(self) -> None:
        telemetry.AGGREGATES_LOADED.labels("all").set(len(self._memory))
        telemetry.MAILBOX_DEPTH.labels("all").set(len(self._mailbox))
        await self._ownership.look_around()

    async def _sweep(self) -> None:
        """Returns what nobody touches, and draws horizons forward."""
        if self._agenda.is_due(self._clock.now_ms()):
            self._mailbox.nudge()
        await self._ownership.look_further()

    # --- taking in -------------------------------------------------------------------------

    async def submit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Answers in the order of the envelopes, when all are there."""
        return await self.take(envelopes).all()

    def take(self, envelopes: Sequence[Envelope]) -> Call:
        """Takes commands in, in their order; a caller who goes away changes nothing. Each is
        answered on its own."""
        call = Call(len(envelopes))
        self.receive(envelopes, call.tell)
        return call

    def receive(
        self, envelopes: Sequence[Envelope], tell: Callable[[int, Answer], None], first: int = 0
    ) -> None:
        """As `take`, for who is told each answer by the number of its envelope, counted from
        `first`."""
        for number, envelope in enumerate(envelopes, first):
            self._take_in(envelope, partial(tell, number))

    def _take_in(self, envelope: Envelope, tell: Tell) -> None:
        shard = Shard(envelope.family, envelope.shard)
        if not self._serves(shard, envelope.epoch):
            tell(ASK_AGAIN)
            return
        now_ms = self._clock.now_ms()
        if self._mailbox.known(envelope, now_ms, tell):
            return
        if envelope.deadline_ms < now_ms:
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "deadline").inc()
            tell(Answer(Outcome.TOO_LATE))
            return
        family = self._families[envelope.family]
        try:
            command = family.rules.decode(envelope.body)
        except msgspec.MsgspecError:
            # A replica of a younger build may know it; so does the host that it comes with.
            log.warning("command not understood", family=family.name, exc_info=True)
            tell(ASK_AGAIN)
            return
        # Nothing has arrived later than now, whatever the clock of the gateway says.
        context = context_of(envelope, now_ms, min(envelope.arrived_ms, now_ms))
        work = Work(family, shard, command, context, self._tenure.epochs[shard], envelope, [tell])
        if envelope.read and self._read_now(work):
            return
        if self._mailbox.is_full(envelope.tenant_id, self._clock.boot_seconds()):
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "full").inc()
            tell(Answer(Outcome.BUSY))
            return
        work.look_up = work.is_mutation and self._may_be_known(envelope)
        self._mailbox.open(work)
        self._fetching.admit(work)

    def _serves(self, shard: Shard, epoch: int) -> bool:
        return self._ownership.serves(shard, epoch)

    def _may_be_known(self, envelope: Envelope) -> bool:
        """Whether the command may have been decided before, but not by this host in this
        tenure: that it would remember."""
        since_ms = self._tenure.since_ms(Shard(envelope.family, envelope.shard))
        return envelope.look_up or envelope.arrived_ms < since_ms + MAX_CLOCK_SKEW_MS

    def _read_now(self, work: Work) -> bool:
        """Answers a read of what memory holds, beside the batch that runs: all that was ever
        answered is in memory. Not while something is due that would change the answer."""
        now_ms, changes = self._clock.now_ms(), lane(work.context.tenant_id, False)
        if self._agenda.is_due_in(work.shard, now_ms) or self._mailbox.ready.is_behind(changes):
            work.lane = changes
            return False
        try:
            _, missing = work.needs(self._memory)
        except Exception:
            return False  # what is wrong with it shows in its batch, and is told there
        if missing:
            return False
        self._answer(decide_batch([work], Working(self._memory), self._tenure.epochs))
        return work.answered

    # --- the work loop ---------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            await self._mailbox.wait()
            async with self._turn:
                await self._process()
            self._mailbox.forget(self._clock.now_ms())

    async def _process(self) -> None:
        if self._ownership.in_doubt:
            await self._start_over("hand-over in doubt")
            return
        asking: list[list[Work]] = []
        try:
            now_ms = self._clock.now_ms()
            self._call_due(now_ms)
            works, asking = self._mailbox.take()
            self._mailbox.pace.begin(self._clock.boot_seconds(), sum(one.weight for one in works))
            await self._run([work for work in works if self._is_ready(work, now_ms)])
        except Fenced:
            telemetry.FENCED.labels("all").inc()
            await self._start_over("fenced")
        except OutcomeUnknown as error:
            await self._start_over(repr(error.__cause__))
        except Exception as error:
            # A bug of ours must not end the loop that serves everybody.
            log.exception("batch failed")
            await self._start_over(repr(error))
        finally:
            self._mailbox.pace.end(self._clock.boot_seconds())
            for lane_front in asking:
                self._fetching.ask(lane_front)

    async def _start_over(self, reason: str) -> None:
        await self._ownership.start_over(reason)

    def _call_due(self, now_ms: int) -> None:
        """Puts what has fallen due before all else of its tenants, so that no decision sees it as
        still held."""
        while due := self._agenda.due(now_ms, self._tenure.floors_ms, MAX_DUE_AT_ONCE):
            for shard, timer in due:
                family, epoch = self._families[shard.family], self._tenure.epochs.get(shard, 0)
                at_ms = self._tenure.decision_time_ms(shard, now_ms)
                work = due_work(family, shard, timer, at_ms, epoch)
                self._mailbox.open(work)
                self._fetching.admit(work)

    def _is_ready(self, work: Work, now_ms: int) -> bool:
        """Prepares a work; answers it where it can no longer be decided here."""
        envelope = work.envelope
        if not self._serves(work.shard, work.epoch):
            self._mailbox.answer(work, ASK_AGAIN)
            return False
        if envelope is None:
            return True
        if envelope.deadline_ms < self._clock.now_ms():
            self._mailbox.answer(work, Answer(Outcome.TOO_LATE))
            return False
        # Not by the clock: the shard's decisions may be ahead of it.
        at_ms = self._tenure.decision_time_ms(work.shard, now_ms)
        work.context = context_of(envelope, at_ms, work.context.arrived_ms)
        return True

    async def _run(self, works: list[Work]) -> None:
        """Decides, commits, answers. Tenants whose data was refused lately come after the others,
        so that these need not be decided again."""
        now = self._clock.boot_seconds()
        self._suspects = {one: until for one, until in self._suspects.items() if until > now}
        suspected = [work for work in works if work.context.tenant_id in self._suspects]
        if suspected:
            works = [work for work in works if work.context.tenant_id not in self._suspects]
        search = _Search(now + MAX_SEARCH_SECONDS)
        for part in (works, suspected):
            if part:
                await self._commit(part, Working(self._memory), search)
        self._mailbox.ready.put_first(search.left)
        self._memory.evict(self._mailbox.needed)

    async def _commit(self, works: Sequence[Work], view: Working, search: _Search) -> None:
        until = self._clock.boot_seconds() + MAX_DECIDE_SECONDS
        decided = decide_batch(
            works, view, self._tenure.epochs, lambda: self._clock.boot_seconds() < until
        )
        self._mailbox.ready.put_first(decided.rest)
        if decided.writes:
            try:
                await self._write(decided)
            except Rejected as error:
                await self._again(decided, view, error, search)
                return
            view.keep()
            self._agenda.add(decided.timers)
        self._answer(decided)
        for work in decided.aside:
            self._fetching.admit(work)

    async def _write(self, decided: Decided) -> None:
        if not self._tenure.valid:
            raise Fenced
        try:
            writes = [
                (self._families[name].loader, self._families[name].rules.project(changes))
                for name, changes in decided.changes.items()
            ]
        except Exception as error:
            log.exception("rows cannot be made")
            raise Rejected(repr(error), Why.BROKEN) from error
        epochs = {shard: self._tenure.epochs[shard] for shard in decided.shards}
        started = self._clock.boot_seconds()
        await self._store.commit(epochs, writes, decided.log)
        seconds = self._clock.boot_seconds() - started
        for name in decided.changes:
            telemetry.COMMIT_SECONDS.labels(name).observe(seconds)
            telemetry.BATCH_SIZE.labels(name).observe(len(decided.verdicts))

    async def _again(
        self, decided: Decided, view: Working, error: Rejected, search: _Search
    ) -> None:
        """Nobody's decision may rest on a neighbour that never happened: once more in halves,
        until the culprit is alone. Where there are many, the others do not wait for all."""
        works = [*(verdict.work for verdict in decided.verdicts), *decided.aside]
        if len(works) > 1:
            for half in in_halves(works):
                if search.found and self._clock.boot_seconds() > search.until_seconds:
                    search.left.extend(half)
                else:
                    await self._commit(half, view.fork(), search)
            return
        (work,) = works
        search.found = True
        log.warning("data rejected", command=work.label, why=error.why.name, reason=str(error))
        self._suspects[work.context.tenant_id] = self._clock.boot_seconds() + SUSPICION_SECONDS
        if error.why is Why.STALE:
            # What memory holds of it is not what the database does: it is asked again.
            self._memory.drop([work.shard.number])
        self._mailbox.answer(work, REJECTED[error.why])

    def _answer(self, decided: Decided) -> None:
        # What was written is true whoever owns the shard by now; all else is only as good as
        # the lease under which it was looked at.
        valid = self._tenure.valid
        counted: Counter[tuple[str, str, str]] = Counter()
        for work, answer, written in decided.verdicts:
            told = answer if valid or written else ASK_AGAIN
            self._mailbox.answer(work, told)
            refused = work.is_mutation and told.outcome is Outcome.DONE and not written
            outcome = "REFUSED" if refused else told.outcome.name
            counted[work.family.name, work.label, outcome] += 1
        for labels, number in counted.items():
            telemetry.COMMANDS.labels(*labels).inc(number)
