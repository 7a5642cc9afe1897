"""What a shard host reads and commits in Postgres: one connection commits batches, one renews the
lease, and others fetch beside them.

Every commit proves in its first statement that the host still owns, at the same epochs, the
shards that the batch touches; a host that lost one writes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from store.hosts import command_log, leases
from store.hosts.batches import FENCED, KNOWN, STALE, Procedure, Write
from store.hosts.command_log import LOG, Logged
from store.hosts.connections import (
    COMMIT_TIMEOUT_SECONDS,
    HostConnection,
    HostConnections,
    OutcomeUnknown,
    connect_host,
)
from store.hosts.leases import Incarnation, Lease, Shard
from store.kit.connect import dropped_when_late, is_for_a_missing_day, is_of_the_statement

# Of what is fetched for commands: a command that asks for more is refused, alone.
FETCH_TIMEOUT_SECONDS = 2
LOAD_CONNECTIONS, QUESTION_CONNECTIONS = 3, 2
# A transaction that the database itself ended, as after a deadlock, is tried again.
MAX_TRIES = 4
# How long a commit waits for rows that somebody else holds: longer than any transaction of ours
# that writes what hosts write, also on a busy machine.
LOCK_TIMEOUT_MS = 1_000
# What no rule can know: that something else is gone or there meanwhile, and that a text has
# characters which Postgres does not store. A figure that is wrong or too large is a rule's fault.
_OF_THE_CALLER = (
    asyncpg.ForeignKeyViolationError,
    asyncpg.RestrictViolationError,
    asyncpg.UniqueViolationError,
    asyncpg.ExclusionViolationError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
)
# Short, so that after one that got no answer there is time to try again within the lease.
RENEWAL_TIMEOUT_SECONDS = 2


class Fenced(Exception):
    """The host no longer owns what it would write: it must forget everything and leave."""


class AlreadyDecided(Exception):
    """These commands were decided before; nothing was written."""

    def __init__(self, command_ids: Iterable[UUID]) -> None:
        super().__init__()
        self.command_ids = frozenset(command_ids)


class Cause(Enum):
    """Why something is refused permanently. DATA: the database refuses what the caller sent.
    BROKEN: a rule of ours is at fault, because rows cannot be sent, or break a check that the rule
    must have made; or the statement itself fails, or takes too long. STALE: a row was not as the
    host remembers it. LOCKED: somebody else holds a row for longer than was waited for."""

    DATA = auto()
    BROKEN = auto()
    STALE = auto()
    LOCKED = auto()


class Rejected(Exception):
    """The transaction was rolled back, because of what was asked and not of the connection;
    nothing was written."""

    def __init__(self, reason: str, cause: Cause = Cause.DATA) -> None:
        super().__init__(reason)
        self.cause = cause


class Loader(Protocol):
    """How a family reads its own tables, over the host's connection, and what writes them."""

    async def load(
        self, connection: asyncpg.Connection, keys: Sequence[Any]
    ) -> Mapping[Any, Any]: ...

    async def due(
        self,
        connection: asyncpg.Connection,
        after_ms: Mapping[int, int],
        until_ms: int,
        at_most: int,
    ) -> Sequence[tuple[int, Any]]: ...

    @property
    def writes(self) -> Mapping[str, Write]:
        """By table, in the order in which they are written."""
        ...


