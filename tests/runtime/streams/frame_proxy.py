"""Stands between a replica and a host on real sockets, and does to frames what a bad network does:
loses them, holds them up, repeats them, and cuts the connection within one."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.runtime.faults import Faults

# So late a copy of what was sent may come.
MAX_LATE_SECONDS = 2.0
_HEAD = struct.Struct(">II")


@dataclass
class FrameProxy:
    """Each connection is passed on to `target`. `seen` counts frames and what was done to them."""

    target: Path
    faults: Faults
    seen: Counter[str] = field(default_factory=Counter)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self, path: Path) -> asyncio.Server:
        path.parent.mkdir(parents=True, exist_ok=True)
        return await asyncio.start_unix_server(self._accept, path)

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        answers, host = await asyncio.open_unix_connection(self.target)
        self.seen["connections"] += 1
        ways = [
            asyncio.create_task(self._pass(reader, host, self.faults.lose_request, repeats=True)),
            asyncio.create_task(self._pass(answers, writer, self.faults.lose_answer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for side in (writer, host):
                side.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lose: float,
        *,
        repeats: bool = False,
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(_HEAD.size)
                body = await reader.readexactly(_HEAD.unpack(head)[0])
                await self.faults.delay()
                writer.write(self._treated(head, body, lose, repeats=repeats))
                await writer.drain()
                if self.faults.strikes(self.faults.cut):
                    # What follows is the beginning of a frame that never ends.
                    self.seen["cut"] += 1
                    writer.write(head[: self.faults.rng.randrange(1, _HEAD.size)])
                    return

    def _treated(self, head: bytes, body: bytes, lose: float, *, repeats: bool) -> bytes:
        self.seen["frames"] += 1
        if self.faults.strikes(lose):
            self.seen["lost"] += 1
            return b""
        if repeats and self.faults.strikes(self.faults.repeat):
            self._later(body)
        if self.faults.strikes(self.faults.repeat / 10):
            self.seen["repeated"] += 1
            return (head + body) * 2
        return head + body

    def _later(self, body: bytes) -> None:
        task = asyncio.create_task(self._again(body))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _again(self, body: bytes) -> None:
        """The same commands once more, on a connection of their own, perhaps long after their
        sender was told what became of them."""
        await asyncio.sleep(self.faults.rng.random() * MAX_LATE_SECONDS)
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_unix_connection(self.target)
            writer.write(_HEAD.pack(len(body), 0) + body)
            await reader.readexactly(_HEAD.size)
            self.seen["came later again"] += 1
            writer.close()
