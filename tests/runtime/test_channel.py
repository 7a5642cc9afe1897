"""The coalescer forgets nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from actors.runtime.calling import CALLS_IN_FLIGHT
from actors.runtime.channel import Channel
from actors.runtime.directory import Owner
from actors.runtime.ports import HostLost, Transport
from actors.runtime.wire import Answer, Envelope, Outcome
from core.clock import SystemClock
from tests.waiting import until

Deliver = Callable[[int, Answer], None]

NOBODY = UUID(int=0)
NEVER_MS = 2**62
ENVELOPE = Envelope("f", 0, NOBODY, NOBODY, b"", "", 0, NEVER_MS, False, False, b"")


def _channel(transport: Transport) -> Channel:
    return Channel(transport, Owner("host", NOBODY), SystemClock(), lambda: None)


class CallsOnly:
    async def stream(self, *arguments: object) -> None:
        return None


class HeldTransport(CallsOnly):
    """Answers its calls when it is asked to, all in the same moment."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Deliver, asyncio.Future[None]]] = []

    async def submit(self, host_name: str, envelopes: Sequence[Envelope], deliver: Deliver) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls.append((len(envelopes), deliver, future))
        await future

    def answer_all(self) -> None:
        calls, self.calls = self.calls, []
        for size, deliver, future in calls:
            for place in range(size):
                deliver(place, Answer(Outcome.DONE))
            future.set_result(None)


async def test_who_sends_again_at_once_is_not_forgotten() -> None:
    """All calls end in the same moment, and a client that was answered sends its next command
    before anything else happens."""
    transport = HeldTransport()
    channel = _channel(transport)

    async def client(commands: int) -> None:
        for _ in range(commands):
            await channel.send(ENVELOPE)

    clients = []
    for commands in (2, *[1] * (CALLS_IN_FLIGHT - 1)):
        clients.append(asyncio.create_task(client(commands)))
        # Each in a call of its own.
        await until(lambda: len(transport.calls) == len(clients))
    assert len(transport.calls) == CALLS_IN_FLIGHT
    transport.answer_all()
    # Or nobody will ever send the next command.
    await until(lambda: bool(transport.calls))
    transport.answer_all()
    await asyncio.wait_for(asyncio.gather(*clients), 1)


@pytest.mark.parametrize("failure", [HostLost("gone"), ValueError("a bug")])
async def test_a_failed_call_is_an_unknown_outcome(failure: Exception) -> None:
    class Failing(CallsOnly):
        async def submit(
            self, host_name: str, envelopes: Sequence[Envelope], deliver: Deliver
        ) -> None:
            raise failure

    channel = _channel(Failing())
    answer = await asyncio.wait_for(channel.send(ENVELOPE), 1)
    assert answer.outcome is Outcome.ASK_AGAIN


async def test_each_command_is_answered_when_it_is_decided() -> None:
    """A slow neighbour in the same call keeps nobody waiting."""
    transport = HeldTransport()
    channel = _channel(transport)
    slow, quick = channel.send(ENVELOPE), channel.send(ENVELOPE)
    await until(lambda: bool(transport.calls))
    ((_, deliver, _),) = transport.calls
    deliver(1, Answer(Outcome.DONE))
    assert (await asyncio.wait_for(quick, 1)).outcome is Outcome.DONE
    assert not slow.done()
    transport.answer_all()
    await slow


async def test_calls_without_an_answer_do_not_occupy_the_channel() -> None:
    transport = HeldTransport()
    channel = _channel(transport)
    for number in range(CALLS_IN_FLIGHT + 3):
        channel.send(ENVELOPE)
        async with asyncio.timeout(5):
            while len(transport.calls) <= number:
                await asyncio.sleep(0.005)
    transport.answer_all()
    again = channel.send(ENVELOPE)
    await until(lambda: bool(transport.calls))
    transport.answer_all()
    assert (await asyncio.wait_for(again, 1)).outcome is Outcome.DONE
    assert (channel._calling._in_flight, len(channel._calling._calls)) == (0, 0)


async def test_a_channel_that_closes_answers_ask_again() -> None:
    transport = HeldTransport()
    channel = _channel(transport)
    waiting = [channel.send(ENVELOPE) for _ in range(5)]
    await until(lambda: bool(transport.calls))
    channel.close()
    answers = await asyncio.wait_for(asyncio.gather(*waiting, channel.send(ENVELOPE)), 1)
    assert {answer.outcome for answer in answers} == {Outcome.ASK_AGAIN}
    transport.answer_all()
    await asyncio.sleep(0.01)
