"""What a copy that runs costs while nothing happens: `python -m bench.footprint`.

It looks at the copy of HOLDFAST_HOME from outside, and at one that it starts itself if there is
none. PSS counts a page that many share once, divided among them.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.supervisor.home import running_supervisor
from cli.supervisor.ray_start import AGENTS
from core.settings import Settings, get_settings
from store.embedded.leftovers import everything
from tests.stack import running_stack

IDLE_SECONDS = 30.0
SETTLE_SECONDS = 20.0

# By what stands in the command line, the first that fits: what it is, and why it is there.
PARTS = (
    ("cli.main up", "supervisor", "starts and watches everything"),
    ("holdfast up", "supervisor", "starts and watches everything"),
    (":keeper", "keeper", "gives shards to hosts"),
    ("ray::ServeReplica", "replicas", "answer HTTP"),
    ("ray::HostActor", "shard hosts", "decide and commit"),
    ("ray::ServeController", "Serve controller", "starts replicas and watches them"),
    ("ray::HAProxyManager", "HAProxy's manager", "writes HAProxy's configuration"),
    ("ray::ProxyActor", "Serve's fall-back proxy", "answers where no replica is"),
    ("DashboardAgent", "Ray's agents", "the raylet ends without them"),
    ("RuntimeEnvAgent", "Ray's agents", "the raylet ends without them"),
    ("ray::", "other workers of Ray", "started ahead"),
    ("bin/haproxy", "HAProxy", "the door"),
    ("gcs_server", "GCS", "Ray's memory: actors by name"),
    ("raylet/raylet", "raylet", "starts workers, and anew when they die"),
    (AGENTS[-1], "in Ray's agents' place", "the raylet wants some; they do nothing"),
    ("dashboard", "Ray's dashboard", "only where HOLDFAST_RAY_DASHBOARD asks for it"),
    ("multiprocessing", "Ray's dashboard", "only where HOLDFAST_RAY_DASHBOARD asks for it"),
    ("valkey", "Valkey", "limits, events, figures"),
    ("postgres", "Postgres", "the truth"),
)


@dataclass
class Cost:
    """Of all processes of a part."""

    why: str
    processes: int = 0
    pss_mb: float = 0.0
    threads: int = 0
    cpu_percent: float = 0.0


def measure(settings: Settings, seconds: float) -> dict[str, Cost]:
    """The costs of a copy that runs, by part. CPU is of one core, over `seconds`."""
    supervisor = running_supervisor(settings)
    processes = everything(settings) + ([supervisor.process] if supervisor else [])
    before = {process: _cpu_seconds(process) for process in processes}
    began = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    costs: dict[str, Cost] = {}
    for process in processes:
        try:
            name, why = _part(" ".join(process.cmdline()))
            pss_mb, threads = process.memory_full_info().pss / 1e6, process.num_threads()
        except psutil.Error:
            continue
        cost = costs.setdefault(name, Cost(why))
        cost.processes += 1
        cost.pss_mb += pss_mb
        cost.threads += threads
        cost.cpu_percent += (_cpu_seconds(process) - before[process]) / elapsed * 100
    return costs


def table(costs: dict[str, Cost]) -> str:
    """Markdown, the dearest first."""
    lines = [
        "| part | processes | MB (PSS) | threads | % of a core, idle | why |",
        "|---|---|---|---|---|---|",
    ]
    for name, cost in sorted(costs.items(), key=lambda item: -item[1].pss_mb):
        lines.append(_line(name, cost))
    whole = Cost("")
    for cost in costs.values():
        whole.processes += cost.processes
        whole.pss_mb += cost.pss_mb
        whole.threads += cost.threads
        whole.cpu_percent += cost.cpu_percent
    return "\n".join([*lines, _line("**all**", whole)])


def _line(name: str, cost: Cost) -> str:
    return (
        f"| {name} | {cost.processes} | {cost.pss_mb:.0f} | {cost.threads}"
        f" | {cost.cpu_percent:.1f} | {cost.why} |"
    )


def _part(command: str) -> tuple[str, str]:
    for word, name, why in PARTS:
        if word in command:
            return name, why
    return "others", ""


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def ready_seconds(settings: Settings) -> Iterable[float]:
    """How long the starts of a home took, by the supervisor's own notes, the last one last."""
    for line in (settings.home_path / "logs" / "supervisor.log").read_text().splitlines():
        note = json.loads(line)
        if note["event"] == "ready":
            yield note["seconds"]


def _report(settings: Settings) -> None:
    print(f"ready after {list(ready_seconds(settings))[-1]:.1f} s")
    time.sleep(SETTLE_SECONDS)
    print(table(measure(settings, IDLE_SECONDS)))


def main() -> None:
    settings = get_settings()
    if running_supervisor(settings):
        _report(settings)
        return
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder) / "home") as copy:
        _report(copy.settings)


if __name__ == "__main__":
    main()
