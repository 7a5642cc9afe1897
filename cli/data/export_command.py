"""`holdfast export`: data out into files, which `holdfast import` takes back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.api import sign_in

app = typer.Typer(no_args_is_help=True, help="Take data out into files.")


@app.callback()
def _group() -> None:
    """Keeps `products` a command of its own, as other exports will be."""


@app.command("products")
def products(
    file: Annotated[Path, typer.Argument(help="CSV file to write", dir_okay=False)],
    url: sign_in.Url = None,
    email: sign_in.Email = None,
    password: sign_in.Password = None,
    token: sign_in.Token = None,
    patience: sign_in.Patience = 60.0,
) -> None:
    """Writes the whole catalogue of your business to FILE, with costs.

    `holdfast import products FILE` brings it back to exactly the same: variants, categories,
    prices, barcodes and bundles. Stock is not part of it.
    """
    from cli.data import export_run

    caller = sign_in.caller(url, email, password, token, patience)
    try:
        lines = export_run.run(caller, file)
    except export_run.Stopped as error:
        typer.echo(f"holdfast: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Wrote {lines} lines to {file}.")
