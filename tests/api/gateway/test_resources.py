"""What a replica needs to know for itself does not wait behind its requests."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import cast

from actors.runtime.ports import Transport
from core.settings import Settings
from deployments.kit.resources import make_resources
from store.kit.engine import POOL_SIZE, Scope


async def test_the_directory_is_read_while_every_request_waits_for_the_database(
    embedded: Settings,
) -> None:
    shared = make_resources(embedded, cast(Transport, None), "test", (), ())
    try:
        async with AsyncExitStack() as requests:
            for _ in range(POOL_SIZE):
                await requests.enter_async_context(shared.db.transaction(Scope()))
            async with asyncio.timeout(4):  # less than a request waits for its turn
                assert await shared.bus._directory.shards()
                await shared.checks["postgres"]()
    finally:
        await shared.redis.close()
        await shared.db.close()
        await shared.watch.close()
        shared.edge.passwords.close()
