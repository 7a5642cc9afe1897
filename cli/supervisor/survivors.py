"""What serves on when Ray's own processes have died: replicas, shard hosts, HAProxy.

Ray starts these processes and lets them find each other, but they answer without it. So a new Ray
is started beside them. Its hosts take the names of the old hosts, and end them; its HAProxy takes
over the listening sockets as soon as it knows a replica. Then the rest of the old processes are
ended.
"""

from __future__ import annotations

import time

import psutil

from cli.supervisor.front_door import outgoing_file
from cli.supervisor.journal import Journal
from core.ray_environment import haproxy_dir
from core.settings import Settings
from store.embedded.leftovers import end, end_tagged, is_alive, tagged

_HAPROXY = ("haproxy.cfg", "stopgap.cfg")
_SERVING = ("ray::ServeReplica", "ray::HostActor", *_HAPROXY)
# Memory for as much again as serves now; where less is free, the old processes are ended first.
_ROOM_BYTES = 1_000_000_000
# Longer than HAProxy takes to answer the requests that are under way.
_PATIENCE_SECONDS = 35.0


class Survivors:
    """The survivors of one Ray, until another one serves; most of the time there are none."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._haproxies: list[psutil.Process] = []
        self._others: list[psutil.Process] = []
        self._relieved_since: float | None = None

    def __bool__(self) -> bool:
        return any(map(is_alive, self._haproxies + self._others))

    def part(self) -> bool:
        """Ends all of Ray's processes but the survivors: its controller and its GCS still might
        tell HAProxy that all replicas are dead. False if none survives, or there is no room for
        another Ray beside them: then the caller ends all."""
        if psutil.virtual_memory().available < _ROOM_BYTES:
            return False
        ours = {process: _command(process) for process in tagged(self._settings, "ray")}
        self._haproxies = [process for process, said in ours.items() if _is_any(said, _HAPROXY)]
        serving = [process for process, said in ours.items() if _is_any(said, _SERVING)]
        self._others = [process for process in serving if process not in self._haproxies]
        self._relieved_since = None
        end(process for process in ours if process not in serving)
        return bool(self._haproxies and self._others)

    def introduce(self) -> None:
        """Writes for the next HAProxy which ones it relieves. To be called once its folder
        exists."""
        if pids := [str(process.pid) for process in self._haproxies if is_alive(process)]:
            outgoing_file(haproxy_dir(self._settings)).write_text(" ".join(pids))

    def tick(self) -> None:
        """To be called while the next Ray serves: ends them once their HAProxy has nothing left to
        answer."""
        if not self._haproxies and not self._others:
            return
        now = time.monotonic()
        self._relieved_since = self._relieved_since or now
        late = now - self._relieved_since > _PATIENCE_SECONDS
        if late or not any(map(is_alive, self._haproxies)):
            count = end(process for process in self._haproxies + self._others if is_alive(process))
            self._journal.note("survivors_ended", count=count, in_time=not late)
            self._haproxies, self._others = [], []

    def end(self) -> None:
        """Ends all of Ray's processes, the survivors too."""
        end_tagged(self._settings, "ray")
        self._haproxies, self._others = [], []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _is_any(command: str, words: tuple[str, ...]) -> bool:
    return any(word in command for word in words)
