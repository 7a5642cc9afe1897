"""One copy per home: a lock that its supervisor holds, and how others find that supervisor."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from core.settings import Settings


class HomeBusy(RuntimeError):
    """Another `holdfast up` runs in this home."""


class HomeLock:
    """Held by the supervisor for its whole life. The kernel releases it however that ends."""

    def __init__(self, settings: Settings) -> None:
        self._path = _path(settings)
        self._descriptor = -1

    def __enter__(self) -> HomeLock:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never inherited: a child that outlives this process would hold the lock in its place.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise HomeBusy(
                f"{self._path.parent} is in use by another `holdfast up`;"
                " stop it with `holdfast down`, or set HOLDFAST_HOME to another folder"
            ) from None
        return self

    def write(self, port: int) -> None:
        """Writes which process holds the lock, for `running_supervisor`."""
        us = psutil.Process()
        state = {"pid": us.pid, "created": us.create_time(), "port": port}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(state).encode(), 0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Supervisor:
    process: psutil.Process
    port: int


def running_supervisor(settings: Settings) -> Supervisor | None:
    """The supervisor of this home, if one runs: the very process that wrote its name into the
    lock, not one that was given the same pid later."""
    try:
        state = json.loads(_path(settings).read_text())
        process = psutil.Process(state["pid"])
        if process.create_time() == state["created"]:
            return Supervisor(process, state["port"])
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        pass
    return None


def _path(settings: Settings) -> Path:
    return settings.home_path / "lock"
