"""The stream between a replica and a host, over real sockets: what it carries, and what it does
with an end that does not keep to it."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from actors.runtime import frames, sockets, stream
from actors.runtime.ports import HostLost
from actors.runtime.stream import MAX_OPEN
from actors.runtime.wire import ASK_AGAIN, Answer, Outcome, decode_answers, encode
from core.settings import Settings
from tests.runtime.streams.house import NOBODY, Echo, House, Line, envelope, house_of
from tests.waiting import until

HEAD = struct.Struct(">II")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with house_of(settings) as one:
        yield one


def _frame(number: int, body: bytes) -> bytes:
    return HEAD.pack(len(body), number) + body


# --- what it carries -----------------------------------------------------------------------


async def test_each_is_answered_as_soon_as_it_is_decided(house: House) -> None:
    """A refusal does not wait for the slow commit of who came before it."""
    line = await house.line()
    house.host.held = True
    line.post("slow", "other")
    line.post("quick")
    await until(lambda: house.host.taken == 3)
    house.host.open.reverse()
    house.host.answer(1)
    await until(lambda: line.told == {"quick": Answer(Outcome.DONE, b"quick")})
    house.host.answer(2)
    await until(lambda: len(line.told) == 3)
    assert all(answer.reply.decode() == name for name, answer in line.told.items())


async def test_what_is_decided_together_is_answered_in_one_frame(house: House) -> None:
    reader, writer = await house.plain()
    writer.write(_frame(0, encode([envelope(b"%d" % number) for number in range(100)])))
    length, number = HEAD.unpack(await reader.readexactly(HEAD.size))
    answers = decode_answers(await reader.readexactly(length))
    assert number == 0
    assert answers == [(n, Answer(Outcome.DONE, b"%d" % n)) for n in range(100)]
    writer.close()


async def test_frames_arrive_in_pieces_and_by_the_dozen(house: House) -> None:
    """However the socket cuts them; also one of many megabytes."""
    reader, writer = await house.plain()
    data = b"".join(_frame(number, encode([envelope(b"x")])) for number in range(3))
    for at in range(len(data)):
        writer.write(data[at : at + 1])
        await asyncio.sleep(0)
    large = encode([envelope(bytes(9_000_000))])
    writer.write(
        b"".join(_frame(number, large if number == 7 else encode([])) for number in range(3, 10))
    )
    told = []
    while len(told) < 4:
        length, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
        told += decode_answers(await reader.readexactly(length))
    assert [number for number, _ in told] == [0, 1, 2, 3]
    assert len(told[3][1].reply) == 9_000_000
    writer.close()


async def test_a_command_that_no_frame_holds_ends_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_FRAME_BYTES", 10_000)
    line = await house.line()
    line.post("large", body=bytes(20_000))
    line.post("small")
    await until(lambda: len(line.told) == 2)
    assert line.told["large"].outcome is Outcome.BROKEN
    assert line.told["small"].outcome is Outcome.DONE


# --- what it does not take -----------------------------------------------------------------

SOUND = _frame(0, encode([envelope(b"x")]))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(_frame(0, b"\xc1 is no msgpack"), id="a body that nobody understands"),
        pytest.param(_frame(0, encode([{"a": 1}])), id="a body of another form"),
        pytest.param(HEAD.pack(frames.MAX_FRAME_BYTES + 1, 0), id="a frame that is too large"),
        pytest.param(SOUND + _frame(2, encode([])), id="a frame that is missing"),
        pytest.param(SOUND + SOUND, id="a frame that comes twice"),
        pytest.param(SOUND + b"GET / HTTP/1.1\r\n\r\n", id="something else"),
        pytest.param(_frame(0, encode([envelope()] * (MAX_OPEN + 1))), id="more than may be open"),
    ],
)
async def test_who_speaks_otherwise_is_dropped_alone(house: House, said: bytes) -> None:
    line = await house.line()
    reader, writer = await house.plain()
    writer.write(said)
    await _ended(reader)
    line.post("neighbour")
    await until(lambda: line.told.get("neighbour") is not None)
    assert line.told["neighbour"].outcome is Outcome.DONE
    writer.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    """Returns when the other side has cut the stream."""
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass


async def test_answers_that_nobody_asked_for_end_the_stream(settings: Settings) -> None:
    async with house_of(settings) as house:
        house.host.held = True
        line = await house.line()
        line.post("one")
        await until(lambda: house.host.taken == 1)
        tell, number, answer = house.host.open[0]
        tell(number + 5, answer)
        await until(lambda: line.told.get("one") is not None)
        assert (line.told["one"], line.stream.lost, line.stream.room) == (ASK_AGAIN, True, 0)


async def test_another_users_process_is_not_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each end asks the system who is at the other."""
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    made = []
    monkeypatch.setattr(frames.log, "warning", lambda *what, **about: made.append(about["why"]))
    reader, writer = await house.plain()
    writer.write(SOUND)
    await _ended(reader)
    assert house.host.taken == 0
    assert made == ["it is another user's"]
    writer.close()


# --- an end that does not read -------------------------------------------------------------


