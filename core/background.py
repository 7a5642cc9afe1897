"""What a process does beside its requests for as long as it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.telemetry import get_logger

PAUSE_SECONDS = 1.0

log = get_logger("background")


def is_cancelled() -> bool:
    """Whether the running task itself is being cancelled. Otherwise a CancelledError comes from
    something that it waited for together with others."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def kept_running(work: Callable[[], Awaitable[None]], name: str) -> None:
    """Does `work`, and begins it anew when it fails, until this is cancelled. The cancellation of
    something that `work` waited for is a failure too: it would end a task without a word, since
    `except Exception` lets it pass and nobody awaits what runs in the background."""
    while True:
        try:
            await work()
            return
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            reason = repr(error)
        except Exception as error:
            reason = repr(error)
        log.error("a task failed", task=name, reason=reason)
        await asyncio.sleep(PAUSE_SECONDS)
