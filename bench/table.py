"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.contenders import CONTENDERS
from bench.engine import CALL_SIZES, EngineRun
from bench.lists import ListRun
from bench.load import SALES
from bench.report import Line, Ratio, Sample, Spread

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
    table = Table(title="Ratios, within each round", title_justify="left")
    table.add_column("what")
    for name in ("ratio", "min to max", "goal", ""):
        table.add_column(name, justify="right")
    for one in compared:
        table.add_row(one.name, _times(one.value), *_judged(one))
    return table


def _times(value: Spread) -> str:
    return f"{value.median:.2f}"


def _judged(one: Ratio) -> tuple[str, str, str]:
    span = f"{one.value.low:.2f} to {one.value.high:.2f}"
    if one.goal is None:
        return span, "", ""
    return span, f"{one.goal:g}", "reached" if one.value.median >= one.goal else "missed"


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
    found = {(run.goods, run.in_flight, run.call_size): run for run in runs}
    for goods, in_flight in dict.fromkeys((run.goods, run.in_flight) for run in runs):
        row = [found[goods, in_flight, size] for size in CALL_SIZES]
        cells = [f"{run.commands_per_second:,.0f} ({run.cpu_us:,.0f})" for run in row]
        table.add_row(goods, str(in_flight), *cells)
    console.print(table)


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
