"""The coalescer forgets nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from actors.runtime.lane import CALLS_IN_FLIGHT, Lane
from actors.runtime.ports import HostLost
from actors.runtime.wire import Answer, Envelope, Outcome

NOBODY = UUID(int=0)
ENVELOPE = Envelope("f", 0, NOBODY, NOBODY, b"", "", 0, 0, False, False, b"")


class HeldTransport:
    """Answers its calls when told to, all in the same moment."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, asyncio.Future[list[Answer]]]] = []

    async def submit(self, host_name: str, envelopes: Sequence[Envelope]) -> list[Answer]:
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self.calls.append((len(envelopes), future))
        return await future

    def answer_all(self) -> None:
        calls, self.calls = self.calls, []
        for size, future in calls:
            future.set_result([Answer(Outcome.DONE)] * size)


async def test_who_sends_again_at_once_is_not_forgotten() -> None:
    """All calls end in the same moment, and a client that was answered sends its next command
    before anything else happens."""
    transport = HeldTransport()
    lane = Lane(transport, "host")

    async def client(commands: int) -> None:
        for _ in range(commands):
            await lane.send(ENVELOPE)

    clients = []
    for commands in (2, *[1] * (CALLS_IN_FLIGHT - 1)):
        clients.append(asyncio.create_task(client(commands)))
        await asyncio.sleep(0.01)  # each in a call of its own
    assert len(transport.calls) == CALLS_IN_FLIGHT
    transport.answer_all()
    await asyncio.sleep(0.01)
    assert transport.calls, "the next command was not sent, and nobody will send it"
    transport.answer_all()
    await asyncio.wait_for(asyncio.gather(*clients), 1)


@pytest.mark.parametrize("failure", [HostLost("gone"), ValueError("a bug")])
async def test_a_failed_call_is_an_unknown_outcome(failure: Exception) -> None:
    class Failing:
        async def submit(self, host_name: str, envelopes: Sequence[Envelope]) -> list[Answer]:
            raise failure

    lane = Lane(Failing(), "host")
    answer = await asyncio.wait_for(lane.send(ENVELOPE), 1)
    assert answer.outcome is Outcome.ASK_AGAIN


async def test_a_lane_that_closes_tells_everyone_to_ask_again() -> None:
    transport = HeldTransport()
    lane = Lane(transport, "host")
    waiting = [lane.send(ENVELOPE) for _ in range(5)]
    await asyncio.sleep(0.01)
    lane.close()
    told = await asyncio.wait_for(asyncio.gather(*waiting, lane.send(ENVELOPE)), 1)
    assert {one.outcome for one in told} == {Outcome.ASK_AGAIN}
    transport.answer_all()
    await asyncio.sleep(0.01)
