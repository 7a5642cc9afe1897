"""Batches: decided, committed in one transaction, then answered. Where the database refuses one,
the commands that are to blame are looked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from actors.runtime.agenda import Agenda
from actors.runtime.batch import Decided, Verdict, Work, decide_batch, in_halves
from actors.runtime.family import Families
from actors.runtime.fetching import Fetching
from actors.runtime.locked import Locked
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory, Working
from actors.runtime.ports import Store
from actors.runtime.tenure import Tenure
from actors.runtime.unsure_refusals import UnsureRefusals
from actors.runtime.wire import ASK_AGAIN, Answer, Outcome
from core import telemetry
from core.clock import Clock
from core.telemetry import get_logger
from store.hosts.journal import LOCK_TIMEOUT_MS, AlreadyDecided, Cause, Fenced, Rejected

# Of deciding, before a batch is committed: what is left is decided in the next one.
MAX_DECIDE_SECONDS = 0.05
# A tenant whose data was refused is decided apart from the others for so long.
SUSPICION_SECONDS = 10.0
# Of looking for culprits, once one was found: what is left is decided in the next batch.
MAX_SEARCH_SECONDS = 0.05
# Of a commit's wait for rows, where somebody most likely holds them for longer.
BRIEF_LOCK_TIMEOUT_MS = 100

REJECTED = {
    Cause.DATA: Answer(Outcome.REJECTED),
    Cause.BROKEN: Answer(Outcome.BROKEN),
    Cause.STALE: ASK_AGAIN,
}

log = get_logger("runtime.committing")


@dataclass(slots=True)
class _Search:
    """For those whose data is refused, in one batch: until when, whether rows are `locked`, whether
    one was `found`, and which works are `left` for the next batch."""

    until_seconds: float
    locked: bool = False
    found: bool = False
    left: list[Work] = field(default_factory=list)


class Committing:
    """What a host does with the commands that it has taken: one batch at a time."""

    def __init__(
        self,
        store: Store,
        families: Families,
        clock: Clock,
        mailbox: Mailbox,
        memory: Memory,
        tenure: Tenure,
        agenda: Agenda,
        fetching: Fetching,
    ) -> None:
        self._store = store
        self._families = families
        self._clock = clock
        self._mailbox = mailbox
        self._memory = memory
        self._tenure = tenure
        self._agenda = agenda
        self._fetching = fetching
        self._suspects: dict[UUID, float] = {}
        self._unsure = UnsureRefusals(store, fetching, self.answer)
        self.locked = Locked(mailbox, clock)

    async def run(self, works: list[Work]) -> None:
        """Decides, commits, answers. Tenants whose data was refused lately come after the others,
        so that these need not be decided again."""
        now = self._clock.boot_seconds()
        if self._suspects:
            self._suspects = {
                tenant_id: until for tenant_id, until in self._suspects.items() if until > now
            }
        suspected: list[Work] = []
        if self._suspects:
            suspected = [work for work in works if work.context.tenant_id in self._suspects]
            works = [work for work in works if work.context.tenant_id not in self._suspects]
        search = _Search(now + MAX_SEARCH_SECONDS)
        for part in (works, suspected):
            if part:
                search.locked = search.locked or self.locked.threatens(part)
                await self._commit(part, Working(self._memory), search)
        self._mailbox.ready.put_back(search.left)
        self._memory.evict(self._mailbox.needed)

    async def _commit(self, works: Sequence[Work], view: Working, search: _Search) -> None:
        until = self._clock.boot_seconds() + MAX_DECIDE_SECONDS
        decided = decide_batch(
            works, view, self._tenure.epochs, lambda: self._clock.boot_seconds() < until
        )
        if decided.writes:
            try:
                await self._write(decided, search.locked)
            except AlreadyDecided as error:
                await self._without(error.command_ids, works, view, search)
                return
            except Rejected as error:
                await self._again(decided, view, error, search)
                search.left += decided.rest
                return
            view.keep()
            self._agenda.begin(decided.timers, self._clock.now_ms())
            self.answer(decided.verdicts)
        else:
            self.answer([verdict for verdict in decided.verdicts if not verdict.work.unsure])
            self._unsure.put([verdict for verdict in decided.verdicts if verdict.work.unsure])
        for work in decided.aside:
            self._fetching.admit(work)
        search.left += decided.rest

    async def _write(self, decided: Decided, briefly: bool) -> None:
        if not self._tenure.valid:
            raise Fenced
        try:
            writes = [
                (self._families[name].loader, self._families[name].rules.project(changes))
                for name, changes in decided.changes.items()
            ]
        except Exception as error:
            log.exception("rows cannot be made")
            raise Rejected(repr(error), Cause.BROKEN) from error
        epochs = {shard: self._tenure.epochs[shard] for shard in decided.shards}
        started = self._clock.boot_seconds()
        unsure = [
            verdict.work.context.command_id for verdict in decided.verdicts if verdict.work.unsure
        ]
        timeout_ms = BRIEF_LOCK_TIMEOUT_MS if briefly else LOCK_TIMEOUT_MS
        await self._store.commit(epochs, writes, decided.log, unsure, timeout_ms)
        seconds = self._clock.boot_seconds() - started
        for name in decided.changes:
            telemetry.COMMIT_SECONDS.labels(name).observe(seconds)
            telemetry.BATCH_SIZE.labels(name).observe(len(decided.verdicts))

    async def _without(
        self, known: Collection[UUID], works: Sequence[Work], view: Working, search: _Search
    ) -> None:
        """What was done before is answered as it was then; the others are decided once more."""
        others: list[Work] = []
        for work in works:
            if work.unsure and work.context.command_id in known:
                self._fetching.look_up(work)
            else:
                others.append(work)
        if others:
            await self._commit(others, view.fork(), search)

    async def _again(
        self, decided: Decided, view: Working, error: Rejected, search: _Search
    ) -> None:
        """Nobody's decision may rest on a neighbour that never happened: once more in halves,
        until the culprit is alone. Where there are many, the others do not wait for all; and
        nobody overtakes those of its lane that are left."""
        works = [*(verdict.work for verdict in decided.verdicts), *decided.aside]
        if error.cause is Cause.LOCKED:
            search.locked = True
            if len({work.context.tenant_id for work in works}) == 1:
                self._blame_for_locks(works, error, search)
                return
        if len(works) > 1:
            for half in in_halves(works):
                half = self.locked.refuse(half, search.left)
                lanes = {work.lane for work in search.left}
                lanes |= {work.lane for work in half if self._mailbox.ready.is_behind(work.lane)}
                late = search.found and self._clock.boot_seconds() > search.until_seconds
                search.left += (work for work in half if late or work.lane in lanes)
                if now := [work for work in half if not (late or work.lane in lanes)]:
                    await self._commit(now, view.fork(), search)
            return
        (work,) = works
        log.warning("data rejected", command=work.label, cause=error.cause.name, reason=str(error))
        search.found = True
        self._suspect(work)
        if error.cause is Cause.STALE:
            # What memory holds of it is not what the database does: it is asked again.
            self._memory.drop([work.shard.number])
            if work.envelope is None:
                # At once: what comes after it must not see it as still held.
                self._fetching.admit(work)
                return
        verdict = Verdict(work, REJECTED[error.cause], False)
        if work.unsure:
            # Perhaps the log was not asked: rows that cannot be sent have reached nobody.
            self._unsure.put([verdict])
        else:
            self.answer([verdict])

    def _blame_for_locks(self, works: list[Work], error: Rejected, search: _Search) -> None:
        """All of a tenant: what it asks for next most likely needs the same rows."""
        culprit = next(work for work in works if work.envelope is None or work.is_mutation)
        tenant_id = culprit.context.tenant_id
        log.warning("rows are locked", tenant_id=str(tenant_id), reason=str(error))
        search.found = True
        self._suspect(culprit)
        self.locked.blame(culprit)
        self.locked.refuse(works, search.left)

    def _suspect(self, work: Work) -> None:
        self._suspects[work.context.tenant_id] = self._clock.boot_seconds() + SUSPICION_SECONDS

    def answer(self, verdicts: Sequence[Verdict]) -> None:
        """Answers the callers."""
        # What was written is true whichever host owns the shard by now; all else is only as good as
        # the lease under which it was looked at.
        valid = self._tenure.valid
        alike: dict[tuple[type, Outcome, bool], list[Work]] = {}
        for work, answer, written in verdicts:
            given = answer if valid or written else ASK_AGAIN
            self._mailbox.answer(work, given)
            refused = not written and given.outcome is Outcome.DONE and work.is_mutation
            alike.setdefault((type(work.command), given.outcome, refused), []).append(work)
        for (_, outcome, refused), works in alike.items():
            name = "REFUSED" if refused else outcome.name
            telemetry.COMMANDS.labels(works[0].family.name, works[0].label, name).inc(len(works))

    def stop(self) -> None:
        self._unsure.stop()
