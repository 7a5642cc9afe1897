"""The `holdfast` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from cli.data import export_command, import_command
from cli.demo.command import demo
from cli.operator import admin, shards
from core.settings import get_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Holdfast: a backend for businesses that sell goods and time.",
)

# Each command imports what it needs when it runs, so that none waits for what others use.


@app.command()
def up() -> None:
    """Start everything on this machine and keep it running; Ctrl-C stops it.

    HOLDFAST_HOME, HOLDFAST_PORT and HOLDFAST_HOST say where; DATABASE_URL and REDIS_URL name
    servers of your own.
    """
    from cli.supervisor.home import HomeBusy
    from cli.supervisor.port_check import PortsBusy
    from cli.supervisor.up import UnusableHost
    from cli.supervisor.up import up as run
    from store.kit.migrate import MigrationBlocked, UnknownMigration
    from store.kit.servers import UnusableServer

    unusable = (MigrationBlocked, UnknownMigration, UnusableHost, UnusableServer)
    try:
        run(get_settings())
    except (HomeBusy, PortsBusy, PermissionError, *unusable) as error:
        raise _fail(error) from error


@app.command()
def down() -> None:
    """Stop the copy that runs in HOLDFAST_HOME."""
    from cli.supervisor.down import NotStopped
    from cli.supervisor.down import down as run

    try:
        typer.echo(run(get_settings()))
    except NotStopped as error:
        raise _fail(error) from error


@app.command()
def deploy() -> None:
    """Have this build take the place of the one that runs in HOLDFAST_HOME, which serves on.

    Ends when all has been replaced, one by one. Until then, and if it fails, both serve.
    """
    from cli.operator.deploy import NotDeployed
    from cli.operator.deploy import deploy as run
    from store.kit.migrate import MigrationBlocked, UnknownMigration
    from store.kit.servers import UnusableServer

    try:
        typer.echo(run(get_settings()))
    except (MigrationBlocked, NotDeployed, UnknownMigration, UnusableServer) as error:
        raise _fail(error) from error


@app.command()
def node(
    join: Annotated[
        str | None, typer.Option(help="Address of the head; without it this is the head")
    ] = None,
    autoscaling_config: Annotated[
        Path | None, typer.Option(help="What `ray up` wrote for the head")
    ] = None,
) -> None:
    """Start this machine's part of a cluster. For `ray up cluster.yaml`, not for one machine."""
    from cli.supervisor.node import NodeNotStarted, start_node

    try:
        start_node(get_settings(), join=join, autoscaling_config=autoscaling_config)
    except NodeNotStarted as error:
        raise _fail(error) from error


@app.command("migrate")
def migrate_command(
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; tell whether models and migrations agree"),
    ] = False,
) -> None:
    """Bring the database to the schema of this build. `holdfast up` does so by itself."""
    if check:
        from cli.operator.checks import migration_differences

        if found := migration_differences():
            listed = "\n".join(f"  {difference}" for difference in found)
            raise _fail(f"migrations that are wrong, or differ from the models:\n{listed}")
        typer.echo("Models and migrations agree.")
        return
    from store.kit.migrate import MigrationBlocked, UnknownMigration
    from store.kit.servers import UnusableServer, prepare

    settings = get_settings()
    try:
        for told in prepare(settings.owner_database_url, settings):
            typer.echo(told)
    except (MigrationBlocked, UnknownMigration, UnusableServer) as error:
        raise _fail(error) from error
    typer.echo("The schema is current.")


@app.command()
def openapi(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; tell whether the file is current")
    ] = False,
) -> None:
    """Write the API's description to `deployments/openapi.json`."""
    from deployments import openapi as description
    from gateway.rules import BadRoute

    try:
        if not check:
            description.write()
            typer.echo(f"Wrote {description.COMMITTED.name}.")
        elif description.is_current():
            typer.echo(f"{description.COMMITTED.name} is current.")
        else:
            name = description.COMMITTED.name
            raise _fail(f"{name} is not what the code says: run `make openapi`")
    except BadRoute as error:
        raise _fail(error) from error


