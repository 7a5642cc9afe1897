"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench import growth
from bench.baseline import Baseline, Fallen
from bench.contenders import CONTENDERS
from bench.engine import CALL_SIZES, GOALS, EngineRun
from bench.growth import GrowthRun
from bench.lists import ListRun
from bench.load import SALES
from bench.neighbours import MAX_P99_MS, NeighbourRun
from bench.report import Line, Ratio, Sample
from bench.searches import SearchRun

_CONTENDERS = {contender.name: contender for contender in CONTENDERS}


def title(row: str) -> str:
    """A row's name as people read it."""
    name, comma, rest = row.partition(",")
    return (_CONTENDERS[name].title if name in _CONTENDERS else name) + comma + rest


def _durable(row: str, scenario: str) -> str | None:
    """What an answer has written."""
    contender = _CONTENDERS[row.partition(",")[0]]
    if scenario in SALES:
        return contender.durable_sale
    return "nothing" if scenario == "sold out" else contender.durable


def show(
    console: Console, lines: Sequence[Line], compared: Iterable[Ratio], samples: Sequence[Sample]
) -> None:
    """Requests, ratios, CPU time; then what went wrong, if anything did."""
    for scenario in dict.fromkeys(line.scenario for line in lines):
        console.print(_requests(scenario, [line for line in lines if line.scenario == scenario]))
    if lines:
        console.print(_ratios(compared))
        console.print(_cpu(lines))
    for sample in samples:
        if sample.fault:
            where = f"round {sample.round + 1}, {title(sample.row)}, {sample.scenario}"
            console.print(f"[red]VOID[/red] {where}: {sample.fault}")


def _requests(scenario: str, lines: Iterable[Line]) -> Table:
    job = f"A {scenario}, three lines" if scenario in SALES else f"Reserve, {scenario}"
    table = Table(title=job, title_justify="left")
    table.add_column("contender")
    for name in ("requests/s", "min to max", "p50 ms", "p99 ms", "errors"):
        table.add_column(name, justify="right")
    table.add_column("durable before the answer")
    for line in sorted(lines, key=lambda line: -line.per_second.median):
        table.add_row(
            title(line.row),
            f"{line.per_second.median:,.0f}",
            f"{line.per_second.low:,.0f} to {line.per_second.high:,.0f}",
            f"{line.p50_ms.median:.1f}",
            f"{line.p99_ms.median:.1f}",
            str(line.errors),
            _durable(line.row, scenario),
        )
    return table


def _ratios(compared: Iterable[Ratio]) -> Table:
    """Rate and CPU time side by side; both are to reach the goal."""
    table = Table(title="Ratios, within each round", title_justify="left")
    table.add_column("what")
    for name in ("by rate", "min to max", "by CPU", "min to max", "goal", "by rate", "by CPU"):
        table.add_column(name, justify="right")
    found: dict[str, dict[str, Ratio]] = {}
    for ratio in compared:
        found.setdefault(ratio.name, {})[ratio.by] = ratio
    for name, some in found.items():
        both = [some.get("rate"), some.get("CPU")]
        goal = next(ratio.goal for ratio in both if ratio)
        cells = [cell for ratio in both for cell in _times(ratio)]
        shown = "" if goal is None else f"{goal:g}"
        table.add_row(name, *cells, shown, *(_judged(ratio) for ratio in both))
    return table


def _times(ratio: Ratio | None) -> tuple[str, str]:
    if ratio is None:
        return "", ""
    return f"{ratio.value.median:.2f}", f"{ratio.value.low:.2f} to {ratio.value.high:.2f}"


def _judged(ratio: Ratio | None) -> str:
    if ratio is None or ratio.goal is None:
        return ""
    return "reached" if ratio.value.median >= ratio.goal else "missed"


def _cpu(lines: Sequence[Line]) -> Table:
    parts = list(dict.fromkeys(part for line in lines for part in line.cpu_us))
    table = Table(title="CPU time per request, microseconds", title_justify="left")
    for name in ("contender", "scenario"):
        table.add_column(name)
    for part in [*parts, "all but the load"]:
        table.add_column(part, justify="right")
    for line in lines:
        cells = [f"{line.cpu_us[part]:,.0f}" if part in line.cpu_us else "" for part in parts]
        table.add_row(title(line.row), line.scenario, *cells, f"{_serving(line.cpu_us):,.0f}")
    return table


def _serving(cpu_us: Mapping[str, float]) -> float:
    return sum(spent for part, spent in cpu_us.items() if part != "load")


