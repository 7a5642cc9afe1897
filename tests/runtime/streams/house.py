"""A host that listens on a real socket and decides nothing, and replicas that connect to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from actors.runtime import sockets
from actors.runtime.stream import HostEnd, Stream
from actors.runtime.wire import Answer, Envelope, Outcome
from core.settings import Settings

NOBODY = UUID(int=0)


def envelope(body: bytes = b"") -> Envelope:
    return Envelope("f", 0, NOBODY, NOBODY, b"", "", 0, 2**62, False, False, body)


class Echo:
    """A host: answers each command with its body, at once or, when it is `held`, later."""

    def __init__(self) -> None:
        self.held = False
        self.open: list[tuple[Callable[[int, Answer], None], int, Answer]] = []
        self.taken = 0
        self.ends: set[HostEnd] = set()

    def receive(
        self, envelopes: Sequence[Envelope], tell: Callable[[int, Answer], None], first: int
    ) -> None:
        self.ends.add(tell.__self__)  # type: ignore[attr-defined]
        for number, envelope in enumerate(envelopes, first):
            self.taken += 1
            self.open.append((tell, number, Answer(Outcome.DONE, envelope.body)))
        if not self.held:
            self.answer(len(self.open))

    def answer(self, number: int) -> None:
        some, self.open = self.open[:number], self.open[number:]
        for tell, place, answer in some:
            tell(place, answer)


class Line:
    """A replica's end, and what it was told."""

    def __init__(self) -> None:
        self.told: dict[str, Answer] = {}
        self.changes = 0
        self.stream: Stream

    async def connect(self, settings: Settings, incarnation: UUID) -> Line:
        self.stream = await sockets.connect(
            settings, incarnation, self.told.__setitem__, self._change
        )
        return self

    def _change(self) -> None:
        self.changes += 1

    def post(self, *names: str, body: bytes | None = None) -> None:
        self.stream.post(
            [(envelope(name.encode() if body is None else body), name) for name in names]
        )


class House:
    """A host that listens, and those who connect to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.incarnation = uuid4()
        self.host = Echo()
        self.lines: list[Line] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def line(self) -> Line:
        self.lines.append(await Line().connect(self.settings, self.incarnation))
        return self.lines[-1]

    async def plain(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Somebody who speaks as he likes."""
        reader, writer = await asyncio.open_unix_connection(
            sockets.socket_path(self.settings, self.incarnation)
        )
        self._writers.append(writer)
        return reader, writer

    def hang_up(self) -> None:
        """A loop does not close as long as the two ends of a stream are open in it."""
        for line in self.lines:
            line.stream.drop("the test is over")
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def house_of(settings: Settings) -> AsyncIterator[House]:
    house = House(settings)
    server = await sockets.listen(settings, house.incarnation, house.host.receive)
    try:
        yield house
    finally:
        house.hang_up()
        server.close()
        await asyncio.sleep(0)
        shutil.rmtree(settings.run_dir)