class HostStore:
    """The connections of one incarnation. Every method raises OutcomeUnknown when the database
    cannot be reached or the connection is lost. Not safe for two commits at once: a host has one
    open transaction by design."""

    def __init__(self, url: str, host: Incarnation) -> None:
        self.host = host

        def new(*timeouts_seconds: int) -> HostConnection:
            return HostConnection(partial(connect_host, url, host, *timeouts_seconds))

        self._commits, self._errands = new(COMMIT_TIMEOUT_SECONDS), new(COMMIT_TIMEOUT_SECONDS)
        # Its own, so that a lease is renewed whatever else takes its time.
        self._renewals = new(RENEWAL_TIMEOUT_SECONDS)
        # So that shards come and go while somebody holds the tables of what falls due.
        self._timers = new(COMMIT_TIMEOUT_SECONDS, FETCH_TIMEOUT_SECONDS)
        self._made_on: asyncpg.Connection | None = None
        self._procedures: dict[tuple[Loader, ...], Procedure] = {}
        self._lock_timeout_ms = 0
        fetching = (COMMIT_TIMEOUT_SECONDS, FETCH_TIMEOUT_SECONDS)
        self._loads = HostConnections([new(*fetching) for _ in range(LOAD_CONNECTIONS)])
        self._questions = HostConnections([new(*fetching) for _ in range(QUESTION_CONNECTIONS)])

    @property
    def connections(self) -> list[HostConnection]:
        """All connections."""
        several = (*self._loads.all, *self._questions.all)
        return [self._commits, self._errands, self._renewals, self._timers, *several]

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
        self, epochs: Mapping[Shard, int], successor: UUID, last_decided_ms: Mapping[Shard, int]
    ) -> None:
        """See `leases.hand_over`."""
        async with self._errands.use() as connection:
            await leases.hand_over(connection, self.host.id, epochs, successor, last_decided_ms)

    async def due(
        self, loader: Loader, after_ms: Mapping[int, int], until_ms: int, at_most: int
    ) -> Sequence[tuple[int, Any]]:
        """What falls due next in the shards, later than a time for each and by `until_ms`: (shard,
        row). `at_most` of each shard and kind, and what is due at the same time as the last. Raises
        Rejected when the statement fails or takes too long."""
        async with self._fetch(self._timers) as connection:
            return await loader.due(connection, after_ms, until_ms, at_most)

    async def recover(self) -> None:
        """After an unknown outcome: new connections, and new epochs for the own shards. What the
        transaction in doubt did, if anything, is visible afterwards."""
        # What one connection fell victim to, the others may not have noticed yet.
        for connection in self.connections:
            if connection is not self._renewals:
                connection.drop()
        async with self._commits.use() as connection:
            await leases.raise_epochs(connection, self.host.id)

    async def load(self, loader: Loader, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """Rows of the aggregates that `keys` name, as they are now: perhaps in the middle of a
        commit. Raises Rejected when the statement fails or takes too long."""
        async with self._fetch(self._loads) as connection:
            return await loader.load(connection, keys)

    async def ask(self, loader: Loader, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """As `load`, on connections of their own: questions may take longer than look-ups."""
        async with self._fetch(self._questions) as connection:
            return await loader.load(connection, keys)

    async def known(self, command_ids: Sequence[UUID]) -> dict[UUID, Logged]:
        """See `command_log.read`."""
        async with self._fetch(self._loads) as connection:
            return await command_log.read(connection, command_ids)

    @asynccontextmanager
    async def _fetch(
        self, of: HostConnections | HostConnection
    ) -> AsyncIterator[asyncpg.Connection]:
        async with of.use() as connection:
            try:
                yield connection
            except asyncpg.PostgresError as error:
                if is_of_the_statement(error):
                    raise Rejected(str(error), Cause.BROKEN) from error
                raise

    async def commit(
        self,
        epochs: Mapping[Shard, int],
        writes: Sequence[tuple[Loader, Any]],
        log: Sequence[Logged],
        unsure: Sequence[UUID] = (),
        lock_timeout_ms: int = LOCK_TIMEOUT_MS,
    ) -> None:
        """One transaction: prove the epochs, ask the command log for those commands that may have
        been decided before, write every family's rows and the command log.

        Raises Fenced, AlreadyDecided, Rejected or OutcomeUnknown; only after the last of them
        something may be written."""
        for last in (False,) * (MAX_TRIES - 1) + (True,):
            try:
                async with self._commits.use() as connection:
                    await self._wait_for_locks(connection, lock_timeout_ms)
                    await self._commit(connection, epochs, writes, log, unsure)
                return
            except OutcomeUnknown as error:
                # After a clean roll-back the outcome is known: it did not happen.
                if last or not isinstance(error.__cause__, asyncpg.TransactionRollbackError):
                    raise

    async def _commit(
        self,
        connection: asyncpg.Connection,
        epochs: Mapping[Shard, int],
        writes: Sequence[tuple[Loader, Any]],
        log: Sequence[Logged],
        unsure: Sequence[UUID],
    ) -> None:
        try:
            with dropped_when_late(connection):
                procedure = await self._procedure(connection, [loader for loader, _ in writes])
                await connection.execute(
                    procedure.call,
                    [shard.family for shard in epochs],
                    [shard.number for shard in epochs],
                    list(epochs.values()),
                    self.host.id,
                    *procedure.arguments(
                        [*(rows for _, rows in writes), {"command_log": log}], unsure
                    ),
                )
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            if is_for_a_missing_day(error):
                raise OutcomeUnknown from error
            raise Rejected(str(error), _whose_fault(error)) from error
        except UnicodeEncodeError as error:
            raise Rejected(repr(error), Cause.DATA) from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == FENCED:
                raise Fenced from error
            if error.sqlstate == KNOWN:
                raise AlreadyDecided(map(UUID, error.detail.split(","))) from error
            if error.sqlstate == STALE:
                raise Rejected(str(error), Cause.STALE) from error
            if isinstance(error, asyncpg.LockNotAvailableError):
                raise Rejected(str(error), Cause.LOCKED) from error
            if is_of_the_statement(error) and not connection.is_closed():
                raise Rejected(str(error), Cause.BROKEN) from error
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Rows that cannot be sent, or of a table that nobody knows: a bug of ours.
            if connection.is_closed():
                raise OutcomeUnknown from error
            raise Rejected(repr(error), Cause.BROKEN) from error

    async def _wait_for_locks(self, connection: asyncpg.Connection, timeout_ms: int) -> None:
        """From now on so long at most. It changes seldom, so that it travels with no batch. A
        recovery, on a connection that has committed nothing yet, waits however long it takes."""
        if self._made_on is not connection:
            self._made_on, self._procedures, self._lock_timeout_ms = connection, {}, 0
        if timeout_ms != self._lock_timeout_ms:
            await connection.execute(f"SET lock_timeout = {timeout_ms:d}")
            self._lock_timeout_ms = timeout_ms

    async def _procedure(
        self, connection: asyncpg.Connection, loaders: Sequence[Loader]
    ) -> Procedure:
        """What writes the tables of these and the log, made if the connection has it not yet."""
        made = self._procedures.get(tuple(loaders))
        if made is None:
            parts = [*(loader.writes for loader in loaders), LOG]
            made = Procedure(len(self._procedures), parts)
            await connection.execute(made.definition)
            self._procedures[tuple(loaders)] = made
        return made

    async def close(self) -> None:
        for connection in self.connections:
            await connection.close()


def _whose_fault(error: asyncpg.PostgresError) -> Cause:
    """DATA, if data of classes 22 or 23 may be refused although every rule is right."""
    return Cause.DATA if isinstance(error, _OF_THE_CALLER) else Cause.BROKEN
