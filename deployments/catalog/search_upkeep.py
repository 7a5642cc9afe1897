"""Makes search rows of products anew where the database marked them as due and no writer did: of an
earlier build's products, and those of a category that was renamed."""

from __future__ import annotations

import asyncio
import time

from core.telemetry import get_logger
from deployments.kit.resources import Resources
from store.catalog import words
from store.catalog.items import lock_catalog
from store.kit.engine import Database, Scope

PAUSE_SECONDS = 5.0
# So few that requests of the same process hardly wait for the making of their words.
MAX_AT_ONCE = 50

log = get_logger("catalog.search")


async def round_of_upkeep(db: Database) -> int:
    """Makes some rows anew, each tenant's in a transaction of its own; how many were due."""
    async with db.transaction(Scope()) as tx:
        found = await words.due(tx, MAX_AT_ONCE)
    for tenant_id, product_ids in found.items():
        async with db.transaction(Scope(tenant_id)) as tx:
            await lock_catalog(tx, tenant_id)
            await words.refresh(tx, product_ids)
            await words.drop_strays(tx, product_ids)
    return sum(map(len, found.values()))


async def keep_words(shared: Resources) -> None:
    """The task of each replica that serves the catalogue. Two at once do the same rows twice, which
    does no harm; half of the time it leaves to others."""
    while True:
        begun = time.monotonic()
        done = 0
        try:
            done = await round_of_upkeep(shared.watch)
        except Exception as error:
            log.warning("search rows wait", reason=repr(error))
        taken = time.monotonic() - begun
        await asyncio.sleep(taken if done else PAUSE_SECONDS)
