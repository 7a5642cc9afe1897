"""What a host does beside its batches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import psutil

from core.telemetry import get_logger
from store.journal import OutcomeUnknown
from store.leases import Incarnation

log = get_logger("runtime.upkeep")


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Repeats `work` for good; no failure of it ends the repetition."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except OutcomeUnknown as error:
            log.warning("the database cannot be reached", reason=repr(error.__cause__))
        except Exception:
            log.exception("background work failed")


def is_running(other: Incarnation) -> bool:
    """Whether a process of this machine still lives. A pid given to somebody else since reads as
    alive, which only costs the wait for a lease."""
    return other.pid != os.getpid() and psutil.pid_exists(other.pid)
