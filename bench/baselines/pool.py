"""A pool of connections without what asyncpg does by default each time one is given back."""

from __future__ import annotations

import asyncpg

from core.settings import Settings

# Per worker. More of them wait for the same row on a hot product, fewer leave commits unshared on
# many products; `bench/README.md` says what a sweep showed.
SIZE = 8

INSERT_HOLD = (
    "INSERT INTO holds (id, tenant_id, product_id, quantity, status, reference, created_by,"
    " created_at, expires_at) VALUES ($1, $2, $3, $4, 'open', $5, $6, $7, $8)"
)


async def open_pool(settings: Settings, size: int = SIZE) -> asyncpg.Pool:
    """Statements are prepared once per connection (asyncpg does that by itself)."""
    return await asyncpg.create_pool(
        settings.owner_database_url, min_size=size, max_size=size, reset=_nothing
    )


async def _nothing(connection: asyncpg.Connection) -> None:
    """Nothing here changes its session, so there is nothing to reset in another round trip."""
