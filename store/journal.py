"""A shard host's way to Postgres: one connection that commits batches, one that renews the
lease, one for the rest.

Every commit proves in its first statement that the host still owns, at the same epochs, the
shards that the batch touches; a host that lost one writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from store import leases
from store.connect import CONNECT_TIMEOUT_SECONDS, FAILURES, connect, dropped_on_doubt
from store.leases import Incarnation, Lease, Shard

COMMIT_TIMEOUT_SECONDS = 10
# Short, so that after one that got no answer there is time to try again within the lease.
RENEWAL_TIMEOUT_SECONDS = 2


class Fenced(Exception):
    """The host no longer owns what it would write: it must forget everything and leave."""


class Rejected(Exception):
    """The database refused the data itself (SQLSTATE class 22 or 23); nothing was written."""


class OutcomeUnknown(Exception):
    """The connection was lost or the commit failed otherwise: it may or may not have happened."""


class Logged(NamedTuple):
    """One line of the command log. `reply` is opaque to the store."""

    command_id: UUID
    tenant_id: UUID
    fingerprint: bytes
    reply: bytes


class Loader(Protocol):
    """How a family reads and writes its own tables, over the host's connection."""

    async def load(
        self, connection: asyncpg.Connection, keys: Sequence[Any]
    ) -> Mapping[Any, Any]: ...

    async def write(self, connection: asyncpg.Connection, rows: Any) -> None: ...

    async def due(
        self, connection: asyncpg.Connection, shards: Sequence[int], until_ms: int
    ) -> Sequence[tuple[int, Any]]: ...


async def _connect(url: str, host: Incarnation, timeout_seconds: int) -> asyncpg.Connection:
    return await connect(
        url,
        application_name=leases.application_name(host.id),
        timeout_seconds=min(CONNECT_TIMEOUT_SECONDS, timeout_seconds),
        command_timeout_seconds=timeout_seconds,
        settings={
            # A host that is stopped in mid-transaction must not block its successor.
            "transaction_timeout": f"{COMMIT_TIMEOUT_SECONDS}s",
            "idle_in_transaction_session_timeout": "5s",
            "tcp_keepalives_idle": "2",
            "tcp_keepalives_interval": "1",
            "tcp_keepalives_count": "3",
        },
    )


class Line:
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
                with dropped_on_doubt(self.connection):
                    yield self.connection

    def drop(self) -> None:
        """Ends the connection at once."""
        if self.connection is not None:
            self.connection.terminate()
            self.connection = None

    async def close(self) -> None:
        """Ends the connection, with a goodbye if the server listens."""
        if self.connection is not None:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self.connection.close(timeout=1)


