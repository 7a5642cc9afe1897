"""`holdfast import`: what it takes on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Bring data in from files.")


@app.callback()
def _group() -> None:
    """Keeps `products` a command of its own, as other imports will be."""


@app.command("products")
def products(
    file: Annotated[Path, typer.Argument(help="CSV file with a header line", dir_okay=False)],
    mapping: Annotated[
        str,
        typer.Option(
            "--map",
            help="field=Column pairs: name, sku, price; description, category, barcode, images,"
            " stock. Example: name=Description,sku=StockCode,price=UnitPrice",
        ),
    ],
    url: Annotated[
        str | None, typer.Option(help="Where Holdfast answers (default: this machine's copy)")
    ] = None,
    email: Annotated[str | None, typer.Option(help="Sign in as; asks for the password")] = None,
    password: Annotated[
        str | None, typer.Option(envvar="HOLDFAST_PASSWORD", help="Better left to the environment")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="HOLDFAST_TOKEN", help="Access token or service key, instead"),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code of the prices (default: the business' own)")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="(default: found out)")] = None,
    delimiter: Annotated[str | None, typer.Option(help="(default: found out)")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Report of rejects (default: FILE.rejects.csv)")
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds to wait for a server that does not answer", min=1)
    ] = 60.0,
) -> None:
    """Imports products from FILE: creates what is new, changes what differs.

    Products are told apart by SKU. Safe to run twice, and to run again after
    a kill. Rows that cannot be taken are reported with their line and the
    reason, in a CSV of their own; the rest is taken. Of several lines with
    one SKU the first counts. Opening stock goes to products that never had a
    movement.
    """
    from cli import import_run
    from cli.product_rows import FileUnreadable, open_products, parse_mapping

    if not token and not email:
        raise typer.BadParameter("give --email or --token")
    if email and password is None:
        password = typer.prompt("Password", hide_input=True)
    try:
        source = open_products(
            file, parse_mapping(mapping), encoding=encoding, delimiter=delimiter, currency=currency
        )
    except FileUnreadable as error:
        typer.echo(f"holdfast: {error}", err=True)
        raise typer.Exit(2) from error
    caller = import_run.Caller(
        url or f"http://127.0.0.1:{get_settings().port}", token, email, password, patience
    )
    try:
        import_run.run(caller, source, rejects or file.with_name(file.name + ".rejects.csv"))
    except import_run.Stopped as error:
        typer.echo(f"holdfast: {error}", err=True)
        raise typer.Exit(1) from error
