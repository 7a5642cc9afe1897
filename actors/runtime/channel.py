"""What a replica has open at one process of a host, and how it gets there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from actors.runtime.calling import Calling, Load, Waiter
from actors.runtime.directory import Owner
from actors.runtime.link import Link
from actors.runtime.ports import Transport
from actors.runtime.stream import FULL_BYTES
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope, Outcome
from core import telemetry
from core.clock import Clock

MAX_LOAD = 500
TICK_SECONDS = 0.25
PATIENCE_SECONDS = 1.0

TOO_LATE = Answer(Outcome.TOO_LATE)
_BY_STREAM = telemetry.COMMANDS_SENT.labels("stream")
_BY_CALL = telemetry.COMMANDS_SENT.labels("call")


class Channel:
    """From this replica to one incarnation of a host: by a stream where there is one, otherwise by
    calls. What comes in one turn of the loop leaves together; each command is answered on its own,
    as soon as it is decided, or at its deadline.

    `look` is called about once a second while a command waits for longer than that: the host may
    have been stopped, and somebody else have taken its shards.
    """

    def __init__(
        self, transport: Transport, owner: Owner, clock: Clock, look: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._look = look
        self._waiting: deque[tuple[Envelope, Waiter]] = deque()
        # All that wait for an answer, sent or not, in the order in which they came: until when.
        self._open: dict[Waiter, int] = {}
        self._flushing = False
        self._ticking = False
        self._oldest: Waiter | None = None
        self._silent_seconds = 0.0
        self._closed = False
        self._link = Link(lambda: transport.stream(owner, self._deliver, self._flush), self._flush)
        self._calling = Calling(transport, owner.name, self._take_for_call, self._deliver)

    def send(self, envelope: Envelope) -> Waiter:
        """The answer to come. ASK_AGAIN when the host was lost: the outcome is then unknown.
        TOO_LATE when there was none until the deadline."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        if self._closed:
            waiter.set_result(ASK_AGAIN)
            return waiter
        self._open[waiter] = envelope.deadline_ms
        self._waiting.append((envelope, waiter))
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK_SECONDS, self._tick)
        return waiter

    def close(self) -> None:
        """The host's shards went elsewhere: nobody need wait for its answer."""
        self._closed = True
        self._waiting.clear()
        for waiter in list(self._open):
            self._deliver(waiter, ASK_AGAIN)
        self._link.close()

    def _deliver(self, waiter: Waiter, answer: Answer) -> None:
        self._open.pop(waiter, None)
        if not waiter.done():
            waiter.set_result(answer)

    # --- sending ---------------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushing = False
        if not self._waiting:
            return
        stream = self._link.stream()
        if stream is None:
            self._calling.start()
            return
        # Where there is no room the stream says when there is.
        while (room := stream.room) > 0 and (load := self._take(min(room, MAX_LOAD))):
            _BY_STREAM.inc(len(load))
            stream.post(load)

    def _take_for_call(self) -> Load:
        load = [] if self._link.stream() is not None else self._take(MAX_LOAD)
        _BY_CALL.inc(len(load))
        return load

    def _take(self, most: int) -> Load:
        """The first of those who still wait, up to a number and a size."""
        load: Load = []
        size = 0
        while self._waiting and len(load) < most and size < FULL_BYTES:
            envelope, waiter = self._waiting.popleft()
            if not waiter.done():
                load.append((envelope, waiter))
                size += len(envelope.body)
        return load

    # --- time ------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticking = False
        now_ms = self._clock.now_ms()
        for waiter, deadline_ms in list(self._open.items()):
            if waiter.done() or deadline_ms <= now_ms:
                self._deliver(waiter, TOO_LATE)
        oldest = next(iter(self._open), None)
        self._silent_seconds = self._silent_seconds + TICK_SECONDS if oldest is self._oldest else 0
        self._oldest = oldest
        if oldest is None:
            return
        if self._silent_seconds >= PATIENCE_SECONDS:
            self._silent_seconds = 0
            self._look()
        self._ticking = True
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
