"""Finds what an earlier run left behind, by its tag or its folder, never by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from core.settings import Settings
from store.embedded.server import TAG_VARIABLE, tag

_POLL_SECONDS = 0.02
_ROUNDS = 20
_SERVERS_FOLDERS = ("postgres", "postgres.new", "valkey")


def tagged(settings: Settings, part: str = "") -> list[psutil.Process]:
    """Processes whose environment at their start carried this copy's tag, us aside; of one
    `part` only, if given."""
    prefix = tag(settings, part)
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _tag(process).startswith(prefix)
    ]


def inside(folder: Path) -> list[psutil.Process]:
    """Processes whose working directory is `folder`. Servers that write their state into the
    process title overwrite their environment with it, so that the tag is gone; but they work
    in their data folder."""
    return [process for process in psutil.process_iter() if _cwd(process) == str(folder)]


def everything(settings: Settings) -> list[psutil.Process]:
    """Every process of this copy but its supervisor."""
    return [process for process in psutil.process_iter() if belongs(settings, process)]


def belongs(settings: Settings, process: psutil.Process) -> bool:
    """Whether a process is one of this copy's; its supervisor is not."""
    if process.pid == os.getpid():
        return False
    if _tag(process).startswith(tag(settings, "")):
        return True
    return _cwd(process) in [str(settings.home_path / name) for name in _SERVERS_FOLDERS]


def end(processes: Iterable[psutil.Process], *, timeout_seconds: float = 5) -> int:
    """Kills `processes` and waits until they are gone; how many there were.

    Raises TimeoutError if one outlives `timeout_seconds`.
    """
    found = list(processes)
    for process in found:
        signal_process(process, signal.SIGKILL)
    if not wait_gone(found, timeout_seconds):
        alive = [process.pid for process in found if is_alive(process)]
        raise TimeoutError(f"processes {alive} could not be ended")
    return len(found)


def end_tagged(settings: Settings, part: str) -> int:
    """Kills this copy's processes of `part`, also those that they start meanwhile; how many.

    Raises TimeoutError if there are still some after a few rounds.
    """
    count = 0
    for _ in range(_ROUNDS):
        ended = end(tagged(settings, part))
        if not ended:
            return count
        count += ended
    raise TimeoutError(f"new processes of {part} keep appearing")


def wait_gone(processes: Iterable[psutil.Process], timeout_seconds: float) -> bool:
    """Waits until none of `processes` runs; False if one still does at the end of the time."""
    deadline = time.monotonic() + timeout_seconds
    left = list(processes)
    while left := [process for process in left if is_alive(process)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def is_alive(process: psutil.Process) -> bool:
    """Whether `process` still runs. A zombie does not: it waits for the process that inherited it,
    which in a container may be none. But while other threads of it are still ending, it only looks
    like one, and its ports are still taken."""
    try:
        if not process.is_running():
            return False
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def signal_process(process: psutil.Process, number: signal.Signals) -> None:
    """Signals `process` unless it is gone; psutil makes sure that its pid was not reused."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _tag(process: psutil.Process) -> str:
    try:
        return process.environ().get(TAG_VARIABLE, "")
    except (psutil.Error, OSError):
        return ""


def _cwd(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except (psutil.Error, OSError):
        return None
