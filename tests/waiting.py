"""Waits for what happens in its own time, as long as a busy machine may need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.05


async def eventually(
    holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS
) -> None:
    """Returns as soon as `holds` does. Raises TimeoutError when it has not for `seconds`."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def until(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """As `eventually`, of what this process can see for itself."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.002)


def comes_true(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether it does, before that; for tests without a loop."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return True
