"""What Holdfast needs of a Postgres, checked before it serves, and reported in words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import asyncpg

from core.database_url import without_secrets
from core.errors import Unavailable
from core.settings import Settings
from store.kit import migrate
from store.kit.budget import (
    CONNECTIONS_PER_REPLICA,
    app_limit,
    connections_needed,
    connections_of_hosts,
)
from store.kit.connect import FAILURES, connect
from store.kit.schema import APP_ROLE, HOST_ROLE

MIN_VERSION = 150_000
VERSIONS = "PostgreSQL 15 or later"
# From here on connections can be kept for some roles (`reserved_connections`).
_RESERVES = 160_000
# The time-out of a transaction in which nothing happens.
FORGOTTEN_SECONDS = 30
_PROBED_TIMEOUT_MS = 61_007
_LOCK = 0x486F6C65  # beside that of the migrations
_COMMAND_TIMEOUT_SECONDS = 5
_SETTINGS = (
    *("server_version_num", "server_version", "max_connections", "reserved_connections"),
    *("superuser_reserved_connections", "fsync", "full_page_writes", "synchronous_commit"),
    *("synchronous_standby_names", "transaction_read_only"),
)

_DIRECT = (
    "Holdfast pools connections by itself and keeps locks and settings for a session: let"
    " DATABASE_URL name the server itself, or a pooler's port in session mode that passes"
    " start-up parameters on"
)


class UnusableServer(RuntimeError):
    """With the server of DATABASE_URL Holdfast cannot keep its promises."""


class Server(NamedTuple):
    """What was found about a server. `keeps_settings`: settings that a connection asks for at its
    start hold; `keeps_sessions`: a connection keeps the backend that it began with."""

    settings: Mapping[str, str]
    keeps_settings: bool
    keeps_sessions: bool

    @property
    def version_number(self) -> int:
        return int(self.settings["server_version_num"])

    @property
    def connections(self) -> int:
        """How many connections there are for roles that are no superusers."""
        reserved = self.settings["superuser_reserved_connections"]
        return int(self.settings["max_connections"]) - int(reserved)


async def look(url: str) -> Server:
    """Looks at a server. Raises UnusableServer when a proxy in between refuses the settings at the
    start of a connection, and what `connect` raises."""
    probed = {"idle_in_transaction_session_timeout": str(_PROBED_TIMEOUT_MS)}
    first = second = None
    try:
        first = await _connect(url, probed)
        second = await _connect(url, {"synchronous_commit": None})
        rows = await second.fetch(
            "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", _SETTINGS
        )
        timeout_ms = await first.fetchval(
            "SELECT setting::int FROM pg_settings"
            " WHERE name = 'idle_in_transaction_session_timeout'"
        )
        return Server(dict(rows), timeout_ms == _PROBED_TIMEOUT_MS, await _stays(first, second))
    except asyncpg.PostgresError as error:
        if "startup parameter" in str(error):
            raise UnusableServer(
                f"A pooler stands before the database ({error}). {_DIRECT}."
            ) from error
        raise
    finally:
        for connection in (first, second):
            if connection is not None:
                connection.terminate()


async def look_or_fail(url: str) -> Server:
    """The same; raises Unavailable when the server cannot be reached."""
    try:
        return await look(url)
    except FAILURES as error:
        raise Unavailable(f"It does not answer: {str(error) or type(error).__name__}") from error


async def _connect(url: str, settings: Mapping[str, str | None]) -> asyncpg.Connection:
    return await connect(
        url,
        application_name="holdfast-check",
        command_timeout_seconds=_COMMAND_TIMEOUT_SECONDS,
        settings=settings,
    )


async def _stays(first: asyncpg.Connection, second: asyncpg.Connection) -> bool:
    """Whether the first connection still has its backend after the second one took a free one.
    Under a pooler in transaction mode it has not: the free backend was the first one's."""
    try:
        await first.execute("SET holdfast.session = 'first'")
        async with second.transaction():
            await second.execute("SELECT 1")
            told: str | None = await first.fetchval(
                "SELECT current_setting('holdfast.session', true)"
            )
        return told == "first"
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        return False  # its prepared statements were lost with the backend


def why_unusable(server: Server) -> str | None:
    """Why Holdfast cannot use a server, in words; None if it can."""
    if server.version_number < MIN_VERSION:
        return (
            f"The database is PostgreSQL {server.settings['server_version']}; Holdfast runs on"
            f" {VERSIONS}."
        )
    if not server.keeps_sessions:
        return f"A pooler in transaction or statement mode stands before the database. {_DIRECT}."
    if not server.keeps_settings:
        return f"A pooler stands before the database and drops our time limits. {_DIRECT}."
    return None


