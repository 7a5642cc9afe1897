"""A caller that has sent much is taken in beside the others, and keeps nobody from the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

from actors.runtime import intake
from actors.runtime.batch import OnAnswer
from actors.runtime.intake import Intake
from actors.runtime.wire import ASK_AGAIN, Answer, Envelope
from core.clock import SystemClock

SECONDS = 0.0005


class Watch(SystemClock):
    """Moves by so much with each command that is taken in."""

    seconds = 0.0

    def boot_seconds(self) -> float:
        return self.seconds


def _envelope(tenant: UUID, length: int = 100) -> Envelope:
    return Envelope("f", 0, tenant, uuid4(), b"", "x", 0, 0, False, False, bytes(length))


def _deliver() -> Callable[[int, Answer], None]:
    return lambda number, answer: None


async def _taken(*frames: list[Envelope]) -> list[list[Envelope]]:
    """What was taken in, by turn of the loop; each frame comes from elsewhere."""
    watch, turns = Watch(), list[list[Envelope]]()

    def take_in(envelope: Envelope, now_ms: int, now_seconds: float, on_answer: OnAnswer) -> None:
        turns[-1].append(envelope)
        watch.seconds += SECONDS

    turns.append([])
    box = Intake(take_in, watch)
    for frame in frames:
        box.put(frame, _deliver(), 0)
    while not box.is_idle:
        turns.append([])
        await asyncio.sleep(0)
    return turns


async def test_who_sends_little_is_taken_in_beside_who_sends_much() -> None:
    many, one = [_envelope(uuid4()) for _ in range(1_000)], _envelope(uuid4())
    turns = await _taken(many, [one])
    assert one in turns[1], "right after what was taken in before it came"
    most = intake.MAX_TURN_SECONDS / SECONDS + intake.QUANTUM_BYTES / intake.MIN_BYTES
    assert max(map(len, turns)) <= most, "the loop turns meanwhile"
    assert [envelope for turn in turns for envelope in turn if envelope is not one] == many


async def test_a_few_are_taken_in_at_once() -> None:
    some = [_envelope(uuid4()) for _ in range(15)]
    assert await _taken(some) == [some]


async def test_large_ones_take_turns_one_by_one() -> None:
    large, one = [_envelope(uuid4(), 50_000) for _ in range(40)], _envelope(uuid4())
    turns = await _taken(large, [one])
    assert [envelope for turn in turns[1:] for envelope in turn].index(one) <= 1


async def test_what_fails_is_answered_and_keeps_nobody_else_from_being_taken_in() -> None:
    bad, good = _envelope(uuid4()), _envelope(uuid4())
    taken, heard = list[Envelope](), list[tuple[int, Answer]]()

    def take_in(envelope: Envelope, now_ms: int, now_seconds: float, on_answer: OnAnswer) -> None:
        if envelope is bad:
            raise LookupError
        taken.append(envelope)

    box = Intake(take_in, SystemClock())
    box.put([bad, good], lambda number, answer: heard.append((number, answer)), 7)
    while not heard:
        await asyncio.sleep(0)
    assert (taken, heard) == ([good], [(7, ASK_AGAIN)])
