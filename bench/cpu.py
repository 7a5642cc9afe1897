"""CPU time of everybody who takes part, by what they are: less noisy than requests per second."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

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


class Reading(NamedTuple):
    """Of one process, in seconds: its own time, and that of its children that have ended, as far
    as it takes notice of their end."""

    group: str
    parent: int
    own: float
    children: float


class CpuClock:
    """CPU seconds since it was made, by group. The load generator is a child of ours that has
    ended."""

    def __init__(self, groups: Callable[[], Group]) -> None:
        self._groups = groups
        self._started, self._load = self._read(), _load_seconds()

    def spent(self) -> dict[str, float]:
        return spent(self._started, self._read()) | {"load": _load_seconds() - self._load}

    def _read(self) -> dict[int, Reading]:
        found = {}
        for group, some in self._groups().items():
            for process in some:
                with suppress(psutil.Error):
                    user, system, *ended = process.cpu_times()[:4]
                    times = (float(user + system), float(sum(ended)))
                    found[process.pid] = Reading(group, process.ppid(), *times)
        return found


def spent(before: Mapping[int, Reading], after: Mapping[int, Reading]) -> dict[str, float]:
    """Seconds by group. What ended meanwhile, such as a worker of Postgres, counts through its
    parent: as much of it as had been there before is taken off, where the parent has it. Ray's
    take no notice of their children's end; what these spent last is lost, and nothing else."""
    seconds = dict.fromkeys((process.group for process in (*before.values(), *after.values())), 0.0)
    inherited: dict[int, float] = {}
    for pid, now in after.items():
        was = before.get(pid)
        seconds[now.group] += now.own - (was.own if was else 0.0)
        inherited[pid] = now.children - (was.children if was else 0.0)
        seconds[now.group] += inherited[pid]
    for pid, was in before.items():
        if pid not in after and (had := inherited.get(was.parent)):
            known = min(had, was.own + was.children)
            seconds[after[was.parent].group] -= known
            inherited[was.parent] -= known
    return seconds


def _load_seconds() -> float:
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ours.ru_utime + ours.ru_stime
