"""A tenant's share of a pool: while another session holds its rows, its requests wait with a
connection in hand, and other tenants' do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class Shares:
    """Of `size` connections one tenant has at most half at once; its other requests wait."""

    def __init__(self, size: int, timeout_seconds: float) -> None:
        self._half = max(size // 2, 1)
        self._timeout_seconds = timeout_seconds
        self._turns: dict[UUID, asyncio.Semaphore] = {}
        self._inside: dict[UUID, int] = {}

    @asynccontextmanager
    async def of(self, tenant_id: UUID | None) -> AsyncIterator[None]:
        """A place for as long as the block lasts. Raises TimeoutError when none was free in time.
        Work for no tenant in particular has no share."""
        if tenant_id is None:
            yield
            return
        turns = self._turns.get(tenant_id)
        if turns is None:
            turns = self._turns[tenant_id] = asyncio.Semaphore(self._half)
        self._inside[tenant_id] = self._inside.get(tenant_id, 0) + 1
        try:
            if turns.locked():
                async with asyncio.timeout(self._timeout_seconds):
                    await turns.acquire()
            else:
                await turns.acquire()
            try:
                yield
            finally:
                turns.release()
        finally:
            self._inside[tenant_id] -= 1
            if not self._inside[tenant_id]:
                del self._inside[tenant_id], self._turns[tenant_id]
