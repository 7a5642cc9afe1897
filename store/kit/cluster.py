"""What the nodes of a cluster must say alike: digests of the head's settings, for others to compare
theirs with before they join."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import asyncpg
from sqlalchemy import Column, LargeBinary, String, Table, func

from core.settings import Settings
from store.kit.connect import FAILURES, connect
from store.kit.schema import metadata, moment, of_nobody

T = TypeVar("T")

_TIMEOUT_SECONDS = 10

cluster_settings = Table(
    "cluster_settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("digest", LargeBinary, nullable=False, comment="Of its value, with the signing key"),
    moment("said_at", server_default=func.now()),
    info=of_nobody(),
)


class DatabaseSilent(RuntimeError):
    """The database of a cluster cannot be asked; the message says why."""


def say(settings: Settings) -> None:
    """Writes down what the head says. Blocks. Raises DatabaseSilent."""

    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("DELETE FROM cluster_settings")
            await connection.executemany(
                "INSERT INTO cluster_settings (name, digest) VALUES ($1, $2)"
                " ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, said_at = now()",
                list(_digests(settings).items()),
            )

    asyncio.run(_asked(settings, work))


def differing(settings: Settings) -> list[str]:
    """Names of the settings that the head has otherwise, as the environment calls them. Blocks.
    Raises DatabaseSilent."""

    async def work(connection: asyncpg.Connection) -> list[str]:
        rows = await connection.fetch("SELECT name, digest FROM cluster_settings")
        ours = _digests(settings)
        return sorted(row["name"] for row in rows if ours.get(row["name"]) != row["digest"])

    found = asyncio.run(_asked(settings, work))
    key = Settings.variable("signing_key")
    # With another key all digests are others.
    return [key] if key in found else found


async def _asked(settings: Settings, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    try:
        connection = await connect(
            settings.owner_database_url,
            application_name="holdfast-node",
            command_timeout_seconds=_TIMEOUT_SECONDS,
        )
        try:
            return await work(connection)
        finally:
            connection.terminate()
    except FAILURES as error:
        raise DatabaseSilent(str(error) or type(error).__name__) from error


def _digests(settings: Settings) -> Mapping[str, bytes]:
    key = (settings.signing_key or "").encode()
    return {
        settings.variable(name): hmac.digest(key, f"{name}={value}".encode(), "sha256")
        for name, value in settings.of_all_nodes().items()
    }
