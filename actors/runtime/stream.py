"""A stream between a replica and a host of the same machine, which costs both a fraction of a call
over Ray.

One way go lists of envelopes, the other way answers as they are decided, each with the number of
its envelope, counted over the stream. It promises what a call promises: a stream that ends leaves
the outcome of what was not answered unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from actors.runtime.frames import MAX_FRAME_BYTES, Frames
from actors.runtime.wire import (
    ASK_AGAIN,
    Answer,
    Envelope,
    Outcome,
    decode_answers,
    decode_envelopes,
    encode,
)
from core.telemetry import get_logger

# Commands of one stream that are not answered yet: ten times what a replica has under way.
MAX_OPEN = 10_000
# Answers that gather for a replica which does not read, and how long it may be that slow.
MAX_UNREAD_BYTES = 16 << 20
MAX_STUCK_SECONDS = 5.0
MAX_STREAMS = 1_000
# Of answers or of commands' bodies: with so much a frame is full, whatever the last one adds.
FULL_BYTES = 1 << 20

# Something that no frame can hold.
UNSPEAKABLE = Answer(Outcome.BROKEN)

Deliver = Callable[[Any, Answer], None]
Receive = Callable[[Sequence[Envelope], Callable[[int, Answer], None], int], None]

log = get_logger("runtime.stream")


class Stream(Frames):
    """A replica's end. `deliver` is called with each answer and the waiter whose it is, `changed`
    when there is room again, or the stream has ended."""

    def __init__(self, deliver: Deliver, changed: Callable[[], None]) -> None:
        super().__init__()
        self._deliver = deliver
        self._changed = changed
        self._open: dict[int, Any] = {}
        self._number = 0

    @property
    def room(self) -> int:
        """How many more commands can be sent now."""
        return 0 if self.paused or self.lost else MAX_OPEN - len(self._open)

    def post(self, load: Sequence[tuple[Envelope, Any]]) -> None:
        """Sends commands, each with its waiter: as many as there is room for at most."""
        body = encode([envelope for envelope, _ in load])
        if len(body) > MAX_FRAME_BYTES:
            log.error("too large to be sent", bytes=len(body))
            for _, waiter in load:
                self._deliver(waiter, UNSPEAKABLE)
            return
        for number, (_, waiter) in enumerate(load, self._number):
            self._open[number] = waiter
        self._number += len(load)
        self.send(body)

    def heard(self, body: memoryview) -> None:
        was_full = len(self._open) >= MAX_OPEN
        for number, answer in decode_answers(body):
            self._deliver(self._open.pop(number), answer)
        if was_full:
            self._changed()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._changed()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        waiting, self._open = self._open, {}
        for waiter in waiting.values():
            self._deliver(waiter, ASK_AGAIN)
        self._changed()


class HostEnd(Frames):
    """A host's end. It hears no more commands while the replica does not read its answers, and is
    dropped when that lasts; `receive` is `Host.receive`, `ends` are all that are open."""

    def __init__(self, receive: Receive, ends: set[HostEnd]) -> None:
        super().__init__()
        self._receive = receive
        self._ends = ends
        self._taken = 0
        self._open = 0
        self._fresh: list[tuple[int, Answer]] = []
        self._fresh_bytes = 0
        self._sending = False
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._ends.add(self)
        if len(self._ends) > MAX_STREAMS:
            self.drop("there are too many")

    def heard(self, body: memoryview) -> None:
        envelopes = decode_envelopes(body)
        if self._open + len(envelopes) > MAX_OPEN:
            self.drop("too many commands are open")
            return
        first = self._taken
        self._taken += len(envelopes)
        self._open += len(envelopes)
        self._receive(envelopes, self._deliver, first)

    def _deliver(self, number: int, answer: Answer) -> None:
        self._open -= 1
        if self.lost:
            return
        self._fresh.append((number, answer))
        self._fresh_bytes += len(answer.reply)
        if self._fresh_bytes > MAX_UNREAD_BYTES and self.paused:
            self.drop("it does not read its answers")
        elif not self._sending:
            # What is decided together is answered in one frame.
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send_answers)

    def _send_answers(self) -> None:
        self._sending = False
        while self._fresh and not self.paused and not self.lost:
            some = self._frameful()
            body = encode(some)
            if len(body) > MAX_FRAME_BYTES:
                log.error("an answer is too large to be sent", bytes=len(body))
                body = encode([(number, UNSPEAKABLE) for number, _ in some])
            self.send(body)

    def _frameful(self) -> list[tuple[int, Answer]]:
        """Takes out what goes into a frame: one answer at least."""
        size = bytes_ = 0
        if self._fresh_bytes <= FULL_BYTES:
            size, bytes_ = len(self._fresh), self._fresh_bytes
        while size < len(self._fresh) and bytes_ < FULL_BYTES:
            bytes_ += len(self._fresh[size][1].reply)
            size += 1
        some, self._fresh = self._fresh[:size], self._fresh[size:]
        self._fresh_bytes -= bytes_
        return some

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.lost:
            return
        self._transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._stuck = loop.call_later(MAX_STUCK_SECONDS, self.drop, "it reads no more")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._calm()
        if not self.lost:
            self._transport.resume_reading()
            self._send_answers()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._ends.discard(self)
        self._calm()
        self._fresh.clear()

    def _calm(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
