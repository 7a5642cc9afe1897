"""The benchmark of reservations and sales over HTTP: `make bench`, or `python -m bench.run --help`.

All contenders in one run, over the same Postgres, one after the other and round after round, so
that noise hits all alike. See `bench/README.md`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from bench import (
    baseline,
    engine,
    growth,
    lists,
    load,
    machine,
    neighbours,
    plot,
    report,
    searches,
    table,
)
from bench.competition import FULL, QUICK, Competition, Plan
from bench.contenders import CONTENDERS, Contender
from bench.ground import Ground, ground
from bench.report import Line, Ratio
from cli.supervisor.home import HomeBusy
from core.telemetry import configure_logging

RESULTS = Path(__file__).with_name("results")
SLOW_DISK_FROM_US = 1_000
_HOME = Path(".holdfast/bench")
_PORT = 26_000
# Of each search.
_SEARCH_TIMES = 20


def main() -> int:
    """0 if all went well, 1 if a sample is void, 2 if nothing could be measured."""
    options = _options()
    plan = _plan(options)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    try:
        load.need_wrk()
    except load.NoLoad as error:
        console.print(f"[red]{error}[/red]")
        return 2
    configure_logging("ERROR")
    # What was started is stopped, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = datetime.now().astimezone()
    facts = machine.facts()
    home = options.home.resolve()
    try:
        with ground(home / "servers", plan.commit_delay_us) as made:
            facts["postgres"] = made.facts()
            runs = _engine(made, plan, console)
            beside = _neighbours(made, plan, console)
            grown = _growth(made, plan, console)
            listed = _lists(made, plan, console)
            searched = _searches(made, plan, console)
            competition = Competition(plan, made, home / "contender", options.port, console)
            competition.run(_chosen(options.only))
    except HomeBusy as error:
        console.print(f"[red]{error}[/red]")
        return 2
    samples = competition.samples
    lines = report.summarize(samples)
    compared = report.ratios(samples, slow_disk=plan.commit_delay_us >= SLOW_DISK_FROM_US)
    table.show(console, lines, compared, samples)
    compared += growth.ratios(grown)
    fallen = _fallen(plan, compared, console)
    document = {
        "at": started.isoformat(timespec="seconds"),
        "quick": options.quick,
        "plan": asdict(plan),
        "machine": facts,
        **report.as_json(lines, compared),
        "engine": [run.as_json() for run in runs],
        "neighbours": [run.as_json() for run in beside],
        "growth": [run.as_json() for run in grown],
        "lists": [run.as_json() for run in listed],
        "searches": [run.as_json() for run in searched],
        "fallen": [fall.as_json() for fall in fallen],
        "samples": [asdict(sample) for sample in samples],
    }
    name = _name(started, plan, quick=options.quick)
    _write(options.results / name, json.dumps(document, indent=1), lines, compared, console)
    void = any(sample.fault for sample in samples)
    if options.keep_baseline and not void:
        baseline.keep(document["at"], facts["commit"], compared)
        console.print(f"Written: {baseline.PATH}")
    return 1 if void or (options.strict and fallen) else 0


def _fallen(plan: Plan, compared: Sequence[Ratio], console: Console) -> list[baseline.Fallen]:
    """What is worse than it was; nothing on another disk than the baseline's."""
    before = None if plan.commit_delay_us else baseline.read()
    if before is None:
        return []
    found = baseline.fallen(before, compared)
    table.show_fallen(console, before, found)
    return found


def _engine(made: Ground, plan: Plan, console: Console) -> list[engine.EngineRun]:
    if not plan.engine_seconds:
        return []
    runs = engine.measure(made, plan.engine_seconds, plan.engine_calls)
    table.show_engine(console, runs)
    return runs


def _neighbours(made: Ground, plan: Plan, console: Console) -> list[neighbours.NeighbourRun]:
    if not plan.neighbour_seconds:
        return []
    runs = neighbours.measure(made, plan.neighbour_seconds, plan.ledger_rows)
    table.show_neighbours(console, runs)
    return runs


def _growth(made: Ground, plan: Plan, console: Console) -> list[growth.GrowthRun]:
    if plan.growth is None:
        return []
    runs = growth.measure(made, plan.growth)
    table.show_growth(console, runs)
    return runs


def _lists(made: Ground, plan: Plan, console: Console) -> list[lists.ListRun]:
    if not plan.list_rows:
        return []
    runs = lists.measure(made, plan.list_rows)
    table.show_lists(console, runs)
    return runs


def _searches(made: Ground, plan: Plan, console: Console) -> list[searches.SearchRun]:
    if not plan.list_rows:
        return []
    runs = searches.measure(made, plan.list_rows, _SEARCH_TIMES)
    table.show_searches(console, runs)
    return runs


def _write(
    path: Path, document: str, lines: Sequence[Line], compared: Sequence[Ratio], console: Console
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(document + "\n")
    console.print(f"Written: {path}.json")
    if lines:
        plot.draw(path.with_suffix(".png"), lines, compared, f"Holdfast, {path.name}")
        console.print(f"Written: {path}.png")


def _name(started: datetime, plan: Plan, *, quick: bool) -> str:
    delay = f"-{plan.commit_delay_us}us" if plan.commit_delay_us else ""
    return f"{started:%Y-%m-%d}{delay}{'-quick' if quick else ''}"


def _chosen(names: str) -> list[Contender]:
    wanted = [name for name in names.split(",") if name]
    return [contender for contender in CONTENDERS if not wanted or contender.name in wanted]


def _scenarios(names: str) -> tuple[load.Scenario, ...]:
    wanted = [name for name in names.split(",") if name]
    return tuple(scenario for scenario in load.SCENARIOS if not wanted or scenario in wanted)


def _plan(options: argparse.Namespace) -> Plan:
    given = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "engine_seconds": options.engine_seconds,
        "connections": options.connections,
        "list_rows": options.list_rows,
        "neighbour_seconds": options.neighbour_seconds,
        "commit_delay_us": options.commit_delay,
        "scenarios": _scenarios(options.scenarios),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if options.no_growth:
        chosen["growth"] = None
    return replace(QUICK if options.quick else FULL, **chosen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about five minutes, noisy")
    parser.add_argument(
        "--commit-delay",
        type=int,
        metavar="US",
        help="microseconds that every commit waits before its flush; 2000 mimics a cloud disk",
    )
    names = ", ".join(contender.name for contender in CONTENDERS)
    parser.add_argument("--only", default="", help=f"some contenders, by comma, or none: {names}")
    parser.add_argument(
        "--scenarios", default="", help=f"some scenarios, by comma: {', '.join(load.SCENARIOS)}"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of each measurement")
    parser.add_argument("--engine-seconds", type=float, help="0 leaves the shard host out")
    parser.add_argument("--connections", type=int)
    parser.add_argument("--list-rows", type=int, help="of each table; 0 leaves the lists out")
    parser.add_argument("--neighbour-seconds", type=float, help="0 leaves the neighbours out")
    parser.add_argument("--no-growth", action="store_true", help="leaves growth out")
    parser.add_argument(
        "--keep-baseline",
        action="store_true",
        help="what later runs are compared with, for a full run on a quiet machine",
    )
    parser.add_argument(
        "--strict", action="store_true", help="1 also if a ratio has fallen since the baseline"
    )
    parser.add_argument("--home", type=Path, default=_HOME, help="data; on the disk to be tried")
    parser.add_argument("--port", type=int, default=_PORT, help="the first of 60")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
