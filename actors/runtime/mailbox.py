"""What waits at a host, and what it remembers of its answers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

from actors.runtime.batch import OnAnswer, Work
from actors.runtime.family import Key
from actors.runtime.queue import QUANTUM, FairQueue
from actors.runtime.wire import Answer, Envelope, Outcome

MAX_BATCH = 500
# Of a batch, in aggregates that its commands touch: 500 holds of one line, or one count of 1,000.
MAX_BATCH_WEIGHT = 2_000
# What a work takes of a batch at least, however light it is: there are no more than MAX_BATCH.
MIN_WEIGHT = MAX_BATCH_WEIGHT // MAX_BATCH
# Of everything that waits, in weight: 60,000 light works.
MAX_WAITING = 60_000 * MIN_WEIGHT
# Of light works, which are most.
ONE_TURN = QUANTUM * MIN_WEIGHT
MAX_REMEMBERED_BYTES = 64_000_000
MAX_WAIT_SECONDS = 1.0


class Pace:
    """How long a command takes at present by its weight, learned from the batches before and
    from the one that runs: when a disk becomes slow, that shows while the first slow batch still
    runs."""

    def __init__(self) -> None:
        self._seconds_per_weight = 0.0
        self._began_seconds = 0.0
        # The weight of the batch that runs; None when none does.
        self.running: int | None = None

    def begin(self, now_seconds: float, works: Iterable[Work]) -> None:
        self._began_seconds = now_seconds
        self.running = sum(_share(work.weight) for work in works)

    def end(self, now_seconds: float, *, done: bool = True) -> None:
        """One that was not `done` took as long as something was broken: that says nothing of those
        that come after it."""
        if self.running and done:
            self._seconds_per_weight = (self._seconds_per_weight + self._so_far(now_seconds)) / 2
        self.running = None

    def _so_far(self, now_seconds: float) -> float:
        # A small batch tells little of what a full one would cost, so it is counted as if half
        # a batch had shared its time.
        weight = max(self.running or 0, MAX_BATCH_WEIGHT // 2)
        return (now_seconds - self._began_seconds) / weight

    def bound(self, now_seconds: float) -> int:
        """The weight that is served in MAX_WAIT_SECONDS, between one batch and the absolute
        limit."""
        pace = self._seconds_per_weight
        if self.running is not None:
            pace = max(pace, self._so_far(now_seconds))
        if pace * MAX_WAITING <= MAX_WAIT_SECONDS:
            return MAX_WAITING
        return max(MAX_BATCH_WEIGHT, int(MAX_WAIT_SECONDS / pace))


def _share(weight: int) -> int:
    """What a work takes of a batch."""
    return max(weight, MIN_WEIGHT)


class _Remembered(NamedTuple):
    fingerprint: bytes
    answer: Answer
    deadline_ms: int
    bytes: int


class Mailbox:
    """All works that are open: those that are ready wait here in order, the others are being
    looked up or loaded. A repeat of an open command joins it; a repeat of one answered lately
    gets the same answer. Full, when more would wait than can be served in `MAX_WAIT_SECONDS`: then
    those are refused who have more than their share of it."""

    def __init__(self) -> None:
        self.ready = FairQueue()
        # By the numbers of commands and tenants: a UUID's hash costs a call.
        self._open: dict[int, Work] = {}
        # In order, so that a simulated life can be lived again.
        self._works: dict[Work, None] = {}
        self._weights: dict[int, int] = {}
        self._weight = 0
        # What is decided before work that comes now has a turn: of each tenant no more than one.
        self._one_turn_each = 0
        self._remembered: OrderedDict[int, _Remembered] = OrderedDict()
        self._remembered_bytes = 0
        self._arrived = asyncio.Event()
        self._nudged = False
        self.pace = Pace()

    def __len__(self) -> int:
        return len(self._works)

    def is_full(self, tenant_id: UUID, now_seconds: float) -> bool:
        bound = self.pace.bound(now_seconds)
        # A tenant that is over its share of a full mailbox waits; one with little in it does not,
        # however much that is: only where there are more tenants than can be served in time.
        has_much = self._weights.get(tenant_id.int, 0) * len(self._weights) >= bound
        return self._weight >= bound and (has_much or self._one_turn_each >= bound)

    def known(self, envelope: Envelope, now_ms: int, on_answer: OnAnswer) -> bool:
        """Whether this very command is answered, or will be: then `on_answer` gets that answer."""
        if envelope.read:
            return False
        number = envelope.command_id.int
        if (work := self._open.get(number)) is not None:
            if work.fingerprint == envelope.fingerprint:
                work.join(envelope, on_answer)
            else:
                on_answer(Answer(Outcome.MISMATCH))
            return True
        remembered = self._remembered.get(number)
        if remembered is None or remembered.deadline_ms < now_ms:
            return False
        same = remembered.fingerprint == envelope.fingerprint
        on_answer(remembered.answer if same else Answer(Outcome.MISMATCH))
        return True

    def open(self, work: Work) -> None:
        """Takes a work in; `answer` ends it."""
        if work.is_mutation and work.envelope is not None:
            self._open[work.envelope.command_id.int] = work
        self._works[work] = None
        self._add(work.context.tenant_id, _share(work.weight))

    def weigh(self, work: Work, weight: int) -> None:
        """A work turns out to be of another weight."""
        if work in self._works:
            self._add(work.context.tenant_id, _share(weight) - _share(work.weight))
        work.weight = weight

    def _add(self, tenant_id: UUID, weight: int) -> None:
        if not weight:
            return
        number = tenant_id.int
        before = self._weights.get(number, 0)
        after = before + weight
        if after:
            self._weights[number] = after
        else:
            del self._weights[number]
        self._weight += weight
        self._one_turn_each += min(after, ONE_TURN) - min(before, ONE_TURN)

    def put(self, work: Work) -> None:
        """It may be decided."""
        if work.envelope is None:
            self.ready.put_due(work)
        else:
            self.ready.put(work)
        self._arrived.set()

    async def wait(self) -> None:
        """Returns when there is something to decide, or a nudge."""
        while not self.ready.is_ready and not self._nudged:
            self._arrived.clear()
            await self._arrived.wait()
        self._nudged = False

    def take(self) -> tuple[list[Work], list[list[Work]]]:
        """A batch, and the works at the front of lanes that first have a question to the store:
        their lanes are held."""
        return self.ready.take(MAX_BATCH, MAX_BATCH_WEIGHT, lambda work: bool(work.questions))

    def needed(self) -> frozenset[Key]:
        """The aggregates that were loaded for what is open: not to be forgotten before it is
        decided."""
        return frozenset(key for work in self._works for key in work.keys)

    def nudge(self) -> None:
        """Wakes the host for what it has to do by itself."""
        self._nudged = True
        self._arrived.set()

    def answer(self, work: Work, answer: Answer) -> None:
        """Answers the callers, and remembers a decision until its deadline: also a refusal, so
        that a repeat of the request hears the same."""
        if work.answered:
            return
        work.answered = True
        self._close(work)
        envelope = work.envelope
        if envelope is not None and work.is_mutation and answer.outcome is Outcome.DONE:
            self._remember(envelope, answer)
        for on_answer in work.listeners:
            on_answer(answer)

    def _close(self, work: Work) -> None:
        envelope = work.envelope
        if envelope is not None and self._open.get(envelope.command_id.int) is work:
            del self._open[envelope.command_id.int]
        if work in self._works:
            del self._works[work]
            self._add(work.context.tenant_id, -_share(work.weight))

    def _remember(self, envelope: Envelope, answer: Answer) -> None:
        number = envelope.command_id.int
        before = self._remembered.pop(number, None)
        if before is not None:
            self._remembered_bytes -= before.bytes
        size = 500 + len(answer.reply) + 150 * len(answer.receipts)
        self._remembered[number] = _Remembered(
            envelope.fingerprint, answer, envelope.deadline_ms, size
        )
        self._remembered_bytes += size
        while self._remembered_bytes > MAX_REMEMBERED_BYTES:
            self._remembered_bytes -= self._remembered.popitem(last=False)[1].bytes

    def withdraw(self, belongs: Callable[[Work], bool]) -> Iterable[Work]:
        """Takes out what is open and `belongs`, wherever it stands; to be answered."""
        self.ready.withdraw(belongs)
        return [work for work in self._works if belongs(work)]

    def forget(self, now_ms: int) -> None:
        """Lets go of answers whose deadline has passed."""
        while self._remembered:
            oldest = next(iter(self._remembered))
            if self._remembered[oldest].deadline_ms >= now_ms:
                return
            self._remembered_bytes -= self._remembered.pop(oldest).bytes
