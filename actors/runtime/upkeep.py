"""What a host does beside its batches."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from core.telemetry import get_logger
from store.hosts.connections import OutcomeUnknown
from store.hosts.leases import Incarnation

_ENDED_LOOKS = 50
_POLL_SECONDS = 0.02

log = get_logger("runtime.upkeep")


async def every(
    seconds: float, work: Callable[[], Awaitable[None]], sooner: asyncio.Event | None = None
) -> None:
    """Repeats `work` permanently, and at once when `sooner` is set, which `work` clears; no failure
    of it ends the repetition."""
    while True:
        if sooner is None:
            await asyncio.sleep(seconds)
        else:
            # Not wait_for, which loses the end of the task where both come at once.
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await sooner.wait()
        try:
            await work()
        except OutcomeUnknown as error:
            log.warning("the database cannot be reached", reason=repr(error.__cause__))
        except Exception:
            log.exception("background work failed")


def machine_id() -> str:
    """Names this machine, its boot, and the container within it: process ids mean something
    there alone, and a live process of the next container must not pass for a dead one."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return platform.node()


def birth_of(pid: int) -> int:
    """When a process of this machine began, as the machine counts (it counts on when its time is
    set); together with the pid it names one process. Raises ProcessLookupError."""
    with suppress(FileNotFoundError):
        # The name, in brackets, may hold anything; the 20th field behind it is the start.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    try:
        return round(psutil.Process(pid).create_time() * 1000)
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(pid) from error


def is_running(other: Incarnation) -> bool:
    """Whether a process of this machine still lives. Where its birth is not known, a pid given to
    somebody else since reads as alive, which only costs the wait for a lease."""
    if other.pid == os.getpid() or not psutil.pid_exists(other.pid):
        return False
    try:
        if psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE:
            return False
        return other.birth in (0, birth_of(other.pid))
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def end_process(other: Incarnation) -> bool:
    """Kills another process of this machine, if it still is the one that is meant; returns whether
    a signal was sent. By pid and birth: where the birth is not known, nobody is killed, nor is what
    runs as a user that we may not end."""
    if not other.birth or not is_running(other):
        return False
    try:
        os.kill(other.pid, signal.SIGKILL)
    except PermissionError:
        return False
    except ProcessLookupError:
        pass  # it has gone meanwhile
    return True


async def end_processes(others: Sequence[Incarnation]) -> list[Incarnation]:
    """Kills processes of this machine whose name was taken: they may do no more than wait for their
    lease to end, and others would wait with them. Returns those that are gone."""
    ended = [other for other in others if end_process(other)]
    for _ in range(_ENDED_LOOKS):
        if not any(map(is_running, ended)):
            break
        await asyncio.sleep(_POLL_SECONDS)
    return [other for other in others if not is_running(other)]