def what_serves(settings: Settings) -> str | None:
    """What to tell the operator, before anything is started, of a server of their own; None where
    ours will be. Blocks. Raises UnusableServer."""
    if settings.database_url is None:
        return None
    where = without_secrets(settings.database_url)
    try:
        server = asyncio.run(look(settings.owner_database_url))
    except FAILURES as error:
        return f"{where} does not answer yet: {str(error) or type(error).__name__}"
    if fault := why_unusable(server):
        raise UnusableServer(fault)
    return f"PostgreSQL {server.settings['server_version']} at {where}; {VERSIONS} serves."


def what_is_short(server: Server, settings: Settings) -> str | None:
    """What to tell the operator when the server takes fewer connections than may be wanted."""
    limit = app_limit(server.connections, settings)
    wanted = settings.replicas * CONNECTIONS_PER_REPLICA
    if wanted <= limit:
        return None
    return (
        f"The database takes {server.connections} connections. {settings.replicas} replicas may"
        f" want {wanted}, and {connections_of_hosts(settings)} are kept for {settings.hosts} hosts"
        f" and the keeper, so that replicas get {limit}. Set max_connections to"
        f" {connections_needed(settings)} or more, or HOLDFAST_REPLICAS to"
        f" {max(1, limit // CONNECTIONS_PER_REPLICA)}."
    )


def prepare(url: str, settings: Settings) -> list[str]:
    """Checks whether the server is usable, brings its schema up to date, and limits the replicas'
    connections, so that hosts always get theirs, and the time for which a forgotten transaction may
    hold its locks. Returns what the operator should know.

    Blocks, so call it outside any event loop. Raises UnusableServer, and what `migrate.upgrade`
    raises.
    """
    server = asyncio.run(look(url))
    if fault := why_unusable(server):
        raise UnusableServer(fault)
    limit = app_limit(server.connections, settings)
    if limit < settings.replicas:
        raise UnusableServer(str(what_is_short(server, settings)))
    migrate.upgrade(url)
    if fault := asyncio.run(_let_hosts_commit(url)):
        raise UnusableServer(fault)
    told = [what_is_short(server, settings), asyncio.run(_limit(url, limit))]
    return [fault for fault in told if fault]


async def _limit(url: str, limit: int) -> str | None:
    """Divides the connections. Returns in words what could not be done."""
    connection = await _connect(url, {})
    try:
        async with connection.transaction():  # one at a time: roles are no rows like others
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if connection.get_server_version().major * 10_000 >= _RESERVES:
                await _try(connection, f"GRANT pg_use_reserved_connections TO {HOST_ROLE}")
            await _end_forgotten(connection)
            is_so = "SELECT rolconnlimit = $2 FROM pg_roles WHERE rolname = $1"
            change = f"ALTER ROLE {APP_ROLE} CONNECTION LIMIT {limit}"
            if await connection.fetchval(is_so, APP_ROLE, limit) or await _try(connection, change):
                return None
            return (
                "The owner of the schema may not limit the replicas' connections. Have an"
                f" administrator run: {change};"
            )
    finally:
        await connection.close()


async def _let_hosts_commit(url: str) -> str | None:
    """Gives hosts the right to create temporary objects, which `store.hosts.batches` needs, where
    an administrator took it from PUBLIC. Returns in words why hosts lack it."""
    connection = await _connect(url, {})
    try:
        if (right := await hosts_lack(connection)) is not None:
            await _try(connection, right)
        if (right := await hosts_lack(connection)) is None:
            return None
        return (
            "Hosts commit by a function that each of their sessions makes for itself, and may not"
            f" make it. Have an administrator run: {right};"
        )
    finally:
        await connection.close()


async def hosts_lack(connection: asyncpg.Connection) -> str | None:
    """The statement that gives hosts the right to create what they commit with; None if they have
    it."""
    statement: str | None = await connection.fetchval(
        "SELECT format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), $1::text)"
        " WHERE NOT has_database_privilege($1::text, current_database(), 'TEMPORARY')",
        HOST_ROLE,
    )
    return statement


async def _end_forgotten(connection: asyncpg.Connection) -> None:
    """Has the server end a session that leaves a transaction open, as one by hand: commits may wait
    for what it holds. What an operator has set for the server or the database stays; `pg_dump` and
    our own connections set their own."""
    is_so = "SELECT reset_val::int > 0 FROM pg_settings WHERE name = $1"
    name = "idle_in_transaction_session_timeout"
    if not await connection.fetchval(is_so, name):
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        await _try(connection, f"ALTER DATABASE {database} SET {name} = '{FORGOTTEN_SECONDS}s'")


async def _try(connection: asyncpg.Connection, statement: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True
