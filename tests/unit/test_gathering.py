"""Look-ups that share queries."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Unavailable
from deployments.kit import gathering
from deployments.kit.gathering import Gathering
from tests.waiting import eventually


async def test_what_is_asked_meanwhile_shares_the_next_query() -> None:
    asked: list[set[int]] = []

    async def look_up(key: str, wanted: set[int]) -> set[int]:
        asked.append(wanted)
        await asyncio.sleep(0.01)
        return wanted

    questions = Gathering(look_up)
    first = asyncio.create_task(questions.ask("shop", [1]))
    await asyncio.sleep(0.005)
    rest = await asyncio.gather(*(questions.ask("shop", [number]) for number in range(2, 9)))
    assert await first == {1}
    assert asked == [{1}, set(range(2, 9))]
    assert all(found == asked[1] for found in rest)


async def test_a_query_that_does_not_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LONGEST_SECONDS", 0.05)
    silent = True

    async def look_up(key: str, wanted: set[int]) -> set[int]:
        if silent:
            await asyncio.sleep(60)
        return wanted

    questions = Gathering(look_up)
    with pytest.raises(Unavailable):
        await questions.ask("shop", [1])
    silent = False
    assert await asyncio.wait_for(questions.ask("shop", [2]), 1) == {2}


async def test_nothing_is_kept_once_all_have_their_answer_or_hung_up() -> None:
    async def look_up(key: str, wanted: set[int]) -> set[int]:
        await asyncio.sleep(0.01)
        return wanted

    questions = Gathering(look_up)
    await questions.ask("shop", [1])
    assert not questions._queues
    caller = asyncio.create_task(questions.ask("shop", [1]))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    async def is_empty() -> bool:
        return not questions._queues

    await eventually(is_empty)
