"""The processes of Ray's own on a node, and which of them may die."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from store.embedded.leftovers import is_alive

_GCS = "/gcs/gcs_server"
_RAYLET = "/raylet/raylet"
_DASHBOARD = "/dashboard/dashboard.py"


class IncompleteNode(RuntimeError):
    """A process of the node is missing."""


@dataclass
class Daemon:
    """One process of Ray's own, with the command line that Ray gave it."""

    process: psutil.Process
    command: list[str]

    def is_alive(self) -> bool:
        return is_alive(self.process)

    def revive(self, environment: Mapping[str, str]) -> int:
        """Starts it again as it was. Returns its pid."""
        child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
        self.process = psutil.Process(child.pid)
        return child.pid


@dataclass
class Daemons:
    """The raylet, the GCS and the dashboard. When the raylet dies its whole Ray is lost, and it
    ends itself when one of its agents does. The dashboard can be started again beside the rest; so
    can the GCS, which has stored what it knew: the others go on meanwhile, and find it again."""

    gcs: Daemon
    raylet: Daemon
    dashboard: Daemon | None

    @classmethod
    def among(cls, processes: Iterable[psutil.Process], *, with_dashboard: bool = True) -> Daemons:
        """Finds them among the processes of one copy. Raises IncompleteNode."""
        daemons = [Daemon(process, _command(process)) for process in processes]

        def find(program: str) -> Daemon:
            for daemon in daemons:
                # The second word for programs in Python, after options of the interpreter.
                if any(word.endswith(program) for word in daemon.command[:3]):
                    return daemon
            raise IncompleteNode(f"no process runs {program}")

        return cls(find(_GCS), find(_RAYLET), find(_DASHBOARD) if with_dashboard else None)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
