"""A stream without a socket: what one end writes, the other hears a little later, in order, as
long as both live. It loses frames, repeats them, and breaks within them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from actors.runtime.frames import Frames
from tests.runtime.faults import Faults

_HEAD_BYTES = 8
# A frame that is lost in the middle of a stream is a stream that ends soon.
MAX_UNNOTICED_SECONDS = 1.0


class _End:
    """What a protocol takes for its transport."""

    def __init__(self, cut: Callable[[], None], carry: Callable[[bytes], None]) -> None:
        self.abort = cut
        self.write = carry
        self.reads = asyncio.Event()
        self.reads.set()

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()


class _Way:
    """One direction. `lose` is how probable it is that a frame gets lost; what is written while
    `awake` is not set is heard when it is again."""

    def __init__(self, faults: Faults, lose: Callable[[], float], awake: asyncio.Event) -> None:
        self._faults = faults
        self._lose = lose
        self._awake = awake
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._bytes = 0
        self._torn = False

    def carry(self, source: Frames, cut: Callable[[], None], frame: bytes) -> None:
        faults, rng = self._faults, self._faults.rng
        if self._torn:
            return
        if faults.strikes(faults.cut):
            cut()
        elif faults.strikes(self._lose()):
            # All of it, so that a later one shows it, or the end of it and all that follows.
            whole = rng.random() < 0.5
            frame = b"" if whole else frame[: rng.randrange(len(frame))]
            self._torn = not whole
            asyncio.get_running_loop().call_later(rng.random() * MAX_UNNOTICED_SECONDS, cut)
        elif faults.strikes(faults.repeat / 4):
            frame += frame
        self._bytes += len(frame)
        self._pieces.put_nowait(frame)
        if self._bytes > source._transport.high and not source.paused:
            source.pause_writing()

    async def flow(self, source: Frames, target: Frames, end: _End) -> None:
        while True:
            piece = await self._pieces.get()
            await self._faults.delay()
            await self._awake.wait()
            await end.reads.wait()
            if target.lost:
                return
            self._bytes -= len(piece)
            if piece:
                target.data_received(piece)
            if source.paused and not self._bytes:
                source.resume_writing()


class Pipe:
    """Joins a replica's end and a host's. `repeat` is given commands that come again later, by
    whatever way."""

    def __init__(
        self,
        stream: Frames,
        host_end: Frames,
        faults: Faults,
        awake: asyncio.Event,
        repeat: Callable[[bytes], None],
    ) -> None:
        self._stream, self._host_end = stream, host_end
        self._faults, self._repeat = faults, repeat
        self._broken = asyncio.Event()
        self._there = _Way(faults, lambda: faults.lose_request, awake)
        self._back = _Way(faults, lambda: faults.lose_answer, awake)
        self._ends = (_End(self._broken.set, self._ask), _End(self._broken.set, self._answer))
        for frames, end in zip((stream, host_end), self._ends, strict=True):
            frames.connection_made(end)

    def _ask(self, frame: bytes) -> None:
        if self._faults.strikes(self._faults.repeat):
            self._repeat(frame[_HEAD_BYTES:])
        self._there.carry(self._stream, self._broken.set, frame)

    def _answer(self, frame: bytes) -> None:
        self._back.carry(self._host_end, self._broken.set, frame)

    async def run(self, dead: asyncio.Event) -> None:
        """Until either end cuts it, or the host is dead."""
        ours, theirs = self._ends
        works = [
            asyncio.create_task(self._there.flow(self._stream, self._host_end, theirs)),
            asyncio.create_task(self._back.flow(self._host_end, self._stream, ours)),
            asyncio.create_task(self._broken.wait()),
            asyncio.create_task(dead.wait()),
        ]
        try:
            await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for work in works:
                work.cancel()
            for frames in (self._stream, self._host_end):
                frames.connection_lost(None)
