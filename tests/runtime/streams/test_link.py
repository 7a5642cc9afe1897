"""A channel goes by a stream where there is one, and by calls otherwise; nobody is left behind when
that changes."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from actors.runtime import link, sockets
from actors.runtime.channel import PATIENCE_SECONDS, Channel
from actors.runtime.directory import Owner
from actors.runtime.link import Link
from actors.runtime.ports import HostLost
from actors.runtime.stream import Deliver, Stream
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope, Outcome
from core.clock import SystemClock
from core.settings import Settings
from tests.runtime.streams.house import NOBODY, house_of
from tests.waiting import until

FAR_MS = 60_000
BY_STREAM, BY_CALL = b"by stream", b"by call"


class Ways:
    """A transport whose calls are answered at once; its streams lead to a house, if any."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.tries = 0
        self.last: Stream | None = None

    async def submit(
        self, host_name: str, envelopes: Sequence[Envelope], deliver: Callable[[int, Answer], None]
    ) -> None:
        for place in range(len(envelopes)):
            deliver(place, Answer(Outcome.DONE, BY_CALL))

    async def stream(
        self, owner: Owner, deliver: Deliver, changed: Callable[[], None]
    ) -> Stream | None:
        self.tries += 1
        self.last = await sockets.connect(self._settings, owner.incarnation, deliver, changed)
        return self.last


class Asker:
    """A channel, and who asks by it."""

    def __init__(self, ways: Ways, incarnation: UUID) -> None:
        self.looks = 0
        self.channel = Channel(ways, Owner("host", incarnation), SystemClock(), self._look)

    def _look(self) -> None:
        self.looks += 1

    def send(self, within_ms: int = FAR_MS) -> asyncio.Future[Answer]:
        until_ms = SystemClock().now_ms() + within_ms
        envelope = Envelope("f", 0, NOBODY, NOBODY, b"", "", 0, until_ms, False, False, BY_STREAM)
        return self.channel.send(envelope)

    async def way(self) -> bytes:
        return (await asyncio.wait_for(self.send(), 5)).reply

    async def goes(self, way: bytes) -> None:
        """Returns when that is how commands go."""
        async with asyncio.timeout(10):
            while await self.way() != way:
                await asyncio.sleep(0.005)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


async def test_calls_stand_in_until_there_is_a_stream_and_again_when_it_breaks(
    settings: Settings,
) -> None:
    ways = Ways(settings)
    async with house_of(settings) as house:
        asker = Asker(ways, house.incarnation)
        assert await asker.way() == BY_CALL, "nobody waits for a stream to be made"
        await asker.goes(BY_STREAM)
        house.host.held = True
        open_ = [asker.send() for _ in range(5)]
        await until(lambda: len(house.host.open) == 5)
        for end in list(house.host.ends):
            end.drop("as if the host had died")
        answers = await asyncio.wait_for(asyncio.gather(*open_), 5)
        assert answers == [ASK_AGAIN] * 5, "the outcome is unknown"
        house.host.held = False
        house.host.answer(5)
        assert await asker.way() == BY_CALL
        await asker.goes(BY_STREAM)
        asker.channel.close()
        assert await asker.send() == ASK_AGAIN


async def test_what_waited_for_room_goes_by_calls_when_the_stream_breaks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.runtime.stream.MAX_OPEN", 3)
    ways = Ways(settings)
    async with house_of(settings) as house:
        asker = Asker(ways, house.incarnation)
        await asker.goes(BY_STREAM)
        house.host.held = True
        sent = [asker.send() for _ in range(3)]
        await until(lambda: len(house.host.open) == 3)
        waiting = [asker.send() for _ in range(4)]
        await asyncio.sleep(0.02)
        assert len(house.host.open) == 3, "no more may be open"
        house.host.answer(1)
        await until(lambda: len(house.host.open) == 3)
        assert (await sent[0]).reply == BY_STREAM
        ways.last.drop("cut")  # type: ignore[union-attr]
        answers = await asyncio.wait_for(asyncio.gather(*sent, *waiting), 5)
        assert [answer.reply for answer in answers] == [BY_STREAM, b"", b"", b"", *[BY_CALL] * 3]
        asker.channel.close()


async def test_a_host_that_is_silent_is_looked_after_and_waited_for_until_the_deadline(
    settings: Settings,
) -> None:
    async with house_of(settings) as house:
        asker = Asker(Ways(settings), house.incarnation)
        await asker.goes(BY_STREAM)
        house.host.held = True
        long, short = asker.send(), asker.send(within_ms=300)
        assert (await asyncio.wait_for(short, 5)).outcome is Outcome.TOO_LATE
        assert asker.looks == 0, "a second of patience is not over"
        async with asyncio.timeout(10 * PATIENCE_SECONDS):
            while not asker.looks:
                await asyncio.sleep(0.01)
        assert not long.done()
        house.host.held = False
        assert await asker.way() == BY_STREAM, "newcomers are served meanwhile"
        assert (await long).outcome is Outcome.DONE
        assert not asker.channel._open
        asker.channel.close()


async def test_who_hung_up_before_it_was_sent_is_not_sent(settings: Settings) -> None:
    async with house_of(settings) as house:
        asker = Asker(Ways(settings), house.incarnation)
        await asker.goes(BY_STREAM)
        taken = house.host.taken
        gone, stays = asker.send(), asker.send()
        gone.cancel()
        assert (await stays).reply == BY_STREAM
        assert house.host.taken == taken + 1
        asker.channel.close()


async def test_in_vain_a_stream_is_tried_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And soon again when one that was in use has ended."""
    monkeypatch.setattr(random, "uniform", lambda *bounds: 1.0)
    monkeypatch.setattr(link, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(link, "MAX_PAUSE_SECONDS", 0.08)
    tries: list[float] = []
    loop = asyncio.get_running_loop()

    async def connect() -> Stream | None:
        tries.append(loop.time())
        raise HostLost

    wanted = Link(connect, lambda: None)
    began = loop.time()
    while len(tries) < 7:
        assert wanted.stream() is None
        await asyncio.sleep(0.001)
    planned = [0.0, 0.01, 0.02, 0.04, 0.08, 0.08, 0.08]
    # What begins late is no sooner than planned, and what follows it may seem so.
    earliest = (began + sum(planned[: number + 1]) for number in range(len(planned)))
    # Where a clock goes by whole milliseconds both are often the same moment, but for rounding.
    earliest = (soonest - 1e-6 for soonest in earliest)
    assert all(at >= soonest for at, soonest in zip(tries, earliest, strict=True))


async def test_where_there_never_is_a_stream_it_is_not_tried_again() -> None:
    tries = 0

    async def connect() -> Stream | None:
        nonlocal tries
        tries += 1
        return None

    wanted = Link(connect, lambda: None)
    for _ in range(50):
        assert wanted.stream() is None
        await asyncio.sleep(0.002)
    assert tries == 1


async def test_a_stopped_host_keeps_nobody_waiting_for_a_stream(settings: Settings) -> None:
    """Its socket is there, and its queue of connections takes one more; nothing is answered."""
    path = sockets.socket_path(settings, NOBODY)
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(path))
        door.listen(0)
        asker = Asker(Ways(settings), NOBODY)
        await asker.goes(BY_CALL)
        await until(lambda: asker.channel._link.stream() is not None)
        silent = asker.send()
        await asyncio.sleep(0.05)
        asker.channel.close()  # somebody else has its shards
        assert await silent == ASK_AGAIN
    path.unlink()
    path.parent.rmdir()
    settings.run_dir.rmdir()
