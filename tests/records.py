"""The database of a copy as a test looks at it: as the owner of the schema, who sees everything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg


class Records:
    """One connection for all that a test asks, since to make one takes longer than to use it."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._one_at_a_time = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self._one_at_a_time:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
            return [dict(row) for row in await self._connection.fetch(query, *arguments)]

    def close(self) -> None:
        """Without a goodbye, which a stopped Postgres would not answer."""
        if self._connection is not None:
            self._connection.terminate()
