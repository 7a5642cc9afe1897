"""Shard hosts that began before the file `hang` in the home loop without end, as a rule with a bug
would: nothing else of their event loop runs again."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from actors.runtime import watchdog

_start = watchdog.Watchdog.start
_BEGAN = time.time()
_SIGN = Path(os.environ.get("HOLDFAST_HOME", ".")) / "hang"


def _start_and_hang(self: watchdog.Watchdog, loop: asyncio.AbstractEventLoop) -> None:
    _start(self, loop)
    # A host tells its watchdog of a lease; nobody else has one.
    if self._holds_lease.__qualname__.startswith("HostActor"):
        _look(loop)


def _look(loop: asyncio.AbstractEventLoop) -> None:
    if _SIGN.exists() and _SIGN.stat().st_mtime > _BEGAN:
        while True:
            pass
    loop.call_later(0.1, _look, loop)


watchdog.Watchdog.start = _start_and_hang  # type: ignore[method-assign]
