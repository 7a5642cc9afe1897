"""The processes that `ray start` leaves running on a node, and which of them may die."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from store.embedded.leftovers import is_alive

_GCS = "/gcs/gcs_server"
_RAYLET = "/raylet/raylet"
_DASHBOARD = "/dashboard/dashboard.py"


class IncompleteNode(RuntimeError):
    """`ray start` said that it was done, but a process of it is missing."""


@dataclass
class Daemons:
    """With the GCS or the raylet its whole Ray is lost. The raylet ends of its own accord when
    one of its agents does. The dashboard is apart: it can be started again beside the rest."""

    gcs: psutil.Process
    raylet: psutil.Process
    dashboard: psutil.Process | None
    dashboard_command: list[str]

    @classmethod
    def among(cls, processes: Iterable[psutil.Process], *, with_dashboard: bool = True) -> Daemons:
        """Finds them among the processes of one copy. Raises IncompleteNode."""
        commands = {process: _command(process) for process in processes}

        def find(program: str) -> psutil.Process:
            for process, command in commands.items():
                # The second word for what runs in Python, after options of the interpreter.
                if any(word.endswith(program) for word in command[:3]):
                    return process
            raise IncompleteNode(f"no process runs {program}")

        dashboard = find(_DASHBOARD) if with_dashboard else None
        command = commands[dashboard] if dashboard else []
        return cls(find(_GCS), find(_RAYLET), dashboard, command)

    def lost(self) -> str | None:
        """What died that Ray does not survive; None if all is well."""
        for name, process in (("the GCS", self.gcs), ("the raylet", self.raylet)):
            if not is_alive(process):
                return name
        return None

    def dashboard_died(self) -> bool:
        return self.dashboard is not None and not is_alive(self.dashboard)

    def revive_dashboard(self, environment: dict[str, str]) -> int:
        """Starts the dashboard with the command line that Ray gave it; its pid."""
        child = subprocess.Popen(
            self.dashboard_command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        self.dashboard = psutil.Process(child.pid)
        return child.pid


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