def show_engine(console: Console, runs: Sequence[EngineRun]) -> None:
    """The shard host alone."""
    name = "Shard host alone, durable: commands/s (its CPU time per command, microseconds)"
    table = Table(title=name, title_justify="left")
    table.add_column("goods")
    table.add_column("calls under way", justify="right")
    for size in CALL_SIZES:
        table.add_column(f"calls of {size}", justify="right")
    table.add_column(f"goal at {CALL_SIZES[-1]}", justify="right")
    found = {(run.goods, run.in_flight, run.call_size): run for run in runs}
    for goods, in_flight in dict.fromkeys((run.goods, run.in_flight) for run in runs):
        row = [found[goods, in_flight, size] for size in CALL_SIZES]
        cells = [f"{run.commands_per_second:,.0f} ({run.cpu_us:,.0f})" for run in row]
        table.add_row(goods, str(in_flight), *cells, f"{GOALS[goods]:,}")
    console.print(table)


def show_neighbours(console: Console, runs: Sequence[NeighbourRun]) -> None:
    """A single reserve beside what its neighbour does."""
    name = f"A single reserve beside another tenant of its host; goal: p99 {MAX_P99_MS:.0f} ms"
    table = Table(title=name, title_justify="left")
    table.add_column("who has at the same time")
    for column in ("reserves", "p50 ms", "p99 ms", "max ms", "failed", "lease kept"):
        table.add_column(column, justify="right")
    table.add_column("the other's commands, and turned away", justify="right")
    table.add_column("")
    for run in runs:
        times = (f"{wait_ms:.1f}" for wait_ms in (run.p50_ms, run.p99_ms, run.max_ms))
        table.add_row(
            run.culprit,
            str(run.reserves),
            *times,
            str(run.failed),
            "yes" if run.tenure_kept else "no",
            f"{run.answered:,}, {run.turned_away:,}",
            "kept" if run.kept else "missed",
        )
    console.print(table)


def show_growth(console: Console, runs: Sequence[GrowthRun]) -> None:
    """Commands per second, the more there is; and what is in memory."""
    name = "Growth: commands/s of a host, and how many times those of the first row of a kind"
    table = Table(title=name, title_justify="left")
    table.add_column("in the database")
    for size in growth.CALL_SIZES:
        table.add_column(f"calls of {size}", justify="right")
        table.add_column("", justify="right")
    for column in ("states in memory", "MB by its count", "MB that it grew by"):
        table.add_column(column, justify="right")
    compared = iter(growth.ratios(runs))
    for run in runs:
        cells = []
        for rates in run.rates.values():
            beside = "" if run.row.beside is None else f"{next(compared).value.median:.2f}"
            cells += [f"{median(rates):,.0f}", beside]
        memory = (run.counted_bytes, run.grown_bytes)
        megabytes = (f"{bytes_ / 1e6:,.0f}" for bytes_ in memory)
        table.add_row(run.row.name, *cells, f"{run.states:,}", *megabytes)
    console.print(table)


def show_fallen(console: Console, before: Baseline, found: Sequence[Fallen]) -> None:
    """What has become worse since the baseline."""
    since = f"{before.at[:10]} ({before.commit})"
    if not found:
        console.print(f"No ratio has fallen beyond noise since {since}.")
    for fall in found:
        console.print(
            f"[yellow]FALLEN[/yellow] {fall.name}, by {fall.by}: {fall.before:.2f} on {since},"
            f" {fall.now:.2f} now; {fall.noise:.0%} would be noise"
        )


def show_lists(console: Console, runs: Sequence[ListRun]) -> None:
    """Lists of a business with many rows."""
    name = f"Lists of {runs[0].rows:,} rows, medians, milliseconds"
    table = Table(title=name, title_justify="left")
    table.add_column("list")
    table.add_column("first page, with its total", justify="right")
    table.add_column("page after row 10,000, by cursor", justify="right")
    for run in runs:
        beyond = "" if run.beyond_ms is None else f"{run.beyond_ms:.1f}"
        table.add_row(run.name, f"{run.first_ms:.1f}", beyond)
    console.print(table)


def show_searches(console: Console, runs: Sequence[SearchRun]) -> None:
    """Searches among many products."""
    name = f"Searches among {runs[0].products:,} products, milliseconds"
    table = Table(title=name, title_justify="left")
    table.add_column("what is typed")
    for column in ("found", "median", "p99"):
        table.add_column(column, justify="right")
    for run in runs:
        table.add_row(run.name, f"{run.total:,}", f"{run.median_ms:.1f}", f"{run.p99_ms:.1f}")
    console.print(table)
