"""The replicas' way to Postgres: role `holdfast_app`, one scope per transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from core.errors import Unavailable
from store.lookups import LookupPool

# What the rooms above pass between the store's functions, without knowing what it is.
Transaction = AsyncConnection

POOL_SIZE = 8
STATEMENT_TIMEOUT_MS = 10_000

_GONE = ("08", "53", "57")  # classes of SQLSTATE: the server or the connection, not the statement

_OPEN: ContextVar[int] = ContextVar("open_transactions", default=0)

_SET_SCOPE = text(
    "SELECT set_config('holdfast.tenant_id', :tenant, true),"
    " set_config('holdfast.user_id', :user, true),"
    " set_config('holdfast.audience', :audience, true)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """On whose behalf a transaction runs. Row-level security shows it that tenant's rows, that
    user's own, or with `audience="public"` what anyone may read; by default nothing."""

    tenant_id: UUID | None = None
    user_id: UUID | None = None
    audience: Literal["", "public"] = ""

    @property
    def settings(self) -> dict[str, str]:
        """By name, as policies read them."""
        return {
            "holdfast.tenant_id": str(self.tenant_id or ""),
            "holdfast.user_id": str(self.user_id or ""),
            "holdfast.audience": self.audience,
        }


PUBLIC = Scope(audience="public")


def open_transactions() -> int:
    """How many the caller is inside of. Who waits for a host must be in none: hosts are slow when
    the database is, and then nobody would find a connection."""
    return _OPEN.get()


class Database:
    """A bounded pool of connections under row-level security."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        server_settings = {
            "application_name": "holdfast-app",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": "10000",
        }
        self._lookups = LookupPool(url, server_settings, STATEMENT_TIMEOUT_MS // 1000)
        self._engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=True,
            hide_parameters=True,  # an error's text ends up in logs, and these hold secrets
            connect_args={"timeout": 5, "server_settings": server_settings},
        )

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[AsyncConnection]:
        """One transaction in `scope`, committed when the block ends, rolled back if it raises.

        Raises Unavailable when the database cannot be reached or the connection is lost, also
        around COMMIT: the outcome is then unknown, and a repeat with the same key settles it.
        """
        opened = _OPEN.set(_OPEN.get() + 1)
        try:
            async with self._engine.begin() as connection:
                await connection.execute(
                    _SET_SCOPE,
                    {
                        "tenant": str(scope.tenant_id or ""),
                        "user": str(scope.user_id or ""),
                        "audience": scope.audience,
                    },
                )
                yield connection
        except (OSError, PoolTimeout, InterfaceError, TimeoutError) as error:
            raise Unavailable from error
        except DBAPIError as error:
            if error.connection_invalidated or sqlstate(error)[:2] in _GONE:
                raise Unavailable from error
            raise
        finally:
            _OPEN.reset(opened)

    @asynccontextmanager
    async def lookup(self, scope: Scope) -> AsyncIterator[asyncpg.Connection]:
        """A transaction in `scope` that only reads, in half of the round trips, for the few
        look-ups that most requests wait for. Raises Unavailable as `transaction` does."""
        try:
            async with self._lookups.transaction(scope.settings) as connection:
                yield connection
        except (OSError, asyncpg.InterfaceError, TimeoutError) as error:
            raise Unavailable from error
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] in _GONE:
                raise Unavailable from error
            raise

    async def now_ms(self) -> int:
        """The database's clock, in ms since the epoch. Raises Unavailable."""
        async with self.transaction(Scope()) as connection:
            answer = await connection.scalar(
                text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            )
        return int(answer)

    async def close(self) -> None:
        await self._engine.dispose()
        await self._lookups.close()


def sqlstate(error: DBAPIError) -> str:
    """The five characters by which Postgres names an error; empty if there are none."""
    return str(getattr(error.orig, "sqlstate", None) or "")