@app.command()
def pattern() -> None:
    """Tell what of a capability is of another shape than the one that all follow."""
    from deployments.capabilities import CAPABILITIES
    from deployments.pattern import broken

    if found := broken(CAPABILITIES):
        listed = "\n".join(f"  {line}" for line in found)
        raise _fail(
            f"not the pattern of docs/adding-a-capability.md:\n{listed}\nWhat is right all the same"
            " has its reason in the `exempt` of its capability.py, by the name before the dash."
        )
    typer.echo("Every capability follows the pattern.")


@app.command()
def events(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; tell whether the file is current")
    ] = False,
) -> None:
    """Write the schemas of all events to `deployments/events.json`; what is there is frozen."""
    from deployments import events as emitted

    try:
        if not check:
            emitted.write()
            typer.echo(f"Wrote {emitted.COMMITTED.name}.")
        elif emitted.is_current():
            typer.echo(f"{emitted.COMMITTED.name} is current.")
        else:
            raise _fail(f"{emitted.COMMITTED.name} is not what the code says: run `make openapi`")
    except emitted.Frozen as error:
        raise _fail(error) from error


@app.command()
def drift(
    repair: Annotated[
        bool, typer.Option("--repair", help="Have the owner of each level bring it back")
    ] = False,
    business: Annotated[
        UUID | None, typer.Option(help="Only this business (default: all of them)")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where Holdfast answers (default: this machine's copy)")
    ] = None,
) -> None:
    """Compare every stock level with its ledger and the open holds.

    Needs the database to run; with --repair the whole copy, which may be open for business.
    Ends with 1 if anything differs in the end.
    """
    import asyncio

    from cli.api.client import Unreachable
    from cli.operator.drift import look, look_and_repair
    from core.errors import Unavailable

    settings = get_settings()
    address = url or f"http://127.0.0.1:{settings.port}"
    work = look_and_repair(settings, business, address) if repair else look(settings, business)
    try:
        report = asyncio.run(work)
    except (Unavailable, Unreachable) as error:
        raise _fail(error) from error
    typer.echo("\n".join(report.lines))
    if report.left:
        raise typer.Exit(1)


@app.command()
def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Add up whole ledgers; takes minutes in a big database")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines")] = False,
) -> None:
    """Say what is wrong with this copy and what to do about it. Changes nothing, shows no secret.

    Ends with 0 if all is well, with 1 if something is wrong, with 2 if that cannot be told.
    """
    from cli.operator import doctor as doctors

    findings = doctors.doctor(get_settings(), deep=deep)
    typer.echo(doctors.as_json(findings) if as_json else "\n".join(doctors.as_lines(findings)))
    raise typer.Exit(doctors.exit_status(findings))


@app.command()
def outbox(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many events")] = 100,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only of this type, or beginning so: auth.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this id")] = None,
    again: Annotated[
        str | None, typer.Option("--retry", help="Have what this consumer gave up tried again")
    ] = None,
) -> None:
    """Show the events that wait to go out, the newest first, with the links of the mails that they
    ask for, and those that consumers gave up.

    For the operator alone: a link lets its holder set a password or join a business.
    """
    import asyncio

    from cli.operator.outbox import lines, retry
    from core.errors import HoldfastError

    async def show() -> None:
        if again is not None:
            typer.echo(f"{await retry(get_settings(), again)} events are tried again.")
            return
        async for line in lines(get_settings(), limit, kind, subject):
            typer.echo(line)

    try:
        asyncio.run(show())
    except HoldfastError as error:
        raise _fail(error.detail) from error


def _fail(error: Exception | str) -> typer.Exit:
    typer.echo(f"holdfast: {error}", err=True)
    return typer.Exit(1)


app.command()(demo)
app.add_typer(admin.app, name="admin")
app.add_typer(export_command.app, name="export")
app.add_typer(import_command.app, name="import")
app.add_typer(shards.app, name="shards")


def main() -> None:
    try:
        app()
    except ValidationError as error:
        if error.title != "Settings":
            raise
        for found in error.errors():
            name = str(found["loc"][0])
            variable = name if name.isupper() else f"HOLDFAST_{name.upper()}"
            typer.echo(
                f"holdfast: {variable}: {found['msg'].removeprefix('Value error, ')}", err=True
            )
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