class HostStore:
    """The connections of one incarnation. Every method raises OutcomeUnknown when the database
    cannot be reached or the connection is lost. Not safe for two commits at once: a host has one
    open transaction by design."""

    def __init__(self, url: str, host: Incarnation) -> None:
        self.host = host

        def line(timeout_seconds: int) -> Line:
            return Line(partial(_connect, url, host, timeout_seconds))

        self._commits, self._errands = line(COMMIT_TIMEOUT_SECONDS), line(COMMIT_TIMEOUT_SECONDS)
        # Its own, so that a lease is renewed whatever else takes its time.
        self._renewals = line(RENEWAL_TIMEOUT_SECONDS)

    async def register(self) -> list[Incarnation]:
        """Takes a place among the hosts; returns earlier incarnations of this name here."""
        async with self._errands.use() as connection:
            await leases.register(connection, self.host)
            return await leases.predecessors(connection, self.host)

    async def expire(self, host_ids: Iterable[UUID]) -> None:
        async with self._errands.use() as connection:
            await leases.expire(connection, host_ids)

    async def renew(self, decided_at_ms: int) -> int | None:
        """See `leases.renew`."""
        async with self._renewals.use() as connection:
            return await leases.renew(connection, self.host.id, decided_at_ms)

    async def owned(self) -> dict[Shard, Lease]:
        """See `leases.owned`."""
        async with self._errands.use() as connection:
            return await leases.owned(connection, self.host.id)

    async def hand_over(
        self, epochs: Mapping[Shard, int], successor: UUID, floors_ms: Mapping[Shard, int]
    ) -> None:
        """See `leases.hand_over`."""
        async with self._errands.use() as connection:
            await leases.hand_over(connection, self.host.id, epochs, successor, floors_ms)

    async def due(
        self, loader: Loader, shards: Sequence[int], until_ms: int
    ) -> Sequence[tuple[int, Any]]:
        """What falls due in the shards by `until_ms`: (shard, row)."""
        async with self._errands.use() as connection:
            return await loader.due(connection, shards, until_ms)

    async def recover(self) -> None:
        """After an unknown outcome: new connections, and new epochs for the own shards. What the
        transaction in doubt did, if anything, is visible afterwards."""
        # What one connection fell victim to, the other may not have noticed yet.
        self._commits.drop()
        self._errands.drop()
        async with self._commits.use() as connection:
            await leases.raise_epochs(connection, self.host.id)

    async def load(self, loader: Loader, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """Rows of the aggregates that `keys` name."""
        async with self._commits.use() as connection:
            return await loader.load(connection, keys)

    async def known(self, command_ids: Sequence[UUID]) -> dict[UUID, Logged]:
        """Lines of the command log, in one indexed query."""
        async with self._commits.use() as connection:
            rows = await connection.fetch(
                "SELECT id, tenant_id, fingerprint, reply FROM command_log"
                " WHERE id = ANY($1::uuid[])"
                " AND created_on >= (now() AT TIME ZONE 'UTC')::date - 7",
                command_ids,
            )
        return {row[0]: Logged(*row) for row in rows}

    async def commit(
        self,
        epochs: Mapping[Shard, int],
        writes: Sequence[tuple[Loader, Any]],
        log: Sequence[Logged],
    ) -> None:
        """One transaction: prove the epochs, write every family's rows and the command log.

        Raises Fenced, Rejected or OutcomeUnknown; after Fenced and Rejected nothing is written.
        """
        async with self._commits.use() as connection:
            try:
                async with connection.transaction(isolation="read_committed"):
                    with dropped_when_late(connection):
                        await self._prove(connection, epochs)
                        for loader, rows in writes:
                            await loader.write(connection, rows)
                        await _write_log(connection, log)
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                raise Rejected(str(error)) from error

    async def _prove(self, connection: asyncpg.Connection, epochs: Mapping[Shard, int]) -> None:
        # FOR KEY SHARE would not block the UPDATE that moves an epoch; FOR SHARE does.
        rows = await connection.fetch(
            "SELECT 1 FROM shard_leases l"
            " JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS p(family, shard, epoch)"
            " ON l.family = p.family AND l.shard = p.shard AND l.epoch = p.epoch"
            " WHERE l.host_id = $4 FOR SHARE OF l",
            [shard.family for shard in epochs],
            [shard.number for shard in epochs],
            list(epochs.values()),
            self.host.id,
        )
        if len(rows) != len(epochs):
            raise Fenced

    async def close(self) -> None:
        for line in (self._commits, self._renewals, self._errands):
            await line.close()


@contextmanager
def unknown_when_lost() -> Iterator[None]:
    """Turns every failure of connection or server into OutcomeUnknown."""
    try:
        yield
    except FAILURES as error:
        raise OutcomeUnknown from error


@contextmanager
def dropped_when_late(connection: asyncpg.Connection) -> Iterator[None]:
    """Ends a connection that did not answer in time: a roll-back, or the next command, would
    wait for the same silence once more."""
    try:
        yield
    except TimeoutError:
        connection.terminate()
        raise


async def _write_log(connection: asyncpg.Connection, log: Sequence[Logged]) -> None:
    if log:
        await connection.execute(
            "INSERT INTO command_log (id, tenant_id, fingerprint, reply)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[])",
            *(list(column) for column in zip(*log, strict=True)),
        )
