"""A shard host: takes commands, decides them in memory, commits them together, then answers.

Nothing leaves before every batch that it depends on has committed: a decision is answered after
the commit of its batch, and what is read at once is what was committed before. One transaction is
open at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from actors.runtime.batch import OnAnswer, Work, context_of, decide_batch, due_work, lane
from actors.runtime.call import Call
from actors.runtime.committing import Committing
from actors.runtime.family import Families, Timer, sizes_of
from actors.runtime.fetching import Fetching
from actors.runtime.intake import Intake
from actors.runtime.lease import Aside, Renewal, here
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory, Working
from actors.runtime.ownership import Ownership
from actors.runtime.ports import Store
from actors.runtime.tenure import Tenure
from actors.runtime.upkeep import end_processes, every
from actors.runtime.wire import ASK_AGAIN, BUSY, Answer, Envelope, Outcome
from core import telemetry
from core.background import is_cancelled, kept_running
from core.clock import Clock
from core.telemetry import get_logger
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import Fenced
from store.hosts.leases import Shard

LOOK_AROUND_SECONDS = 1.0
SWEEP_SECONDS = 0.25
MAX_DUE_AT_ONCE = 500
# What has fallen due and could not be decided falls due again after so long.
DUE_AGAIN_MS = 1_000
BROKEN_AGAIN_MS = 30_000
# Between the clocks of a replica and a host, both calibrated with the database.
MAX_CLOCK_SKEW_MS = 1_000

log = get_logger("runtime.host")


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
        self._committing = Committing(
            store,
            families,
            clock,
            self._mailbox,
            self._memory,
            self._tenure,
            self._agenda,
            self._fetching,
        )
        self._intake = Intake(self._take_in, clock)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Registers, and begins to serve whatever shards it is given."""
        gone = await end_processes(await self._store.register())
        # Their processes are proved to be gone, so nobody needs to wait for their leases to end.
        await self._store.expire([incarnation.id for incarnation in gone])
        await self._renew()
        self._tasks = [
            asyncio.create_task(kept_running(work, name))
            for name, work in self._background().items()
        ]

    def _background(self) -> dict[str, Callable[[], Awaitable[None]]]:
        ownership = self._ownership
        return {
            "serving": self._serve,
            "fetching": self._fetching.run,
            "renewing": self._keep_renewing,
            "looking around": partial(every, LOOK_AROUND_SECONDS, self._look_around),
            "sweeping": partial(every, SWEEP_SECONDS, self._sweep),
            "looking further": partial(
                every, SWEEP_SECONDS, ownership.look_further, ownership.took
            ),
        }

    async def stop(self) -> None:
        self._fetching.stop()
        self._committing.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def holds_lease(self) -> bool:
        return self._tenure.valid

    @property
    def epochs(self) -> dict[Shard, int]:
        """Of the shards that this host serves now."""
        epochs = self._tenure.epochs
        awaits = self._ownership.awaits_timers
        return {shard: epoch for shard, epoch in epochs.items() if not awaits(shard)}

    async def sync(self) -> None:
        """See `Ownership.sync`."""
        await self._ownership.sync()

    async def hand_over(self, shards: Sequence[Shard], successor: UUID) -> None:
        """See `Ownership.hand_over`."""
        await self._ownership.hand_over(shards, successor)

    async def _renew(self) -> None:
        await self._aside(self._renewal.once())

    async def _keep_renewing(self) -> None:
        await self._aside(self._renewal.run())

    async def _look_around(self) -> None:
        telemetry.AGGREGATES_LOADED.labels("all").set(len(self._memory))
        telemetry.MAILBOX_DEPTH.labels("all").set(len(self._mailbox))
        await self._ownership.look_around()

    async def _sweep(self) -> None:
        """Lets go of old answers, and sees to what has fallen due."""
        self._mailbox.forget(self._clock.now_ms())
        if self._agenda.is_due(self._clock.now_ms()):
            self._mailbox.nudge()

    # --- taking in -------------------------------------------------------------------------

    async def submit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Answers in the order of the envelopes, when all are there."""
        return await self.take(envelopes).all()

    def take(self, envelopes: Sequence[Envelope]) -> Call:
        """Takes commands in, in their order; a caller who goes away changes nothing. Each is
        answered on its own."""
        call = Call(len(envelopes))
        self.receive(envelopes, call.deliver)
        return call

    def receive(
        self,
        envelopes: Sequence[Envelope],
        deliver: Callable[[int, Answer], None],
        first: int = 0,
    ) -> None:
        """As `take`, but calls `deliver` with the number of each envelope, counted from `first`,
        and its answer. Of many not all are taken in at once."""
        self._intake.put(envelopes, deliver, first)

    def _take_in(
        self, envelope: Envelope, now_ms: int, now_seconds: float, on_answer: OnAnswer
    ) -> None:
        shard = Shard(envelope.family, envelope.shard)
        if not self._serves(shard, envelope.epoch) or self._ownership.awaits_timers(shard):
            on_answer(ASK_AGAIN)
            return
        if self._mailbox.known(envelope, now_ms, on_answer):
            return
        if envelope.deadline_ms < now_ms:
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "deadline").inc()
            on_answer(Answer(Outcome.TOO_LATE))
            return
        family = self._families[envelope.family]
        try:
            command = family.rules.decode(envelope.body)
        except (msgspec.MsgspecError, ValueError):  # the latter for text that is none
            # A replica of a younger build may know it; so does the host that it comes with.
            log.warning("command not understood", family=family.name, exc_info=True)
            on_answer(ASK_AGAIN)
            return
        # Nothing has arrived later than now, whatever the clock of the gateway says.
        context = context_of(envelope, now_ms, min(envelope.arrived_ms, now_ms))
        work = Work(
            family, shard, command, context, self._tenure.epochs[shard], envelope, [on_answer]
        )
        if envelope.read and self._read_now(work):
            return
        if not envelope.read and self._committing.locked.pauses(envelope.tenant_id):
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "locked").inc()
            on_answer(BUSY)
            return
        if self._mailbox.is_full(envelope.tenant_id, now_seconds):
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "full").inc()
            on_answer(BUSY)
            return
        work.unsure = not envelope.read and self._may_be_known(envelope, shard)
        self._mailbox.open(work)
        self._fetching.admit(work)

    def _serves(self, shard: Shard, epoch: int) -> bool:
        return self._ownership.serves(shard, epoch)

    def _may_be_known(self, envelope: Envelope, shard: Shard) -> bool:
        """Whether the command may have been decided before, but not by this host in this
        tenure: that it would remember."""
        begun_ms = self._tenure.since_ms(shard) + MAX_CLOCK_SKEW_MS
        return envelope.look_up or envelope.arrived_ms < begun_ms

    def _read_now(self, work: Work) -> bool:
        """Answers a read of what memory holds, beside the batch that runs: all that was ever
        answered is in memory. Not while something is due that would change the answer."""
        tenant_id, now_ms = work.context.tenant_id, self._clock.now_ms()
        changes = lane(tenant_id, False)
        is_due = self._agenda.is_due_for(work.shard, tenant_id, now_ms)
        if is_due or self._mailbox.ready.is_behind(changes):
            work.lane = changes
            return False
        try:
            _, missing = work.needs(self._memory)
        except Exception:
            return False  # what is wrong with it shows in its batch, and is answered there
        if missing:
            return False
        view = Working(self._memory)
        self._committing.answer(decide_batch([work], view, self._tenure.epochs).verdicts)
        return work.answered

    # --- the work loop ---------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            await self._mailbox.wait()
            async with self._turn:
                await self._process()

    async def _process(self) -> None:
        if self._ownership.in_doubt:
            await self._start_over("hand-over in doubt")
            return
        asking: list[list[Work]] = []
        done = False
        try:
            now_ms = self._clock.now_ms()
            self._call_due(now_ms)
            works, asking = self._mailbox.take()
            self._mailbox.pace.begin(self._clock.boot_seconds(), works)
            await self._committing.run(self._prepared(works, now_ms))
            done = True
        except Fenced:
            telemetry.FENCED.labels("all").inc()
            await self._start_over("fenced")
        except OutcomeUnknown as error:
            await self._start_over(repr(error.__cause__))
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            # Something that it waited for was: nobody knows what came of the batch.
            await self._start_over(repr(error))
        except Exception as error:
            # A bug of ours must not end the loop that serves everybody.
            log.exception("batch failed")
            await self._start_over(repr(error))
        finally:
            self._mailbox.pace.end(self._clock.boot_seconds(), done=done)
            for lane_front in asking:
                self._fetching.ask(lane_front)
            ready = self._mailbox.ready
            if any(not ready.is_behind(name) for name in ready.overdue):
                self._mailbox.nudge()

    async def _start_over(self, reason: str) -> None:
        await self._ownership.start_over(reason)

    def _call_due(self, now_ms: int) -> None:
        """Puts what has fallen due before all else of its tenants, so that no decision sees it as
        still held. A batch of it at once: the tenants of what is left wait for it."""
        ready = self._mailbox.ready
        due = self._agenda.take(
            now_ms,
            self._tenure.last_decided_ms,
            MAX_DUE_AT_ONCE,
            lambda tenant_id: ready.is_behind(lane(tenant_id, False)),
        )
        for shard, timer in due:
            family, epoch = self._families[shard.family], self._tenure.epochs.get(shard, 0)
            at_ms = self._tenure.decision_time_ms(shard, now_ms)
            on_answer = partial(self._due_answered, shard, timer)
            work = due_work(family, shard, timer, at_ms, epoch, on_answer)
            self._mailbox.open(work)
            self._fetching.admit(work)
        ready.let_wait({lane(tenant_id, False) for tenant_id in self._agenda.overdue})

    def _due_answered(self, shard: Shard, timer: Timer, answer: Answer) -> None:
        """What could not be decided is tried again: soon, unless it is to blame itself."""
        if answer.outcome is not Outcome.DONE:
            soon = answer.outcome in (Outcome.ASK_AGAIN, Outcome.BUSY)
            pause_ms = DUE_AGAIN_MS if soon else BROKEN_AGAIN_MS
            again = timer._replace(due_ms=self._clock.now_ms() + pause_ms)
            self._agenda.put_back(shard, again)

    def _prepared(self, works: Sequence[Work], now_ms: int) -> list[Work]:
        """Those that can be decided here, with the time of their decision. The others are
        answered."""
        prepared, times_ms = [], dict[Shard, int]()
        for work in works:
            envelope, shard = work.envelope, work.shard
            if not self._serves(shard, work.epoch):
                self._mailbox.answer(work, ASK_AGAIN)
            elif envelope is None:
                prepared.append(work)
            elif envelope.deadline_ms < now_ms:
                self._mailbox.answer(work, Answer(Outcome.TOO_LATE))
            else:
                # Not by the clock: the shard's decisions may be ahead of it.
                at_ms = times_ms.get(shard)
                if at_ms is None:
                    at_ms = times_ms[shard] = self._tenure.decision_time_ms(shard, now_ms)
                work.context = context_of(envelope, at_ms, work.context.arrived_ms)
                prepared.append(work)
        return prepared
