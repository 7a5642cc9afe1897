"""What has arrived at a host and is yet to be taken in: a few milliseconds of it at a time, in
turn by where it came from."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from actors.runtime.batch import OnAnswer
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope
from core.clock import Clock
from core.telemetry import get_logger

# Five hundred light commands take half of that.
MAX_TURN_SECONDS = 0.01
# Of commands' bodies, before it is another one's turn and the clock is looked at.
QUANTUM_BYTES = 4_096
# What a command costs beside its body, as if it were that much longer.
MIN_BYTES = 256

TakeIn = Callable[[Envelope, int, float, OnAnswer], None]
Arrived = Iterator[tuple[int, Envelope]]

log = get_logger("runtime.intake")


class Intake:
    """`take_in` is called with each envelope, the time (ms since the epoch, and seconds since boot)
    and what is called with the answer. Envelopes of one `deliver` keep their order."""

    def __init__(self, take_in: TakeIn, clock: Clock) -> None:
        self._take_in = take_in
        self._clock = clock
        self._waiting: OrderedDict[Callable[[int, Answer], None], deque[Arrived]] = OrderedDict()

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def put(
        self, envelopes: Sequence[Envelope], deliver: Callable[[int, Answer], None], first: int
    ) -> None:
        """Takes in as many as one turn is long, at once if nobody waits; `deliver` gets each answer
        with the number of its envelope, counted from `first`."""
        is_idle = self.is_idle
        self._waiting.setdefault(deliver, deque()).append(enumerate(envelopes, first))
        if is_idle:
            self._turn()

    def _turn(self) -> None:
        now_ms, now_seconds = self._clock.now_ms(), self._clock.boot_seconds()
        until = now_seconds + MAX_TURN_SECONDS
        while self._waiting:
            deliver, arrived = next(iter(self._waiting.items()))
            self._waiting.move_to_end(deliver)
            self._some(arrived, deliver, now_ms, now_seconds)
            if not arrived:
                del self._waiting[deliver]
            if self._clock.boot_seconds() >= until:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)

    def _some(
        self,
        arrived: deque[Arrived],
        deliver: Callable[[int, Answer], None],
        now_ms: int,
        now_seconds: float,
    ) -> None:
        """Takes in what is worth a quantum, and out of `arrived`."""
        left = QUANTUM_BYTES
        while arrived:
            for number, envelope in arrived[0]:
                try:
                    self._take_in(envelope, now_ms, now_seconds, partial(deliver, number))
                except Exception:
                    # A bug of ours must not end what everybody's commands go through. How far
                    # this one came is unknown, which is what its caller hears.
                    log.exception("a command was not taken in", family=envelope.family)
                    asyncio.get_running_loop().call_soon(deliver, number, ASK_AGAIN)
                left -= MIN_BYTES + len(envelope.body)
                if left <= 0:
                    return
            arrived.popleft()
