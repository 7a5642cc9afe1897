"""One time limit for many blocks ends what `asyncio.timeout` would end, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from core import time_limit
from core.time_limit import TimeLimit


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "TICK_SECONDS", 0.005)


async def _wait_in(limit: TimeLimit) -> None:
    with limit.block():
        await asyncio.sleep(60)


async def test_what_is_due_is_ended_and_what_is_quick_is_not() -> None:
    limit = TimeLimit(0.05)
    began = asyncio.get_running_loop().time()
    slow = [asyncio.create_task(_wait_in(limit)) for _ in range(3)]
    while not all(task.done() for task in slow):
        with limit.block():
            await asyncio.sleep(0)
    for task in slow:
        with pytest.raises(TimeoutError):
            task.result()
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert not limit._running


async def test_the_task_goes_on_after_its_block() -> None:
    with pytest.raises(TimeoutError):
        await _wait_in(TimeLimit(0.01))
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_one() -> None:
    limit = TimeLimit(60)
    task = asyncio.create_task(_wait_in(limit))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not limit._running


async def test_a_cancellation_that_comes_with_the_end_has_precedence() -> None:
    limit = TimeLimit(60)
    task = asyncio.create_task(_wait_in(limit))
    await asyncio.sleep(0)
    [block] = limit._running
    block.expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_ticks_anew_after_a_rest() -> None:
    limit = TimeLimit(0.02)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_wait_in(limit), 5)
        while limit._ticking:
            await asyncio.sleep(0.005)


async def test_an_error_of_the_block_passes() -> None:
    limit = TimeLimit(60)
    with pytest.raises(ValueError, match="mine"), limit.block():
        raise ValueError("mine")
    assert not limit._running
