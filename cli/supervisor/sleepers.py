"""Hides the death of the two sleepers (`cli.supervisor.ray_start`) from the raylet.

The raylet ends when either of them does. It notices that by a pipe that each sleeper has open for
as long as it lives: so this process opens the pipe too. Where a system does not show the files of
its processes, the raylet still ends with a sleeper.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from cli.supervisor.ray_start import SLEEPER

_COUNT = 2


class Sleepers:
    """The sleepers of one raylet."""

    def __init__(self) -> None:
        self._held: dict[int, list[int]] = {}

    def hold(self, raylet: psutil.Process) -> None:
        """Opens the pipes of the sleepers that run and are not held yet. Returns at once."""
        if len(self._held) == _COUNT:
            return
        with suppress(psutil.Error):
            for child in raylet.children():
                if child.pid not in self._held and SLEEPER in " ".join(child.cmdline()):
                    self._held[child.pid] = _open_pipes(child.pid)

    def release(self) -> None:
        """To be called once the raylet is dead."""
        for descriptors in self._held.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self._held.clear()


def _open_pipes(pid: int) -> list[int]:
    """Our own ends of the pipes that a process writes to, except standard output and errors, which
    it shares with the raylet."""
    found = []
    with suppress(OSError):
        files = {path.name: path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()}
        plain = {files.pop(name) for name in ("0", "1", "2")}
        for name, target in files.items():
            if str(target).startswith("pipe:") and target not in plain:
                found.append(os.open(f"/proc/{pid}/fd/{name}", os.O_WRONLY | os.O_CLOEXEC))
    return found
