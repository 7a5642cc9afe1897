"""Runs an import from the command line: signs in, draws the progress bar, reports the rejects."""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.api.client import ApiError, Client, Unreachable
from cli.api.sign_in import Caller
from cli.data.import_journal import ImportRunning, Journal, journal
from cli.data.import_products import BATCH_BYTES, BATCH_ROWS, ImportReport, import_products
from cli.data.product_rows import ProductFile, Reject

_console = Console(stderr=True)


class Stopped(Exception):
    """The import did not come to its end; the message says why."""


def run(caller: Caller, source: ProductFile, rejects: Path) -> ImportReport:
    """Imports the whole file and writes the rows that were not taken to `rejects`, if any.
    Raises Stopped; what was taken by then stays, and the next run goes on from there."""
    try:
        report = asyncio.run(_run(caller, source))
    except (ApiError, Unreachable, ImportRunning) as error:
        hint = "What was taken stays; the same command goes on from there."
        raise Stopped(f"{error}\n{hint}") from error
    if report.rejects:
        write_rejects(rejects, source.header, report.rejects)
    _summarize(report, rejects)
    return report


async def _run(caller: Caller, source: ProductFile) -> ImportReport:
    async with caller.client() as client:
        who = (await client.get("/api/auth/me"))["data"]
        with _journal(source, f"{client.url} {who['tenantId']} {who['id']}") as notes:
            return await _with_bar(client, source, notes)


async def _with_bar(client: Client, source: ProductFile, notes: Journal | None) -> ImportReport:
    columns = (
        TextColumn("{task.fields[taken]} taken, {task.fields[rejected]} rejected"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_console) as bar:
        task = bar.add_task("import", total=source.lines, taken=0, rejected=0)

        def show(report: ImportReport) -> None:
            taken = report.created + report.updated + report.unchanged
            rejected = len(report.rejects)
            bar.update(task, completed=report.line, taken=taken, rejected=rejected)

        report = await import_products(
            client,
            source.rows(),
            run=notes.run if notes else str(uuid4()),
            source=source.sha256,
            journal=notes,
            progress=show,
        )
        bar.update(task, completed=source.lines)
        return report


@contextmanager
def _journal(source: ProductFile, target: str) -> Iterator[Journal | None]:
    """The journal next to the file. Its fingerprint holds all that decides which rows a batch
    has and where it goes. None, with a warning, where that folder is not ours to write in."""
    how = (source.encoding, source.delimiter, source.currency, sorted(source.mapping.items()))
    parts = repr((source.sha256, target, how, BATCH_ROWS, BATCH_BYTES))
    path = source.path.with_name(f".{source.path.name}.holdfast-import")
    with ExitStack() as stack:
        try:
            fingerprint = hashlib.sha256(parts.encode()).hexdigest()
            notes = stack.enter_context(journal(path, fingerprint))
        except OSError as error:
            _console.print(f"[yellow]Cannot note progress ({error}); a killed run starts over.")
            notes = None
        yield notes


def write_rejects(path: Path, header: tuple[str, ...], rejects: list[Reject]) -> None:
    """A CSV of the rejected rows: line, reason, then the cells as they were, so that the file
    can be mended and imported."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "reason", *header))
        writer.writerows((reject.line, reject.reason, *reject.source) for reject in rejects)


def _summarize(report: ImportReport, rejects: Path) -> None:
    table = Table("created", "updated", "unchanged", "same again", "stock opened", "rejected")
    counts = (report.created, report.updated, report.unchanged, report.repeated, report.stocked)
    table.add_row(*map(str, (*counts, len(report.rejects))))
    _console.print(table)
    if report.rejects:
        _console.print(f"Rejected rows, each with its line and the reason: {rejects}")
