"""What commands need before they can be decided is fetched beside the batches, so that nobody
waits for what another's command has to look up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from actors.runtime.batch import Lane, Work, in_halves
from actors.runtime.family import Family, Key
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory
from actors.runtime.ports import Store
from actors.runtime.queue import FairQueue
from actors.runtime.wire import Answer, Outcome, decode_logged
from core.clock import Clock
from core.telemetry import get_logger
from store.hosts.command_log import Logged
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import Rejected

MAX_FETCHES = 3
MAX_FETCH = 500
MAX_FETCH_WEIGHT = 4_000
# Each brings a work nearer to its decision, unless its aggregates are evicted in between.
MAX_ROUNDS = 16
PAUSE_SECONDS = 0.1
# How long a shard's own work keeps its lane waiting for what it needs.
DUE_PATIENCE_MS = 5_000
# Whose command was a repeat may repeat others: for so long all of its commands are looked up first.
REPEATING_MS = 10_000

BROKEN = Answer(Outcome.BROKEN)

Load = Callable[[Any, Sequence[Key]], Awaitable[Mapping[Key, Any]]]

log = get_logger("runtime.fetching")


@dataclass(slots=True, eq=False)
class _Fetch:
    """Works for which something is fetched together, as long as they wait for it, and by lane
    those whose lanes are held meanwhile."""

    works: dict[Work, None]
    held: dict[Lane, Work]


class Fetching:
    """Looks commands up in the log, loads their aggregates, puts their questions; then hands
    them to the mailbox. A failure is that of the works that it concerns alone."""

    def __init__(self, store: Store, memory: Memory, mailbox: Mailbox, clock: Clock) -> None:
        self._store = store
        self._memory = memory
        self._mailbox = mailbox
        self._clock = clock
        self._queue = FairQueue()
        self._arrived = asyncio.Event()
        # At the store; parts of fetches that failed take turns, too.
        self._turns = asyncio.Semaphore(MAX_FETCHES)
        self._fetches: set[asyncio.Task[None] | None] = set()
        self._asking: set[asyncio.Task[None]] = set()
        # Tenants, and until when (ms).
        self._repeating: dict[UUID, int] = {}

    def admit(self, work: Work) -> None:
        """Sends a work where it belongs: to be decided, or first to have something fetched. Due
        works, without an envelope, hold their lane meanwhile: nothing may be decided in their
        stead as if they were not due."""
        missing = [] if work.answered else self._missing(work)
        if work.answered:
            return
        work.questions = missing
        work.lacks = [key for key in missing if not key.ephemeral]
        if work.unsure and (missing or self._repeats(work)):
            work.look_up = True  # rather now than after what may take long, or fail
        if work.is_to_fetch:
            if work.envelope is None:
                self._mailbox.ready.hold(work)
            self._queue.put(work)
            self._arrived.set()
        else:
            self._mailbox.put(work)

    def look_up(self, work: Work) -> None:
        """Has a command answered as it was before; decided, if it was not. From now on its tenant
        pays for its own repeats: no neighbour is decided twice for them."""
        now_ms = self._clock.now_ms()
        self._repeating = {
            tenant_id: until for tenant_id, until in self._repeating.items() if until > now_ms
        }
        self._repeating[work.context.tenant_id] = now_ms + REPEATING_MS
        work.look_up = True
        self.admit(work)

    def _repeats(self, work: Work) -> bool:
        if not self._repeating:
            return False
        return self._repeating.get(work.context.tenant_id, 0) > self._clock.now_ms()

    def _missing(self, work: Work) -> list[Key]:
        """What the work needs and memory lacks. A rule that fails here ends its own command."""
        try:
            weight, missing = work.needs(self._memory)
        except Exception:
            if work.unsure:
                work.look_up, work.keys = True, []  # asked once more when it is known to be new
                return []
            log.exception("rule failed", command=work.label)
            self._mailbox.answer(work, BROKEN)
            return []
        self._mailbox.weigh(work, weight)
        if missing and work.rounds > MAX_ROUNDS:
            log.error("a command asks for more without end", command=work.label)
            self._mailbox.answer(work, BROKEN)
            return []
        return missing

    async def run(self) -> None:
        """Fetches permanently for all that wait: a few at a time, one for each lane, so that no
        lane waits for what is slow of another."""
        while True:
            while not self._queue.is_ready or len(self._fetches) >= MAX_FETCHES:
                self._arrived.clear()
                await self._arrived.wait()
            works, _ = self._queue.take(MAX_FETCH, MAX_FETCH_WEIGHT)
            fetch = _Fetch(dict.fromkeys(works), {work.lane: work for work in works})
            for work in fetch.held.values():
                self._queue.hold(work)
            self._fetches.add(asyncio.create_task(self._carry(fetch)))

    async def _carry(self, fetch: _Fetch) -> None:
        try:
            await self._fetch(fetch, list(fetch.works))
        except Exception:
            # A bug of ours must not end what everybody's commands go through.
            log.exception("fetching failed")
            await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._let_go(fetch, list(fetch.held))
            self._fetches.discard(asyncio.current_task())
            self._arrived.set()
        self._go_on(fetch, list(fetch.works))

    def _go_on(self, fetch: _Fetch, works: Iterable[Work]) -> None:
        """What was fetched for these is there; perhaps it shows that more is needed."""
        for work in works:
            if work not in fetch.works:
                continue
            del fetch.works[work]
            if work.envelope is None:
                self._mailbox.ready.release(work)
            if work.answered or work.is_to_fetch or not work.keys:
                self.admit(work)
            else:
                self._mailbox.put(work)
            self._mailbox.nudge()

    def _let_go(self, fetch: _Fetch, lanes: Iterable[Lane]) -> None:
        """Others of these lanes may be fetched."""
        for lane in lanes:
            if lane in fetch.held:
                self._queue.release(fetch.held.pop(lane))
                self._arrived.set()

    async def _fetch(self, fetch: _Fetch, works: Sequence[Work]) -> None:
        """Fetches what is known by now to be needed. Whatever fails is found missing again; what
        the store refuses or is late with, alone. A command that has what it needs goes on at once,
        whatever the others wait for."""
        self._end_the_late(works)
        try:
            await self._look_up([work for work in works if work.look_up and not work.answered])
            lacking = [work for work in works if not work.answered and self._lacks(work)]
            waiting, slow = set(lacking), {work.lane for work in lacking}
            self._go_on(fetch, [work for work in works if work not in waiting])
            self._let_go(fetch, [work.lane for work in works if work.lane not in slow])
            await self._load(lacking)
            self._go_on(fetch, lacking)
        except OutcomeUnknown as error:
            log.warning("the database cannot be reached", reason=repr(error.__cause__))
            self._end_the_late([work for work in works if work in fetch.works])
            await asyncio.sleep(PAUSE_SECONDS)
        except Exception as error:
            if len(works) > 1:
                await self._fetch_apart(fetch, [work for work in works if work in fetch.works])
            else:
                self._give_up(works[0], error)

    async def _fetch_apart(self, fetch: _Fetch, works: Sequence[Work]) -> None:
        """After a failure: each lane for itself, so that no other waits for the search of the
        culprit, which takes the store's patience again and again; and within a lane one half after
        the other, so that it never takes more than one turn at the store."""
        lanes: dict[Lane, list[Work]] = {}
        for work in works:
            lanes.setdefault(work.lane, []).append(work)
        if len(lanes) > 1:
            await asyncio.gather(*(self._fetch(fetch, lane) for lane in lanes.values()))
        else:
            for half in in_halves(works):
                if half:
                    await self._fetch(fetch, half)

    def _lacks(self, work: Work) -> list[Key]:
        """What it lacked when it was admitted, and still does."""
        return [key for key in work.lacks if key not in self._memory]

    def _give_up(self, work: Work, error: Exception) -> None:
        """The store refused what this work needs, or was late with it; or a rule of ours broke."""
        refused = isinstance(error, Rejected)
        log.error("not fetched", command=work.label, reason=repr(error), exc_info=not refused)
        self._mailbox.answer(work, Answer(Outcome.BUSY) if refused else BROKEN)

    def _end_the_late(self, works: Sequence[Work]) -> None:
        now_ms = self._clock.now_ms()
        for work in works:
            if work.envelope is not None and work.envelope.deadline_ms < now_ms:
                self._mailbox.answer(work, Answer(Outcome.TOO_LATE))
            elif work.envelope is None and work.context.now_ms + DUE_PATIENCE_MS < now_ms:
                self._mailbox.answer(work, Answer(Outcome.BUSY))  # it falls due again

    async def _look_up(self, works: Sequence[Work]) -> None:
        """Answers the commands that were done before, as recorded."""
        asked = {work.context.command_id: work for work in works}
        if not asked:
            return
        async with self._turns:
            logged = await self._store.known(list(asked))
        for command_id, work in asked.items():
            work.look_up = work.unsure = False
            if (line := logged.get(command_id)) is not None:
                self._mailbox.answer(work, _as_logged(line, work.fingerprint))

    async def _load(self, works: Sequence[Work]) -> None:
        needed: dict[Family, dict[Key, None]] = {}
        for work in works:
            needed.setdefault(work.family, {}).update(dict.fromkeys(self._lacks(work)))
        for family, keys in needed.items():
            if keys:
                async with self._turns:
                    await self._bring(family, list(keys), self._store.load)
        for work in works:
            work.rounds += 1

    async def _bring(self, family: Family, keys: Sequence[Key], load: Load) -> None:
        reading = self._memory.expect(keys)
        try:
            rows = await load(family.loader, keys)
            for key in keys:
                row = rows.get(key)
                state = None if row is None else family.rules.restore(key, row)
                self._memory.arrive(key, state, reading)
        finally:
            self._memory.give_up(keys, reading)

    # --- questions -------------------------------------------------------------------------

    def ask(self, works: Sequence[Work]) -> None:
        """Puts the questions of works at the front of one lane, which is held until they can be
        decided, before all else of it: nothing of their tenant changes between an answer and the
        decision that rests on it."""
        task = asyncio.create_task(self._ask(works))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, works: Sequence[Work]) -> None:
        try:
            for work in works:
                self._end_the_late([work])
                await self._answer_questions(work)
        except Exception:
            log.exception("asking failed")
        finally:
            ready = self._mailbox.ready
            left = [work for work in works if not work.answered]
            if left:
                ready.put_asked(left)
            ready.release(works[0])
            self._mailbox.nudge()

    async def _answer_questions(self, work: Work) -> None:
        while work.questions and not work.answered:
            try:
                await self._put(work)
            except OutcomeUnknown as error:
                log.warning("the database cannot be reached", reason=repr(error.__cause__))
                self._end_the_late([work])
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:
                self._give_up(work, error)

    async def _put(self, work: Work) -> None:
        family = work.family
        questions = [key for key in work.questions if key.ephemeral]
        if questions:
            rows = await self._store.ask(family.loader, questions)
            for key in questions:
                row = rows.get(key)
                work.asked[key] = None if row is None else family.rules.restore(key, row)
        if plain := [key for key in work.questions if not key.ephemeral]:
            await self._bring(family, plain, self._store.ask)
        work.rounds += 1
        work.questions = self._missing(work)

    # --- the end ---------------------------------------------------------------------------

    def stop(self) -> None:
        for task in (*self._asking, *self._fetches):
            if task is not None:
                task.cancel()


def _as_logged(line: Logged, fingerprint: bytes) -> Answer:
    if line.fingerprint != fingerprint:
        return Answer(Outcome.MISMATCH)
    said = decode_logged(line.reply)
    return Answer(Outcome.DONE, said.reply, said.receipts)
