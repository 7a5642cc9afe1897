"""The bounded queue in front of a host, and its memory of what it answered lately."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from uuid import UUID

from actors.runtime.batch import Work
from actors.runtime.wire import Answer, Envelope, Outcome

MAX_BATCH = 500
MAX_WAITING = 20_000
MAX_REMEMBERED = 200_000
MAX_WAIT_SECONDS = 1.5

Waiter = asyncio.Future[Answer]


class Pace:
    """How long a command takes at present, learned from the batches before and from the one
    that runs: when a disk becomes slow, that shows while the first slow batch still runs."""

    def __init__(self) -> None:
        self._seconds_per_command = 0.0
        self._began_seconds = 0.0
        # In the batch that runs; None when none does.
        self.running: int | None = None

    def begin(self, now_seconds: float, commands: int) -> None:
        self._began_seconds, self.running = now_seconds, commands

    def end(self, now_seconds: float) -> None:
        if self.running:
            self._seconds_per_command = (self._seconds_per_command + self._so_far(now_seconds)) / 2
        self.running = None

    def _so_far(self, now_seconds: float) -> float:
        # A small batch tells little of what a full one would cost, so it is counted as if half
        # a batch had shared its time.
        commands = max(self.running or 0, MAX_BATCH // 2)
        return (now_seconds - self._began_seconds) / commands

    def bound(self, now_seconds: float) -> int:
        """How many are served in MAX_WAIT_SECONDS, between one batch and the absolute limit."""
        pace = self._seconds_per_command
        if self.running is not None:
            pace = max(pace, self._so_far(now_seconds))
        if pace * MAX_WAITING <= MAX_WAIT_SECONDS:
            return MAX_WAITING
        return max(MAX_BATCH, int(MAX_WAIT_SECONDS / pace))


class Mailbox:
    """Commands in order of arrival. A repeat of a command that waits, or is being decided, joins
    its future; a repeat of one answered lately gets the same answer. Full, when with those that
    are being decided more would wait than can be served in `MAX_WAIT_SECONDS`."""

    def __init__(self) -> None:
        self._queue: deque[Work] = deque()
        self._open: dict[UUID, tuple[bytes, Waiter]] = {}
        self._remembered: OrderedDict[UUID, tuple[bytes, Answer, int]] = OrderedDict()
        self._arrived = asyncio.Event()
        self._nudged = False
        self.pace = Pace()

    def __len__(self) -> int:
        return len(self._queue)

    def is_full(self, now_seconds: float) -> bool:
        waiting = len(self._queue) + (self.pace.running or 0)
        return waiting >= self.pace.bound(now_seconds)

    def known(self, envelope: Envelope, now_ms: int) -> Answer | Waiter | None:
        """The answer of this very command, given or on its way."""
        if envelope.read:
            return None
        waiting = self._open.get(envelope.command_id)
        if waiting is not None:
            same = waiting[0] == envelope.fingerprint
            return waiting[1] if same else Answer(Outcome.MISMATCH)
        remembered = self._remembered.get(envelope.command_id)
        if remembered is None or remembered[2] < now_ms:
            return None
        same = remembered[0] == envelope.fingerprint
        return remembered[1] if same else Answer(Outcome.MISMATCH)

    def put(self, work: Work) -> Waiter:
        """Queues a caller's work and returns where its answer will appear."""
        work.waiter = waiter = asyncio.get_running_loop().create_future()
        if work.envelope is not None and work.is_mutation:
            self._open[work.envelope.command_id] = (work.envelope.fingerprint, waiter)
        self._queue.append(work)
        self._arrived.set()
        return waiter

    async def take(self) -> list[Work]:
        """Waits for work or a nudge; then what has come, up to a batch, perhaps nothing."""
        while not self._queue and not self._nudged:
            self._arrived.clear()
            await self._arrived.wait()
        self._nudged = False
        return [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]

    def nudge(self) -> None:
        """Wakes the host for what it has to do by itself."""
        self._nudged = True
        self._arrived.set()

    def answer(self, work: Work, answer: Answer) -> None:
        """Resolves the caller, and remembers a decision until its deadline: also a refusal, so
        that a repeat of the request hears the same."""
        envelope = work.envelope
        if envelope is not None and work.is_mutation:
            self._open.pop(envelope.command_id, None)
            if answer.outcome is Outcome.DONE:
                entry = (envelope.fingerprint, answer, envelope.deadline_ms)
                self._remembered[envelope.command_id] = entry
                while len(self._remembered) > MAX_REMEMBERED:
                    self._remembered.popitem(last=False)
        if work.waiter is not None and not work.waiter.done():
            work.waiter.set_result(answer)

    def withdraw(self, belongs: Callable[[Work], bool]) -> list[Work]:
        """Takes out what waits and `belongs`."""
        chosen = [work for work in self._queue if belongs(work)]
        if chosen:
            self._queue = deque(work for work in self._queue if not belongs(work))
        return chosen

    def forget(self, now_ms: int) -> None:
        """Lets go of answers whose deadline has passed."""
        while self._remembered:
            oldest = next(iter(self._remembered))
            if self._remembered[oldest][2] >= now_ms:
                return
            del self._remembered[oldest]
