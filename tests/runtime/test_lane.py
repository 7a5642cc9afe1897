"""The coalescer forgets nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from actors.runtime.calling import CALLS_IN_FLIGHT
from actors.runtime.directory import Owner
from actors.runtime.lane import Lane
from actors.runtime.ports import HostLost, Transport
from actors.runtime.wire import Answer, Envelope, Outcome
from core.clock import SystemClock
from tests.waiting import until

Tell = Callable[[int, Answer], None]

NOBODY = UUID(int=0)
NEVER_MS = 2**62
ENVELOPE = Envelope("f", 0, NOBODY, NOBODY, b"", "", 0, NEVER_MS, False, False, b"")


def _lane(transport: Transport) -> Lane:
    return Lane(transport, Owner("host", NOBODY), SystemClock(), lambda: None)


class CallsOnly:
    async def stream(self, *arguments: object) -> None:
        return None


class HeldTransport(CallsOnly):
    """Answers its calls when told to, all in the same moment."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Tell, asyncio.Future[None]]] = []

    async def submit(self, host_name: str, envelopes: Sequence[Envelope], tell: Tell) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls.append((len(envelopes), tell, future))
        await future

    def answer_all(self) -> None:
        calls, self.calls = self.calls, []
        for size, tell, future in calls:
            for place in range(size):
                tell(place, Answer(Outcome.DONE))
            future.set_result(None)


async def test_who_sends_again_at_once_is_not_forgotten() -> None:
    """All calls end in the same moment, and a client that was answered sends its next command
    before anything else happens."""
    transport = HeldTransport()
    lane = _lane(transport)

    async def client(commands: int) -> None:
        for _ in range(commands):
            await lane.send(ENVELOPE)

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
        async def submit(self, host_name: str, envelopes: Sequence[Envelope], tell: Tell) -> None:
            raise failure

    lane = _lane(Failing())
    answer = await asyncio.wait_for(lane.send(ENVELOPE), 1)
    assert answer.outcome is Outcome.ASK_AGAIN


async def test_each_command_is_answered_when_it_is_decided() -> None:
    """A slow neighbour in the same call keeps nobody waiting."""
    transport = HeldTransport()
    lane = _lane(transport)
    slow, quick = lane.send(ENVELOPE), lane.send(ENVELOPE)
    await until(lambda: bool(transport.calls))
    ((_, tell, _),) = transport.calls
    tell(1, Answer(Outcome.DONE))
    assert (await asyncio.wait_for(quick, 1)).outcome is Outcome.DONE
    assert not slow.done()
    transport.answer_all()
    await slow


async def test_calls_without_an_answer_do_not_occupy_the_lane() -> None:
    transport = HeldTransport()
    lane = _lane(transport)
    for number in range(CALLS_IN_FLIGHT + 3):
        lane.send(ENVELOPE)
        async with asyncio.timeout(5):
            while len(transport.calls) <= number:
                await asyncio.sleep(0.005)
    transport.answer_all()
    again = lane.send(ENVELOPE)
    await until(lambda: bool(transport.calls))
    transport.answer_all()
    assert (await asyncio.wait_for(again, 1)).outcome is Outcome.DONE
    assert (lane._calling._in_flight, len(lane._calling._calls)) == (0, 0)


async def test_a_lane_that_closes_tells_everyone_to_ask_again() -> None:
    transport = HeldTransport()
    lane = _lane(transport)
    waiting = [lane.send(ENVELOPE) for _ in range(5)]
    await until(lambda: bool(transport.calls))
    lane.close()
    told = await asyncio.wait_for(asyncio.gather(*waiting, lane.send(ENVELOPE)), 1)
    assert {one.outcome for one in told} == {Outcome.ASK_AGAIN}
    transport.answer_all()
    await asyncio.sleep(0.01)
