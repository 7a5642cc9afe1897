"""`holdfast import`: what it takes on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.api import sign_in

app = typer.Typer(no_args_is_help=True, help="Bring data in from files.")


@app.callback()
def _group() -> None:
    """Keeps `products` a command of its own, as other imports will be."""


@app.command("products")
def products(
    file: Annotated[Path, typer.Argument(help="CSV file with a header line", dir_okay=False)],
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map",
            help="field=Column pairs: name, sku, price; description, category, barcode, images,"
            " stock. Example: name=Description,sku=StockCode,price=UnitPrice."
            " Not needed for what `holdfast export` wrote",
        ),
    ] = None,
    url: sign_in.Url = None,
    email: sign_in.Email = None,
    password: sign_in.Password = None,
    token: sign_in.Token = None,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code of the prices (default: the business' own)")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="(default: found out)")] = None,
    delimiter: Annotated[str | None, typer.Option(help="(default: found out)")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Report of rejects (default: FILE.rejects.csv)")
    ] = None,
    patience: sign_in.Patience = 60.0,
) -> None:
    """Imports products from FILE: creates what is new, changes what differs.

    Products are told apart by SKU. Safe to run twice, and to run again after
    a kill. Rows that cannot be taken are reported with their line and the
    reason, in a CSV of their own; the rest is taken. Of several lines with
    one SKU the first counts. Opening stock goes to products that never had a
    movement.
    """
    from cli.data import import_run
    from cli.data.product_rows import FileUnreadable, open_products, parse_mapping

    caller = sign_in.caller(url, email, password, token, patience)
    try:
        source = open_products(
            file,
            parse_mapping(mapping) if mapping else None,
            encoding=encoding,
            delimiter=delimiter,
            currency=currency,
        )
    except FileUnreadable as error:
        typer.echo(f"holdfast: {error}", err=True)
        raise typer.Exit(2) from error
    try:
        import_run.run(caller, source, rejects or file.with_name(file.name + ".rejects.csv"))
    except import_run.Stopped as error:
        typer.echo(f"holdfast: {error}", err=True)
        raise typer.Exit(1) from error
