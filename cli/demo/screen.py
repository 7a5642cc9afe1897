"""What people see of the demo: bars while it runs, tables and the proof at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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

from cli.demo.documents import major
from cli.demo.meter import Report

MAX_REJECTS_SHOWN = 20
MAX_FAULTS_SHOWN = 20


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
    _print_tills(console, report)
    _print_proof(console, report)


def _print_input(console: Console, report: Report) -> None:
    times = f", {report.rounds} times over" if report.rounds > 1 else ""
    console.print(
        f"\n{report.products} products; {report.invoices} invoices and {report.cancellations} "
        f"cancellations{times}, at {report.registers} registers, by {report.clients} clients at "
        "once."
    )
    if report.rejects:
        table = Table("line", "not taken because", title="Rows that were not taken")
        for reject in report.rejects[:MAX_REJECTS_SHOWN]:
            table.add_row(str(reject.line), reject.reason)
        if (more := len(report.rejects) - MAX_REJECTS_SHOWN) > 0:
            table.add_row("", f"and {more} more; --json has them all")
        console.print(table)
    for sku, (first, *others) in list(report.renamed.items())[:MAX_REJECTS_SHOWN]:
        also = ", ".join(others)
        console.print(f"{sku} is called {first}; also {also}.", markup=False, highlight=False)


def _print_phases(console: Console, report: Report) -> None:
    headings = ("", "sales", "/s", "p50 ms", "p99 ms", "longest", "refused", "repeated")
    table = _table("Sales, each acknowledged once", headings)
    for phase in report.phases:
        latencies = (phase.p50_ms, phase.p99_ms, phase.longest_ms)
        table.add_row(
            phase.name,
            f"{phase.sales:,}",
            f"{phase.sales_per_second:,.0f}",
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
    later = sum(phase.settled_later for phase in report.phases)
    declined = sum(phase.declined for phase in report.phases)
    console.print(
        f"{later:,} cards were settled only later; {declined:,} came to nothing, and their owners "
        "paid cash."
    )


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    return table


def _print_tills(console: Console, report: Report) -> None:
    headings = ("", "receipts", "turnover", "of it VAT", "float", "cash due", "counted")
    table = _table("Z reports", headings)
    tills = report.proof.tills
    for till in tills:
        table.add_row(
            till.name,
            f"{till.receipts:,}",
            *map(_pounds, (till.turnover_minor, till.tax_minor)),
            *map(_pounds, (till.float_minor, till.expected_minor, till.counted_minor)),
        )
    console.print(table)
    tenders: Counter[str] = Counter()
    for till in tills:
        tenders.update(till.tenders)
    sums = ", ".join(f"{name} {_pounds(amount)}" for name, amount in sorted(tenders.items()))
    console.print(f"Taken less refunded: {sums}.", markup=False, highlight=False)


def _pounds(amount_minor: int) -> str:
    return f"{major(amount_minor):,.2f}"


def _print_proof(console: Console, report: Report) -> None:
    proof = report.proof
    stock = proof.stock
    sums = (
        f"{stock.opening:,} units at opening - {stock.sold:,} sold + {stock.returned:,} returned "
        f"= {stock.stock:,} in stock"
    )
    if report.ok:
        receipts = sum(till.receipts for till in proof.tills)
        console.print(
            f"\n[bold green]The proof holds.[/] For each of {stock.products} products: {sums} in "
            f"all; {stock.movements:,} ledger lines add up to the levels, and nothing is held. "
            f"{receipts:,} receipts are numbered without a gap, each of them a sale or a return "
            "that was acknowledged once; each drawer and each Z report balances to the penny. "
            f"{proof.gift_cards:,} gift cards have {_pounds(proof.gift_cards_minor)} left on them, "
            f"and {proof.card_payments:,} card payments ended as {proof.card_sales:,} sales, "
            f"{proof.split_sales:,} of them with two cards, that took "
            f"{_pounds(proof.cards_minor)} off cards and nothing else did."
        )
        if stock.adjusted:
            console.print(
                f"{stock.adjusted:,} of the units that came back had not been sold before in the "
                "file: the till knows no sale of them, so they came back as an adjustment."
            )
    else:
        console.print(
            f"\n[bold red]The proof does not hold: {proof.fault_count} contradictions.[/] {sums}?"
        )
        for fault in proof.faults[:MAX_FAULTS_SHOWN]:
            console.print(f"  {fault}", style="red", markup=False, highlight=False)
    console.print(
        f"To look around, sign in as {report.email} with {report.password}: {report.url}/docs",
        markup=False,
        highlight=False,
    )
