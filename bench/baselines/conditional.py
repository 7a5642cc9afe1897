"""Conditional UPDATE, then INSERT of the hold, in one transaction: the textbook, over asyncpg."""

from __future__ import annotations

from dataclasses import astuple

import asyncpg
from fastapi import FastAPI

from bench.baselines import conditional_sale
from bench.baselines.http import Hold, make_app
from bench.baselines.pool import INSERT_HOLD, open_pool
from bench.baselines.selling import Basket, Sold
from core.settings import Settings, get_settings

TAKE = (
    "UPDATE stock SET reserved = reserved + $3"
    " WHERE product_id = $1 AND tenant_id = $2 AND on_hand - reserved >= $3"
    " RETURNING on_hand - reserved"
)


class ConditionalUpdate:
    """See `bench.baselines.http.Shop` and `bench.baselines.selling.Till`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool

    async def start(self) -> None:
        self._pool = await open_pool(self._settings)

    async def stop(self) -> None:
        await self._pool.close()

    async def reserve(self, hold: Hold) -> int | None:
        async with self._pool.acquire() as connection, connection.transaction():
            available: int | None = await connection.fetchval(
                TAKE, hold.product_id, hold.tenant_id, hold.quantity
            )
            if available is not None:
                await connection.execute(INSERT_HOLD, *astuple(hold))
        return available

    async def sell(self, basket: Basket) -> Sold | None:
        return await conditional_sale.sell(self._pool, basket)


def app() -> FastAPI:
    settings = get_settings()
    shop = ConditionalUpdate(settings)
    return make_app(shop, settings, till=shop)