async def test_a_replica_that_does_not_read_costs_little_and_not_for_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_STUCK_SECONDS", 0.5)
    line = await house.line()
    _, writer = await house.plain()
    writer.write(SOUND)
    await until(lambda: bool(house.host.ends))
    (deaf,) = house.host.ends
    body = encode([envelope(bytes(50_000))] * 10)
    most = 0
    for number in range(1, 400):  # 200 MB, if it were to gather
        if writer.transport.is_closing():
            break
        writer.write(_frame(number, body))
        await asyncio.sleep(0)
        most = max(most, deaf._fresh_bytes + deaf._transport.get_write_buffer_size())
    line.post("neighbour")
    await until(lambda: "neighbour" in line.told)
    assert house.host.taken < 4_000, "nothing more is heard of who does not read"
    assert most < 2 * frames.HIGH_WATER_BYTES + stream.FULL_BYTES
    await until(lambda: deaf.lost)
    assert deaf._fresh == []
    writer.transport.abort()


async def test_answers_that_were_open_do_not_gather_for_who_does_not_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_UNREAD_BYTES", 4 << 20)
    house.host.held = True
    _, writer = await house.plain()
    for number in range(60):
        writer.write(_frame(number, encode([envelope(bytes(500_000))])))
        await writer.drain()
    await until(lambda: house.host.taken == 60)
    (deaf,) = house.host.ends
    most = 0
    while house.host.open:
        house.host.answer(1)
        await asyncio.sleep(0)
        most = max(most, deaf._fresh_bytes)
    assert deaf.lost
    assert most <= (4 << 20) + 500_000
    writer.transport.abort()


async def test_who_is_slow_is_served_in_the_end(house: House) -> None:
    reader, writer = await house.plain()
    body = encode([envelope(bytes(100_000))])
    sending = asyncio.create_task(_send(writer, [_frame(number, body) for number in range(100)]))
    told = 0
    while told < 100:
        length, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
        told += len(decode_answers(await reader.readexactly(length)))
        await asyncio.sleep(0.002)
    await sending
    writer.close()


async def _send(writer: asyncio.StreamWriter, some: Sequence[bytes]) -> None:
    for frame in some:
        writer.write(frame)
        await writer.drain()


async def test_a_host_that_does_not_read_is_not_written_to(settings: Settings) -> None:
    """Commands wait at the replica, where their deadlines end them; then there is room again."""
    path = sockets.socket_path(settings, NOBODY)
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(path))
        door.listen()
        line = await Line().connect(settings, NOBODY)
        deaf, _ = door.accept()
        sent = 0
        while line.stream.room and sent < 1_000:
            line.post("x", body=bytes(100_000))
            sent += 1
            await asyncio.sleep(0)
        assert line.stream.room == 0
        assert sent < 100
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        while not line.stream.room:
            await loop.sock_recv(deaf, 1 << 20)
        assert line.changes == 1, "who waits for room is told"
        deaf.close()
        await until(lambda: line.stream.lost)
        assert line.told == {"x": ASK_AGAIN}
    path.unlink()
    path.parent.rmdir()
    settings.run_dir.rmdir()


# --- sockets -------------------------------------------------------------------------------


async def test_the_socket_is_its_users_alone_and_has_a_short_path(house: House) -> None:
    path = sockets.socket_path(house.settings, house.incarnation)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(os.fsencode(path)) < 104


async def test_a_successor_is_not_taken_for_the_one_before(settings: Settings) -> None:
    """Both are there for a while: the one before was stopped, and continues."""
    async with house_of(settings) as old:
        young = House(settings)
        server = await sockets.listen(settings, young.incarnation, young.host.receive)
        for house in (old, young):
            line = await house.line()
            line.post("x")
            await until(lambda line=line: bool(line.told))
            line.stream.drop("seen")
        assert (old.host.taken, young.host.taken) == (1, 1)
        with pytest.raises(HostLost):
            await Line().connect(settings, uuid4())
        server.close()


async def test_sockets_of_the_dead_are_swept(house: House) -> None:
    """Of one that was killed nobody else removes it. Not those of the living, nor of one that is
    about to listen."""
    folder = sockets.socket_path(house.settings, house.incarnation).parent
    dead, fresh = folder / "dead", folder / "fresh"
    for path in (dead, fresh):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(str(path))
    long_ago = time.time() - 2 * sockets.MIN_STALE_SECONDS
    for path in (dead, sockets.socket_path(house.settings, house.incarnation)):
        os.utime(path, (long_ago, long_ago))
    sockets.sweep(folder)
    assert not dead.exists()
    assert fresh.exists()
    line = await house.line()
    line.post("x")
    await until(lambda: bool(line.told))


async def test_a_host_that_cannot_listen_says_so(tmp_path: Path) -> None:
    """Its caller goes on without: `HostActor` serves over Ray."""
    settings = Settings(home=tmp_path)
    settings.run_dir.symlink_to(tmp_path)
    try:
        with pytest.raises(OSError, match="not a folder of this user"):
            await sockets.listen(settings, uuid4(), Echo().receive)
    finally:
        settings.run_dir.unlink()
