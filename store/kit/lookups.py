"""The queries that requests send most often, without the comforts of a transaction.

A transaction of `store.kit.engine` costs four round trips besides its statements, and each
statement passes through SQLAlchemy: for a look-up by id that is most of the time it takes. Here it
is two, and statements go to the driver as they are. Scope and row-level security are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from store.kit.connect import CONNECT_TIMEOUT_SECONDS

POOL_SIZE = 4


class LookupPool:
    """A bounded pool of read-only connections, opened when they are needed. Raises the driver's own
    errors."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        async def connected(*_: Any, loop: object, **options: Any) -> asyncpg.Connection:
            # The pool asks for connections of a class of its own.
            return await connect(**options)

        self._options: dict[str, Any] = {
            "min_size": 0,
            "max_size": POOL_SIZE,
            "connect": connected,
            "reset": _nothing,
        }
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, scope: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
        """A transaction that reads. `scope` holds settings by name, as plain text without
        quotes."""
        pool = await self._opened()
        async with pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            try:
                settings = "".join(f"SET LOCAL {name} = '{scope[name]}';" for name in scope)
                # One message, one round trip.
                await connection.execute(f"BEGIN READ ONLY; {settings}")
                yield connection
                await connection.execute("COMMIT")
            except BaseException:
                # An answer may still be under way on it; and a roll-back might wait for that.
                connection.terminate()
                raise

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of a statement that sets its scope by itself: the whole transaction is one
        round trip."""
        pool = await self._opened()
        async with pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            try:
                return await connection.fetchrow(statement, *arguments)
            except BaseException:
                connection.terminate()
                raise

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(**self._options)
        return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()


async def _nothing(connection: asyncpg.Connection) -> None:
    """The transaction's end has undone its settings: no round trip to reset them again."""
