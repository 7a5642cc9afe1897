"""What a host repeats in the background ends when the host does."""

from __future__ import annotations

import asyncio

import pytest

from actors.runtime.upkeep import every


@pytest.mark.parametrize("turns", range(4))
async def test_what_is_to_come_sooner_ends_all_the_same(turns: int) -> None:
    sooner = asyncio.Event()

    async def work() -> None:
        sooner.clear()

    repeating = asyncio.create_task(every(60, work, sooner))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sooner.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    repeating.cancel()
    ended, _ = await asyncio.wait([repeating], timeout=1)
    repeating.cancel()
    assert ended, "it was lost that the task was to end"
