"""Options of commands that call the API: where it is, and as whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from core.settings import get_settings

if TYPE_CHECKING:
    from cli.api.client import Client

Url = Annotated[
    str | None, typer.Option(help="Where Holdfast answers (default: this machine's copy)")
]
Email = Annotated[str | None, typer.Option(help="Sign in as; asks for the password")]
Password = Annotated[
    str | None, typer.Option(envvar="HOLDFAST_PASSWORD", help="Better left to the environment")
]
Token = Annotated[
    str | None, typer.Option(envvar="HOLDFAST_TOKEN", help="Access token or key, instead")
]
Patience = Annotated[
    float, typer.Option(help="Seconds to wait for a server that does not answer", min=1)
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by e-mail and password or else by token, and for how long to be patient."""

    url: str
    token: str | None
    email: str | None
    password: str | None
    patience_seconds: float

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A client that is signed in. Raises ApiError or Unreachable."""
        from cli.api.client import Client

        async with Client(
            self.url, token=self.token, patience_seconds=self.patience_seconds
        ) as client:
            if self.email:
                await client.login(self.email, self.password or "")
            yield client


def caller(
    url: str | None, email: str | None, password: str | None, token: str | None, patience: float
) -> Caller:
    """What the options come to; asks for a password that is missing. Raises BadParameter."""
    if not token and not email:
        raise typer.BadParameter("give --email or --token")
    if email and password is None:
        password = typer.prompt("Password", hide_input=True)
    url = url or f"http://127.0.0.1:{get_settings().port}"
    return Caller(url, token, email, password, patience)
