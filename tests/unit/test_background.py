"""What a process does in the background goes on for as long as the process lives."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from core import background
from core.background import kept_running


async def _waits_for_one_that_is_cancelled() -> None:
    other = asyncio.get_running_loop().create_future()
    other.cancel()
    await other


@pytest.mark.parametrize("ending", ["an error", "a cancellation that was not its own"])
async def test_work_that_ends_by_itself_is_begun_anew(
    ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PAUSE_SECONDS", 0.0)
    begun, going_on = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            going_on.set()
            await asyncio.sleep(60)
        if ending == "an error":
            raise OSError("once more")
        await _waits_for_one_that_is_cancelled()

    task = asyncio.create_task(kept_running(work, "work"))
    await asyncio.wait_for(going_on.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_is_done_stays_done() -> None:
    await asyncio.wait_for(kept_running(partial(asyncio.sleep, 0), "work"), 5)


async def test_work_that_is_cancelled_ends() -> None:
    task = asyncio.create_task(kept_running(partial(asyncio.sleep, 60), "work"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
