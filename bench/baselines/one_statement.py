"""The same conditional UPDATE and INSERT as one statement, which commits by itself.

One round trip instead of four: the row stays locked no longer than the statement and its flush
take. The best that one can do for a hot row in plain SQL.
"""

from __future__ import annotations

import asyncpg
from fastapi import FastAPI

from bench.baselines.http import Hold, make_app
from bench.baselines.pool import open_pool
from core.settings import Settings, get_settings

RESERVE = """
WITH taken AS (
  UPDATE stock SET reserved = reserved + $4
  WHERE product_id = $3 AND tenant_id = $2 AND on_hand - reserved >= $4
  RETURNING on_hand - reserved AS available
), held AS (
  INSERT INTO holds (id, tenant_id, product_id, quantity, status, reference, created_by,
    created_at, expires_at)
  SELECT $1, $2, $3, $4, 'open', $5, $6, $7, $8 FROM taken
)
SELECT available FROM taken"""


class OneStatement:
    """See `bench.baselines.http.Shop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool

    async def start(self) -> None:
        self._pool = await open_pool(self._settings)

    async def stop(self) -> None:
        await self._pool.close()

    async def reserve(self, hold: Hold) -> int | None:
        available: int | None = await self._pool.fetchval(
            RESERVE,
            hold.id,
            hold.tenant_id,
            hold.product_id,
            hold.quantity,
            hold.reference,
            hold.created_by,
            hold.created_at,
            hold.expires_at,
        )
        return available


def app() -> FastAPI:
    settings = get_settings()
    return make_app(OneStatement(settings), settings)
