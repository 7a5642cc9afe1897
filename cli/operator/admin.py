"""`holdfast admin`: what a platform's operator does to its accounts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from deployments.auth.schemas import NewAccount

app = typer.Typer(no_args_is_help=True, help="Administrators of the platform.")


@app.callback()
def _group() -> None:
    """Keeps `create` a command of its own, as others will be."""


@app.command("create")
def create(
    email: Annotated[str, typer.Option(help="What the administrator signs in with")],
    name: Annotated[str, typer.Option(help="What to call the administrator")] = "Administrator",
    password: Annotated[
        str | None,
        typer.Option(envvar="HOLDFAST_ADMIN_PASSWORD", help="Better left out; then it asks"),
    ] = None,
) -> None:
    """Create an administrator. Needs the database to run, and nothing else."""
    from pydantic import ValidationError

    from core.errors import HoldfastError
    from deployments.auth.schemas import NewAccount

    if password is None:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    try:
        user_id = asyncio.run(_create(NewAccount(name=name, email=email, password=password)))
    except ValidationError as error:
        for problem in error.errors():
            typer.echo(f"{problem['loc'][0]}: {problem['msg']}", err=True)
        raise typer.Exit(1) from error
    except HoldfastError as error:
        typer.echo(f"holdfast: {error.detail}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Created administrator {email} ({user_id}).")


async def _create(given: NewAccount) -> UUID:
    from core.clock import SystemClock
    from core.settings import get_settings
    from deployments.auth import service
    from gateway.edge import Edge
    from store.kit.engine import Database
    from store.kit.redis import Redis

    settings = get_settings()
    db, redis = Database(settings.app_database_url), Redis(settings.effective_redis_url)
    edge = Edge(settings, db, redis, SystemClock(), process="admin")
    try:
        user = await service.create_admin(
            db, edge, name=given.name, email=given.email, password=given.password
        )
        return user.id
    finally:
        edge.passwords.close()
        await redis.close()
        await db.close()
