"""A shard host: takes commands, decides them in memory, commits them together, then answers.

Nothing leaves before every batch that it depends on has committed: while a batch commits, what
comes waits in the mailbox, refusals and reads too. One transaction is open at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import msgspec

from actors.runtime.agenda import Agenda
from actors.runtime.batch import Decided, Work, context_of, decide_batch, due_work, missing_keys
from actors.runtime.family import Families
from actors.runtime.mailbox import Mailbox, Waiter
from actors.runtime.memory import Memory, Working
from actors.runtime.ports import Store
from actors.runtime.tenure import Tenure
from actors.runtime.upkeep import every, is_running
from actors.runtime.wire import Answer, Envelope, Outcome, decode_logged
from core import telemetry
from core.clock import Clock
from core.telemetry import get_logger
from store.journal import Fenced, OutcomeUnknown, Rejected
from store.leases import Shard

RENEW_SECONDS = 1.0
SWEEP_SECONDS = 0.25
RECOVERY_PAUSE_SECONDS = 0.2
MAX_LOAD_ROUNDS = 4
MAX_DUE_PER_BATCH = 500
# Between the clocks of a replica and a host, both calibrated with the database.
MAX_CLOCK_SKEW_MS = 1_000

ASK_AGAIN = Answer(Outcome.ASK_AGAIN)

log = get_logger("runtime.host")


class Host:
    """One incarnation. `leave` ends the process at once; it is called when the host is fenced."""

    def __init__(
        self, store: Store, families: Families, clock: Clock, leave: Callable[[], None]
    ) -> None:
        self._store = store
        self._families = families
        self._clock = clock
        self._leave = leave
        self._mailbox = Mailbox()
        self._memory = Memory()
        self._agenda = Agenda()
        self._tenure = Tenure(clock)
        # Held while a batch runs, and by whatever changes what the host owns.
        self._turn = asyncio.Lock()
        self._recovering = False
        self._departing: set[Shard] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Registers, and begins to serve whatever shards it is given."""
        gone = [one.id for one in await self._store.register() if not is_running(one)]
        # Their processes are proved to be gone, so nobody need wait for their leases to end.
        await self._store.expire(gone)
        await self._renew()
        self._tasks = [
            asyncio.create_task(self._serve()),
            # Two loops: what a host owns is looked at between batches, but its lease is renewed
            # however long a batch takes.
            asyncio.create_task(every(RENEW_SECONDS, self._renew)),
            asyncio.create_task(every(RENEW_SECONDS, self._look_around)),
            asyncio.create_task(every(SWEEP_SECONDS, self._sweep)),
        ]

    async def stop(self) -> None:
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

    # --- taking in -------------------------------------------------------------------------

    async def submit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Answers in the order of the envelopes. The order of decision is fixed here, before the
        first await; a caller who goes away changes nothing."""
        taken = [self._take_in(envelope) for envelope in envelopes]
        pending = {one for one in taken if not isinstance(one, Answer)}
        if pending:
            await asyncio.wait(pending)
        return [one if isinstance(one, Answer) else one.result() for one in taken]

    def _take_in(self, envelope: Envelope) -> Answer | Waiter:
        shard = Shard(envelope.family, envelope.shard)
        if not self._serves(shard, envelope.epoch):
            return ASK_AGAIN
        now_ms = self._clock.now_ms()
        if (known := self._mailbox.known(envelope, now_ms)) is not None:
            return known
        if envelope.deadline_ms < now_ms:
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "deadline").inc()
            return Answer(Outcome.TOO_LATE)
        if self._mailbox.is_full(self._clock.boot_seconds()):
            telemetry.MAILBOX_REFUSED.labels(envelope.family, "full").inc()
            return Answer(Outcome.BUSY)
        family = self._families[envelope.family]
        try:
            command = family.rules.decode(envelope.body)
        except msgspec.MsgspecError:
            # A replica of a younger build may know it; so does the host that it comes with.
            log.warning("command not understood", family=family.name, exc_info=True)
            return ASK_AGAIN
        return self._mailbox.put(Work(family, shard, command, envelope))

    def _serves(self, shard: Shard, epoch: int) -> bool:
        """Whether an envelope that was sent to this tenure (0: to any) can be decided now."""
        return (
            not self._recovering
            and self._tenure.valid
            and self._tenure.owns(shard)
            and epoch in (0, self._tenure.epochs[shard])
            and shard not in self._departing
        )

    # --- the work loop ---------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            works = await self._mailbox.take()
            self._mailbox.pace.begin(self._clock.boot_seconds(), len(works))
            async with self._turn:
                await self._process(works)
            self._mailbox.pace.end(self._clock.boot_seconds())
            self._mailbox.forget(self._clock.now_ms())

    async def _process(self, works: list[Work]) -> None:
        if self._recovering:
            await self._start_over(works, "hand-over in doubt")
            return
        try:
            now_ms = self._clock.now_ms()
            due = self._due(now_ms)
            while len(due) == MAX_DUE_PER_BATCH:
                await self._run(due)
                due = self._due(now_ms)
            ready = [work for work in works if self._is_ready(work, now_ms)]
            await self._run([*due, *await self._answer_logged(ready)])
        except Fenced:
            telemetry.FENCED.labels("all").inc()
            await self._start_over(works, "fenced")
        except OutcomeUnknown as error:
            await self._start_over(works, repr(error.__cause__))
        except Exception as error:
            # A bug of ours must not end the loop that serves everybody.
            log.exception("batch failed")
            await self._start_over(works, repr(error))

    def _due(self, now_ms: int) -> list[Work]:
        """What is due in any shard, so that no decision of this batch sees it as still held."""
        return [
            due_work(
                self._families[shard.family],
                shard,
                timer,
                self._tenure.decision_time_ms(shard, now_ms),
            )
            for shard, timer in self._agenda.due(now_ms, self._tenure.floors_ms, MAX_DUE_PER_BATCH)
        ]

    def _is_ready(self, work: Work, now_ms: int) -> bool:
        """Prepares a caller's work; answers it where it can no longer be decided here."""
        envelope = work.envelope
        if envelope is None or not self._serves(work.shard, envelope.epoch):
            self._mailbox.answer(work, ASK_AGAIN)
            return False
        if envelope.deadline_ms < self._clock.now_ms():
            self._mailbox.answer(work, Answer(Outcome.TOO_LATE))
            return False
        # Not by the clock: the shard's decisions may be ahead of it.
        work.context = context_of(envelope, self._tenure.decision_time_ms(work.shard, now_ms))
        return True

    async def _answer_logged(self, works: list[Work]) -> list[Work]:
        """Answers the commands that were done before, as recorded; returns the others."""
        asked = {
            work.envelope.command_id: work
            for work in works
            if work.envelope is not None and work.is_mutation and self._may_be_known(work.envelope)
        }
        if not asked:
            return works
        logged = await self._store.known(list(asked))
        for command_id, line in logged.items():
            work = asked[command_id]
            if work.envelope is not None and line.fingerprint == work.envelope.fingerprint:
                said = decode_logged(line.reply)
                self._mailbox.answer(work, Answer(Outcome.DONE, said.reply, said.receipts))
            else:
                self._mailbox.answer(work, Answer(Outcome.MISMATCH))
        answered = {id(asked[command_id]) for command_id in logged}
        return [work for work in works if id(work) not in answered]

    def _may_be_known(self, envelope: Envelope) -> bool:
        """Whether the command may have been decided before, but not by this host in this
        tenure: that it would remember."""
        since_ms = self._tenure.since_ms(Shard(envelope.family, envelope.shard))
        return envelope.look_up or envelope.arrived_ms < since_ms + MAX_CLOCK_SKEW_MS

    async def _run(self, works: list[Work]) -> None:
        """Loads, decides, commits, answers."""
        if not works:
            return
        view = Working(self._memory)
        await self._load(works, view)
        try:
            await self._commit(works, view)
        except Rejected:
            # Nobody's decision may rest on a neighbour that never happened: once more, alone.
            for work in works:
                try:
                    await self._commit([work], view.fork())
                except Rejected as error:
                    log.warning("data rejected", command=work.label, reason=str(error))
                    self._mailbox.answer(work, Answer(Outcome.REJECTED))
        self._memory.evict()

    async def _load(self, works: list[Work], view: Working) -> None:
        for _ in range(MAX_LOAD_ROUNDS):
            missing = missing_keys(works, view)
            if not missing:
                return
            for family, keys in missing.items():
                rows = await self._store.load(family.loader, keys)
                for key in keys:
                    row = rows.get(key)
                    view.loaded(key, None if row is None else family.rules.restore(key, row))
        raise RuntimeError("a family asks for keys without end")

    async def _commit(self, works: list[Work], view: Working) -> None:
        decided = decide_batch(works, view, self._tenure.epochs)
        if decided.writes:
            started = self._clock.boot_seconds()
            await self._write(decided)
            seconds = self._clock.boot_seconds() - started
            for name in decided.changes:
                telemetry.COMMIT_SECONDS.labels(name).observe(seconds)
                telemetry.BATCH_SIZE.labels(name).observe(len(works))
            view.keep()
            self._agenda.add(decided.timers)
        self._answer(decided)

    async def _write(self, decided: Decided) -> None:
        if not self._tenure.valid:
            raise Fenced
        writes = [
            (self._families[name].loader, self._families[name].rules.project(changes))
            for name, changes in decided.changes.items()
        ]
        epochs = {shard: self._tenure.epochs[shard] for shard in decided.shards}
        await self._store.commit(epochs, writes, decided.log)

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

    # --- ownership -------------------------------------------------------------------------

    async def _start_over(self, works: list[Work], reason: str) -> None:
        """After a fence or an unknown outcome: forgets everything, tells everyone to ask again,
        takes new epochs, and finds out what it still owns. Needs the turn."""
        log.warning("starting over", reason=reason)
        self._recovering = True
        for work in [*works, *self._mailbox.withdraw(lambda work: True)]:
            self._mailbox.answer(work, ASK_AGAIN)
        self._release(list(self._tenure.epochs))
        self._memory.drop()
        while True:
            try:
                await self._renew()
                await self._store.recover()
                await self._adopt()
                break
            except OutcomeUnknown:
                await asyncio.sleep(RECOVERY_PAUSE_SECONDS)
            except Exception:
                # Nobody else would end the recovery: to give up here is to refuse for good.
                log.exception("recovery failed")
                await asyncio.sleep(RECOVERY_PAUSE_SECONDS)
        self._recovering = False

    async def sync(self) -> None:
        """Finds out what it owns now. Called once a second, and when the keeper says so."""
        async with self._turn:
            await self._adopt()

    async def _adopt(self) -> None:
        """Drops what was lost, takes up what was given; the agenda first, so that no hold that
        is due is overlooked. Needs the turn."""
        owned = await self._store.owned()
        drop, take = self._tenure.differs(owned)
        self._release(drop)
        if take:
            await self._look_ahead(take)
            self._tenure.take(take, owned)
            log.info("took shards", shards=len(take), total=len(self._tenure.epochs))
        for name in self._families:
            mine = sum(shard.family == name for shard in self._tenure.epochs)
            telemetry.SHARDS_OWNED.labels(name).set(mine)

    def _release(self, shards: Iterable[Shard]) -> None:
        """Stops serving shards and forgets them. Needs the turn."""
        gone = frozenset(shards)
        if not gone:
            return
        self._tenure.drop(gone)
        self._agenda.drop(gone)
        self._memory.drop(shard.number for shard in gone)
        for work in self._mailbox.withdraw(lambda work: work.shard in gone):
            self._mailbox.answer(work, ASK_AGAIN)

    async def hand_over(self, shards: Sequence[Shard], successor: UUID) -> None:
        """Stops taking commands for `shards`, ends the batch that runs, and gives them away.
        Raises OutcomeUnknown; the host then finds out what it still owns."""
        self._departing.update(shards)
        try:
            async with self._turn:
                owned = self._tenure.epochs
                epochs = {shard: owned[shard] for shard in shards if shard in owned}
                floors_ms = {shard: self._tenure.floors_ms.get(shard, 0) for shard in epochs}
                self._release(epochs)
                try:
                    await self._store.hand_over(epochs, successor, floors_ms)
                except BaseException:
                    # It may happen yet, behind our back: only a new epoch rules that out. The
                    # work loop sees to it, since whoever called may give up waiting.
                    self._recovering = True
                    self._mailbox.nudge()
                    raise
        finally:
            self._departing.difference_update(shards)

    async def _look_around(self) -> None:
        telemetry.AGGREGATES_LOADED.labels("all").set(len(self._memory))
        telemetry.MAILBOX_DEPTH.labels("all").set(len(self._mailbox))
        if not self._recovering:
            await self.sync()

    async def _renew(self) -> None:
        sent_boot_seconds, sent_ms = self._clock.boot_seconds(), self._clock.now_ms()
        database_now_ms = await self._store.renew(self._tenure.decided_at_ms)
        if database_now_ms is None:
            log.error("fenced: the shards of this host were taken")
            telemetry.FENCED.labels("all").inc()
            self._tenure.drop(list(self._tenure.epochs))
            self._leave()
            return
        self._clock.calibrate(database_now_ms, sent_ms, self._clock.now_ms())
        self._tenure.renewed(sent_boot_seconds)

    # --- what falls due --------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Returns what nobody touches, and draws horizons forward."""
        now_ms = self._clock.now_ms()
        if self._agenda.is_due(now_ms):
            self._mailbox.nudge()
        half_ms = min(family.timers_ahead_ms for family in self._families.values()) // 2
        if behind := self._agenda.behind(self._tenure.epochs, now_ms + half_ms):
            await self._look_ahead(set(behind))

    async def _look_ahead(self, shards: set[Shard]) -> None:
        for name, family in self._families.items():
            mine = [shard for shard in shards if shard.family == name]
            if not mine:
                continue
            horizon_ms = self._clock.now_ms() + family.timers_ahead_ms
            self._agenda.extend(mine, horizon_ms)
            try:
                numbers = [shard.number for shard in mine]
                rows = await self._store.due(family.loader, numbers, horizon_ms)
            except OutcomeUnknown:
                self._agenda.extend(mine, 0)
                raise
            self._agenda.add((Shard(name, number), family.rules.due(row)) for number, row in rows)
