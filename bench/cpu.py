"""CPU time of everybody who takes part, by what they are: less noisy than requests per second."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable

import psutil

Group = dict[str, list[psutil.Process]]


def ray_groups(processes: Iterable[psutil.Process]) -> Group:
    """Sorts the processes of a Holdfast by their part in a request."""
    groups: Group = {}
    for process in processes:
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        groups.setdefault(_part(title), []).append(process)
    return groups


def _part(title: str) -> str:
    if "ServeReplica" in title and "keeper" not in title:
        return "replicas"
    if "HostActor" in title:
        return "hosts"
    if "haproxy" in title.split(" ")[0]:
        return "HAProxy"
    return "rest of Ray"


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


class CpuClock:
    """CPU seconds since it was made, by group. What ended meanwhile counts through its parent, so
    that a worker of Postgres that comes or goes is neither forgotten nor taken off. The load
    generator is a child of ours that has ended."""

    def __init__(self, groups: Callable[[], Group]) -> None:
        self._groups = groups
        self._started = self._read()

    def spent(self) -> dict[str, float]:
        return {
            name: seconds - self._started.get(name, 0.0) for name, seconds in self._read().items()
        }

    def _read(self) -> dict[str, float]:
        seconds = {name: sum(map(_seconds, some)) for name, some in self._groups().items()}
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        return seconds | {"load": ours.ru_utime + ours.ru_stime}


def _seconds(process: psutil.Process) -> float:
    """Of the process and of its children that have ended."""
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.Error:
        return 0.0
