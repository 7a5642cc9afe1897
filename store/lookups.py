"""What requests ask the database most often, without what makes a transaction comfortable.

A transaction of `store.engine` costs four round trips besides its statements, and each statement
passes through SQLAlchemy: for a look-up by id that is most of the time it takes. Here it is two,
and statements go to the driver as they stand. The scope is the same, and so is who may see what.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from store.connect import CONNECT_TIMEOUT_SECONDS

POOL_SIZE = 4


class LookupPool:
    """A bounded pool of connections that only read, opened when they are needed. Raises the
    driver's own errors, and TimeoutError when all are in use for too long.

    The driver's own pool costs a look-up as much as the driver itself: tasks and timers, for each
    to be had and to be given back.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._turns = asyncio.Semaphore(POOL_SIZE)
        self._free: list[asyncpg.Connection] = []
        self._used: set[asyncpg.Connection] = set()

    @asynccontextmanager
    async def transaction(self, scope: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
        """A transaction that reads. `scope` holds settings by name, as plain text without
        quotes."""
        async with self._one() as connection:
            settings = "".join(f"SET LOCAL {name} = '{scope[name]}';" for name in scope)
            # One message, one round trip.
            await connection.execute(f"BEGIN READ ONLY; {settings}")
            yield connection
            await connection.execute("COMMIT")

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """What a statement gives that sets its scope by itself: the whole transaction is one
        round trip."""
        async with self._one() as connection:
            return await connection.fetchrow(statement, *arguments)

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for one task; the end of a transaction undoes its settings."""
        await self._turn()
        try:
            connection = self._free.pop() if self._free else None
            if connection is None or connection.is_closed():
                connection = await self._connect()
            self._used.add(connection)
            try:
                yield connection
            except BaseException:
                # Nobody knows what it would still bring; and a roll-back might wait for it.
                connection.terminate()
                raise
            else:
                self._free.append(connection)
            finally:
                self._used.discard(connection)
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            await self._turns.acquire()

    async def close(self) -> None:
        for connection in (*self._free, *self._used):
            connection.terminate()
        self._free.clear()
