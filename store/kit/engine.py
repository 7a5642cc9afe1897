"""The replicas' way to Postgres: role `holdfast_app`, one scope per transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast
from uuid import UUID

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.errors import Unavailable
from store.kit import connect
from store.kit.circuit import Circuit
from store.kit.lookups import LookupPool
from store.kit.reached import HEAD, SchemaIsOlder
from store.kit.shares import Shares

# The rooms above pass it between the store's functions, without knowing what it is.
Transaction = AsyncConnection

POOL_SIZE = 8
# Public reads have connections of their own, and less time: they keep no others waiting.
PUBLIC_POOL_SIZE = 6
PUBLIC_POOL_TIMEOUT_SECONDS = 2
STATEMENT_TIMEOUT_MS = 10_000
LOCK_TIMEOUT_MS = 4_000
_POOL_TIMEOUT_SECONDS = 5
PUBLIC_STATEMENT_TIMEOUT_MS = 3_000

# The server ends a statement before we do, also one that was given more time: a statement without
# an answer for so long was lost on the way. The server never gives up a COMMIT.
_COMMAND_TIMEOUT_SECONDS = 30
_COMMIT_TIMEOUT_SECONDS = 10

# Classes of SQLSTATE that blame the server, the connection or a rival, and not the statement.
_PASSING = ("08", "40", "53", "55", "57", "58")
_READ_ONLY = "25006"

_OPEN: ContextVar[int] = ContextVar("open_transactions", default=0)

_SET_SCOPE = text(
    "SELECT set_config('holdfast.tenant_id', :tenant, true),"
    " set_config('holdfast.user_id', :user, true),"
    " set_config('holdfast.audience', :audience, true)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant or user on whose behalf a transaction runs. Row-level security shows it that
    tenant's rows, that user's own, or with `audience="public"` those that are public; by default
    none."""

    tenant_id: UUID | None = None
    user_id: UUID | None = None
    audience: Literal["", "public"] = ""

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the session that policies read, by name."""
        return {
            "holdfast.tenant_id": str(self.tenant_id or ""),
            "holdfast.user_id": str(self.user_id or ""),
            "holdfast.audience": self.audience,
        }


PUBLIC = Scope(audience="public")


def open_transactions() -> int:
    """How many transactions the caller is inside of. A caller that waits for a host must be in
    none: hosts are slow when the database is, and then nobody would find a connection."""
    return _OPEN.get()


class Database:
    """Bounded pools of connections under row-level security. A caller is answered in bounded time:
    while the server is silent, at once."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE, schema: str | None = HEAD) -> None:
        """`schema`: the migration that the database must have reached; None: whatever it is."""
        self._url = url
        self._schema = schema
        self._circuit = Circuit(self._probe)
        self._lookups = LookupPool(partial(self._connect, commits=False))
        self._engine = self._pool(pool_size, _POOL_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_MS)
        self._shares = Shares(pool_size, _POOL_TIMEOUT_SECONDS)
        self._public = self._pool(
            PUBLIC_POOL_SIZE, PUBLIC_POOL_TIMEOUT_SECONDS, PUBLIC_STATEMENT_TIMEOUT_MS
        )

    def _pool(self, size: int, timeout_seconds: int, statement_timeout_ms: int) -> AsyncEngine:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=partial(
                self._connect, statement_timeout_ms, connection_class=_Unceremonious
            ),
            pool_size=size,
            max_overflow=0,
            pool_timeout=timeout_seconds,
            hide_parameters=True,  # an error's text ends up in logs, and these hold secrets
        )
        event.listen(engine.sync_engine, "checkout", _replace_if_closed)
        return engine

    async def _connect(
        self, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS, **options: Any
    ) -> asyncpg.Connection:
        return await connect.connect(
            self._url,
            application_name="holdfast-app",
            command_timeout_seconds=_COMMAND_TIMEOUT_SECONDS,
            settings={
                "statement_timeout": str(statement_timeout_ms),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": "10000",
            },
            schema=self._schema,
            **options,
        )

    async def _probe(self) -> None:
        connection = await connect.connect(self._url, application_name="holdfast-probe")
        try:
            await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[AsyncConnection]:
        """One transaction in `scope`, committed when the block ends, rolled back if it raises.
        Transactions of the public audience have connections of their own.

        Raises Unavailable when the database cannot be reached, takes no writes or gave way to a
        rival, when its schema is older than this build or a migration has changed what a statement
        gives, when the tenant has too many open already, and when the connection is lost, also
        around COMMIT: the outcome is then unknown, and a repeat with the same key settles it.
        """
        engine = self._public if scope.audience == "public" else self._engine
        with _counted(), _unavailable_if(_passes_when_it_writes):
            async with (
                self._circuit.guarded(),
                self._shares.of(None if engine is self._public else scope.tenant_id),
                engine.connect() as connection,
            ):
                try:
                    transaction = await connection.begin()
                    await rescope(connection, scope)
                    yield connection
                    if transaction.is_active:  # and the block has not rolled it back
                        async with asyncio.timeout(_COMMIT_TIMEOUT_SECONDS):
                            await transaction.commit()
                        connect.check_trusted(await _driver(connection))
                except BaseException as error:
                    if _is_in_doubt(error):
                        await _drop(connection)
                    raise

    @asynccontextmanager
    async def lookup(self, scope: Scope) -> AsyncIterator[asyncpg.Connection]:
        """A transaction in `scope` that only reads, in half of the round trips, for the few
        look-ups that most requests wait for. Raises Unavailable as `transaction` does."""
        with _unavailable_if(_passes):
            async with (
                self._circuit.guarded(),
                self._lookups.transaction(scope.settings) as connection,
            ):
                yield connection

    async def look_up(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a statement that only reads, and that sets its scope by itself, in a
        quarter of the round trips. Raises Unavailable as `transaction` does."""
        with _unavailable_if(_passes):
            async with self._circuit.guarded():
                return await self._lookups.row(statement, *arguments)

    async def now_ms(self) -> int:
        """The database's clock, in ms since the epoch. Raises Unavailable."""
        async with self.transaction(Scope()) as connection:
            answer = await connection.scalar(
                text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            )
        return int(answer)

    async def lacks_migrations(self) -> str | None:
        """What to tell people where the schema is older than this build; None where it is not, and
        while the database cannot be reached."""
        try:
            async with self.transaction(Scope()):
                return None
        except Unavailable as error:
            return str(error.__cause__) if isinstance(error.__cause__, SchemaIsOlder) else None

    async def close(self) -> None:
        await self._circuit.close()
        await self._engine.dispose()
        await self._public.dispose()
        await self._lookups.close()


async def rescope(tx: AsyncConnection, scope: Scope) -> None:
    """From now on `tx` runs on another's behalf, until it ends. For what serves all tenants, one
    after another: code that serves a single one has the transaction begin in its scope."""
    await tx.execute(
        _SET_SCOPE,
        {
            "tenant": str(scope.tenant_id or ""),
            "user": str(scope.user_id or ""),
            "audience": scope.audience,
        },
    )


class _Unceremonious(asyncpg.Connection):  # type: ignore[misc]
    """Ends without a goodbye: SQLAlchemy would wait two seconds for a silent server to take it."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self.terminate()


@contextmanager
def _counted() -> Iterator[None]:
    opened = _OPEN.set(_OPEN.get() + 1)
    try:
        yield
    finally:
        _OPEN.reset(opened)


@contextmanager
def _unavailable_if(passes: Callable[[BaseException], bool]) -> Iterator[None]:
    """Turns errors of the server or of the way to it into Unavailable; of the errors that the
    server itself reports, those that `passes` accepts."""
    try:
        yield
    except (PoolTimeout, InterfaceError, *connect.OF_THE_CONNECTION) as error:
        raise Unavailable from error
    except asyncpg.PostgresError as error:
        if passes(error):
            raise Unavailable from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated or (error.orig and passes(error.orig)):
            raise Unavailable from error
        raise


def _passes(error: BaseException) -> bool:
    return connect.sqlstate(error)[:2] in _PASSING or connect.is_for_an_outdated_plan(error)


def _passes_when_it_writes(error: BaseException) -> bool:
    return (
        _passes(error)
        or connect.sqlstate(error) == _READ_ONLY
        or connect.is_for_a_missing_day(error)
    )


def _is_in_doubt(error: BaseException) -> bool:
    """Whether the connection of a transaction that ended with `error` must not be used again. An
    exception of our own code leaves it as it was; after a cancellation it may be in the middle of
    an answer."""
    if isinstance(error, DBAPIError):
        return error.orig is None or not connect.spares_the_connection(error.orig)
    return isinstance(error, connect.FAILURES) or not isinstance(error, Exception)


async def _drop(connection: AsyncConnection) -> None:
    """Ends the connection at once: a roll-back, or a goodbye, might wait for the silent server
    again."""
    if not connection.closed and not connection.invalidated:
        (await _driver(connection)).terminate()
        await connection.invalidate()


async def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    raw = await connection.get_raw_connection()
    return cast(asyncpg.Connection, raw.driver_connection)


def _replace_if_closed(connection: Any, record: object, proxy: object) -> None:
    """Has the pool make a new connection in place of one that has ended since its last use, such as
    at a restart of the server. The driver knows, so that no query is needed."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def sqlstate(error: DBAPIError) -> str:
    """The five characters by which Postgres names an error; empty if there are none."""
    return connect.sqlstate(error.orig)
