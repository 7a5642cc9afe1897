"""Every connection to Postgres is made here, for pools, hosts, the keeper, migrations and tools;
and errors are judged by what they say about the connection that they came over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from store.kit.reached import check_reached

CONNECT_TIMEOUT_SECONDS = 5

# The prefix of functions that are called outside of a transaction, and commit by themselves.
COMMITTING = "pg_temp.commit_"
_COMMITS = ("commit", f"select {COMMITTING}")
_WARNING = "01000"

# The driver raises InternalClientError when the server has said that it ends the connection, and
# has not ended it yet.
OF_THE_CONNECTION = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
# Failures between this process and the server; all other exceptions are of our own code.
FAILURES = (asyncpg.PostgresError, *OF_THE_CONNECTION)

# Classes of SQLSTATE that blame the data, a constraint or a rival. After any other error the
# server may have become another one than it was: read-only, for example, after a switch-over.
_BLAMELESS = ("22", "23", "40")

# Classes of SQLSTATE that are about the server or the connection rather than the statement:
# connection, invalid transaction state (as on a standby), authorisation, roll-back, resources,
# prerequisites, operator's intervention, system.
_OF_THE_SERVER = ("08", "25", "28", "40", "53", "55", "57", "58")
_CANCELLED = "57014"  # as after its time was over


async def connect(
    url: str,
    *,
    application_name: str,
    timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    command_timeout_seconds: float | None = None,
    settings: Mapping[str, str | None] | None = None,
    commits: bool = True,
    schema: str | None = None,
    **options: Any,
) -> asyncpg.Connection:
    """A connection whose commits are as durable as the server can make them, whatever its
    configuration says. `settings` are the session's, by name (None: as the server has it);
    `options` go to the driver. With `commits` the caller commits, and calls `check_trusted` after
    each COMMIT. `schema` is the migration that the database must have reached.

    Of several servers in `url` it is the one that takes writes, unless `url` says otherwise. Raises
    one of FAILURES, which SchemaIsOlder is too.
    """
    if _names_several(url):
        options["target_session_attrs"] = "read-write"
    asked = {
        "application_name": application_name,
        "synchronous_commit": "on",
        "timezone": "UTC",
        **(settings or {}),
    }
    try:
        connection = await asyncpg.connect(
            url,
            timeout=timeout_seconds,
            command_timeout=command_timeout_seconds,
            server_settings={name: value for name, value in asked.items() if value is not None},
            **options,
        )
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionError("none of the servers takes writes") from error
    if schema is not None:
        try:
            await check_reached(connection, schema)
        except BaseException:
            connection.terminate()
            raise
    if commits:
        connection.add_log_listener(_end_if_not_replicated)
    return connection


def _end_if_not_replicated(connection: Any, message: asyncpg.PostgresLogMessage) -> None:
    """A COMMIT whose wait for a synchronous standby was cut off, as by `pg_cancel_backend`, is
    reported as done, with a warning. Ended here, the connection tells a caller that looks at it
    before it says yes: this is called before the COMMIT returns."""
    if message.sqlstate == _WARNING and (
        "synchronous replication" in message.message
        or str(message.query or "").lower().startswith(_COMMITS)
    ):
        connection.terminate()


def check_trusted(connection: asyncpg.Connection) -> None:
    """To be called after a COMMIT. Raises ConnectionError when the connection has ended
    meanwhile."""
    if connection.is_closed():
        raise ConnectionError("the commit may not have reached the standby")


def _names_several(url: str) -> bool:
    """Whether `url` lists several servers, and does not say which of them it means."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    hosts = ",".join([parts.netloc.rpartition("@")[2], *query.get("host", [])])
    return "," in hosts.strip(",") and "target_session_attrs" not in query


def sqlstate(error: BaseException | None) -> str:
    """The five characters by which Postgres names an error; empty if there are none."""
    return str(getattr(error, "sqlstate", None) or "")


def spares_the_connection(error: BaseException) -> bool:
    """Whether the connection that `error` came over may be used again."""
    return sqlstate(error)[:2] in _BLAMELESS


def is_of_the_statement(error: asyncpg.PostgresError) -> bool:
    """Whether the statement is to blame, also for having taken too long."""
    state = sqlstate(error)
    return state == _CANCELLED or (state[:2] not in _OF_THE_SERVER and bool(state))


def is_for_a_missing_day(error: BaseException | None) -> bool:
    """Whether the command log has no partition for this day, which the keeper is to make: the data
    is not to blame, whatever the SQLSTATE says."""
    reported = _reported(error)
    return (
        isinstance(reported, asyncpg.CheckViolationError)
        and reported.table_name == "command_log"
        and reported.constraint_name is None
    )


def is_for_an_outdated_plan(error: BaseException | None) -> bool:
    """Whether a migration has changed the result of a statement that this connection had prepared
    before. It is prepared anew when it comes again."""
    return isinstance(_reported(error), asyncpg.InvalidCachedStatementError)


def _reported(error: BaseException | None) -> BaseException | None:
    """The driver's error, which SQLAlchemy wraps in one of its own."""
    return error if isinstance(error, asyncpg.PostgresError) else getattr(error, "__cause__", None)


@contextmanager
def dropped_on_doubt(connection: asyncpg.Connection) -> Iterator[None]:
    """Ends the connection when a failure puts it in doubt: it did not answer in time, or the server
    refuses what it should take. The next one is made anew, to the server that answers then."""
    try:
        yield
    except FAILURES as error:
        if not spares_the_connection(error):
            connection.terminate()
        raise


@contextmanager
def dropped_when_late(connection: asyncpg.Connection) -> Iterator[None]:
    """Ends a connection that did not answer in time: a roll-back, or the next command, would
    wait for the same silence once more."""
    try:
        yield
    except TimeoutError:
        connection.terminate()
        raise
