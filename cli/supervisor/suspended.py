"""Processes of this copy that somebody stopped and forgot: their parent starts them again, but sees
only that they still exist."""

from __future__ import annotations

import signal
import time

import psutil

from cli.supervisor.journal import Journal
from cli.supervisor.ray_start import AGENTS
from core.settings import Settings
from store.embedded.leftovers import belongs, signal_process

_LOOK_EVERY_SECONDS = 1.0
# A short stop does no harm: a lease lasts longer.
_PATIENCE_LOOKS = 4
# Processes, by a part of their command line, whose death ends all of Ray; so they are first
# continued, and ended only if they do not go on.
_KEYSTONES = ("/raylet/raylet", *AGENTS)
_TOLD_AFTER_LOOKS = 2
_YOUNG_SECONDS = 5.0


class Suspended:
    """Counts looks, not time: that the machine slept is no reason to end a process."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._ours: dict[psutil.Process, bool] = {}
        self._looks: dict[psutil.Process, int] = {}
        self._looked_at = 0.0

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        stopped = [process for process in self._processes() if _is_stopped(process)]
        self._looks = {process: self._looks.get(process, 0) + 1 for process in stopped}
        for process, looks in self._looks.items():
            if looks >= _PATIENCE_LOOKS:
                self._send(process, signal.SIGKILL, "ending it")
            elif looks == _TOLD_AFTER_LOOKS and _is_keystone(process):
                self._send(process, signal.SIGCONT, "telling it to go on")

    def _send(self, process: psutil.Process, number: signal.Signals, what: str) -> None:
        said = f"Process {process.pid} stands still; {what}."
        self._journal.say(said, "suspended", pid=process.pid, signal=number.name)
        signal_process(process, number)

    def _processes(self) -> list[psutil.Process]:
        """This copy's processes. Each process of the machine is inspected only once."""
        known, self._ours = self._ours, {}
        for process in psutil.process_iter():
            is_ours = known[process] if process in known else belongs(self._settings, process)
            # A process that has just been forked may not have its own command line yet.
            if is_ours or process in known or time.time() - process.create_time() > _YOUNG_SECONDS:
                self._ours[process] = is_ours
        return [process for process, is_ours in self._ours.items() if is_ours]


def _is_keystone(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline()[:3])
    except psutil.Error:
        return False
    return any(word in command for word in _KEYSTONES)


def _is_stopped(process: psutil.Process) -> bool:
    """Whether a signal stopped it; a process that a debugger stopped has another status."""
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
