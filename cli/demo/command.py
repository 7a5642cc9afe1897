"""The command line of the demo."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from cli.demo.run import Options

# What takes long to import is imported when the command runs.


def demo(
    url: Annotated[
        str | None, typer.Option(help="Where Holdfast answers", show_default="this machine")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Invoices as CSV", show_default="a gift shop's", dir_okay=False),
    ] = None,
    clients: Annotated[int, typer.Option(help="At once", min=1, max=2_000)] = 200,
    registers: Annotated[int, typer.Option(help="To sell at", min=1, max=50)] = 6,
    rounds: Annotated[
        int, typer.Option(help="How often to replay the invoices", min=1, max=10_000)
    ] = 10,
    invoices: Annotated[
        int | None, typer.Option(help="Only the first so many of the file", min=1)
    ] = None,
    flash_units: Annotated[
        int | None,
        typer.Option(help="Of each best seller, at most", show_default="what a round sold", min=1),
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds to wait for a server that does not answer", min=1)
    ] = 180.0,
    seconds: Annotated[float, typer.Option(help="Give up after", min=1)] = 1800.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report there too", dir_okay=False)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A short run")] = False,
) -> None:
    """A real shop's day, from opening to the Z reports, with a proof to the unit and the penny.

    Works against a Holdfast that runs. Kill any of its processes meanwhile: no figure changes.
    """
    from cli.demo.run import SAMPLE, Options

    options = Options(
        url=url or _here(),
        file=file or SAMPLE,
        clients=clients,
        registers=registers,
        rounds=rounds,
        invoices=invoices,
        flash_units=flash_units,
        patience_seconds=patience,
        most_seconds=seconds,
    )
    raise typer.Exit(_run(options.quick() if quick else options, json_file))


def _here() -> str:
    """Where the copy answers that this environment describes."""
    from core.settings import get_settings

    settings = get_settings()
    host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104
    return f"http://{host}:{settings.ports.api}"


def _run(options: Options, json_file: Path | None) -> int:
    """The exit code: 0 if the proof holds."""
    import uvloop
    from rich.console import Console

    from cli.api.client import ApiError, Unreachable
    from cli.data.product_rows import FileUnreadable
    from cli.demo.run import run_demo
    from cli.demo.screen import Bars, print_report

    console = Console()
    try:
        with Bars(console) as bars, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(run_demo(options, bars))
    except Unreachable as error:
        return _no_proof(console, f"{error}\nIs it running? `make run` in another terminal does.")
    except TimeoutError:
        return _no_proof(console, f"Not done in {options.most_seconds:.0f} s.")
    except (ApiError, FileUnreadable) as error:
        return _no_proof(console, str(error))
    if json_file:
        json_file.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    print_report(console, report)
    return 0 if report.ok else 1


def _no_proof(console: Console, why: str) -> int:
    console.print(f"No proof: {why}", style="bold red", markup=False, highlight=False)
    return 1
