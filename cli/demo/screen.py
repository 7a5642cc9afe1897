"""What people see of the demo: bars while it runs, tables and the proof at its end."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from cli.demo.meter import Report

MOST_REJECTS_SHOWN = 20
MOST_FAULTS_SHOWN = 20


class Bars:
    """Live progress, a bar per stage. A context manager; call it as a `Show`."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, note=note)
        self._progress.update(self._tasks[stage], completed=done, note=note)


def print_report(console: Console, report: Report) -> None:
    """All of it, for people."""
    _print_input(console, report)
    _print_phases(console, report)
    _print_proof(console, report)


def _print_input(console: Console, report: Report) -> None:
    times = f", {report.rounds} times over" if report.rounds > 1 else ""
    console.print(
        f"\n{report.products} products; {report.invoices} invoices and {report.returns} "
        f"cancellations{times}, by {report.clients} clients at once."
    )
    if report.rejects:
        table = Table("line", "not taken because", title="Rows that were not taken")
        for reject in report.rejects[:MOST_REJECTS_SHOWN]:
            table.add_row(str(reject.line), reject.reason)
        if (more := len(report.rejects) - MOST_REJECTS_SHOWN) > 0:
            table.add_row("", f"and {more} more; --json has them all")
        console.print(table)
    for sku, (first, *others) in list(report.renamed.items())[:MOST_REJECTS_SHOWN]:
        also = ", ".join(others)
        console.print(f"{sku} is called {first}; also {also}.", markup=False, highlight=False)


def _print_phases(console: Console, report: Report) -> None:
    table = Table(title="Reservations, each confirmed")
    for heading in ("", "count", "/s", "p50 ms", "p99 ms", "longest", "refused", "repeated"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for phase in report.phases:
        latencies = (phase.p50_ms, phase.p99_ms, phase.longest_ms)
        table.add_row(
            phase.name,
            f"{phase.reservations:,}",
            f"{phase.reservations_per_second:,.0f}",
            *(f"{ms:,.0f}" for ms in latencies),
            f"{phase.refused:,}",
            f"{phase.repeated:,}",
        )
    console.print(table)
    twice = sum(phase.sent_twice for phase in report.phases)
    hung_up = sum(phase.hung_up for phase in report.phases)
    waited = sum(phase.waited for phase in report.phases)
    console.print(
        f"Repeated: sent again with the same key after an unknown outcome. On purpose {twice:,} "
        f"requests were sent twice at once and {hung_up:,} given up and sent again."
        + (f" {waited:,} waited for a rate limit." if waited else "")
    )


def _print_proof(console: Console, report: Report) -> None:
    proof = report.proof
    sums = (
        f"{proof.opening:,} units at opening - {proof.confirmed:,} confirmed "
        f"+ {proof.returned:,} returned = {proof.stock:,} in stock"
    )
    if report.ok:
        console.print(
            f"\n[bold green]The proof holds.[/] For each of {proof.products} products: {sums} in "
            f"all; {proof.movements:,} ledger lines add up to the levels, nothing is held, and "
            "every acknowledged sale is there once."
        )
    else:
        console.print(
            f"\n[bold red]The proof does not hold: {proof.fault_count} contradictions.[/] {sums}?"
        )
        for fault in proof.faults[:MOST_FAULTS_SHOWN]:
            console.print(f"  {fault}", style="red", markup=False, highlight=False)
    console.print(
        f"To look around, sign in as {report.email} with {report.password}: {report.url}/docs",
        markup=False,
        highlight=False,
    )
