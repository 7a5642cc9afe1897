"""The connections of a shard host to Postgres, and what is raised when one is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg

from store.hosts.batches import PLANS
from store.hosts.leases import Incarnation, application_name
from store.kit.connect import (
    CONNECT_TIMEOUT_SECONDS,
    FAILURES,
    check_trusted,
    connect,
    dropped_on_doubt,
)
from store.kit.reached import HEAD

COMMIT_TIMEOUT_SECONDS = 10
_ENDS_TRANSACTIONS = 17


class OutcomeUnknown(Exception):
    """The connection was lost or the commit failed otherwise: it may or may not have happened."""


@contextmanager
def unknown_when_lost() -> Iterator[None]:
    """Turns every failure of connection or server into OutcomeUnknown."""
    try:
        yield
    except FAILURES as error:
        raise OutcomeUnknown from error


async def connect_host(
    url: str, host: Incarnation, timeout_seconds: int, statement_timeout_seconds: int = 0
) -> asyncpg.Connection:
    """A connection of one incarnation. `timeout_seconds` bounds the wait for each answer,
    `statement_timeout_seconds` is the server's own bound; 0: none."""
    connection = await connect(
        url,
        application_name=application_name(host.id),
        timeout_seconds=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds),
        command_timeout_seconds=timeout_seconds,
        settings={
            "statement_timeout": f"{statement_timeout_seconds}s",
            "idle_in_transaction_session_timeout": "5s",
            "tcp_keepalives_idle": "2",
            "tcp_keepalives_interval": "1",
            "tcp_keepalives_count": "3",
            # A commit is a statement without BEGIN.
            "default_transaction_isolation": "read committed",
            **PLANS,
        },
        schema=HEAD,
    )
    try:
        await _end_transactions(connection, statement_timeout_seconds)
    except FAILURES:
        connection.terminate()
        raise
    return connection


async def _end_transactions(connection: asyncpg.Connection, statement_timeout_seconds: int) -> None:
    """A host that is stopped in mid-transaction must not block its successor. Before PostgreSQL 17
    nothing bounds a transaction as a whole: there each of its statements ends, and the pause after
    each."""
    if connection.get_server_version().major >= _ENDS_TRANSACTIONS:
        bound = "transaction_timeout"
    elif 0 < statement_timeout_seconds <= COMMIT_TIMEOUT_SECONDS:
        return
    else:
        bound = "statement_timeout"
    await connection.execute(f"SET {bound} = '{COMMIT_TIMEOUT_SECONDS}s'")


class HostConnection:
    """One connection to the database: opened when it is needed, used by one task at a time, and
    given up after an error that puts it in doubt, such as an answer that does not come."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._turn = asyncio.Lock()
        self.connection: asyncpg.Connection | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection. Raises OutcomeUnknown when it cannot be had, or is lost."""
        async with self._turn:
            with unknown_when_lost():
                if self.connection is None or self.connection.is_closed():
                    self.connection = await self._connect()
                connection = self.connection  # as it is now: `drop` may come in between
                with dropped_on_doubt(connection):
                    yield connection
                    check_trusted(connection)

    def drop(self) -> None:
        """Ends the connection at once."""
        if self.connection is not None:
            self.connection.terminate()
            self.connection = None

    async def close(self) -> None:
        """Ends the connection, with a goodbye if the server listens."""
        if self.connection is not None:
            with suppress(*FAILURES):
                await self.connection.close(timeout=1)


class HostConnections:
    """Several for one purpose, used as one is: a task that waits gets the first that is free
    again."""

    def __init__(self, connections: Sequence[HostConnection]) -> None:
        self.all, self._free = connections, [*connections]
        self._turns = asyncio.Semaphore(len(connections))

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._turns:
            free = self._free.pop()
            try:
                async with free.use() as connection:
                    yield connection
            finally:
                self._free.append(free)
