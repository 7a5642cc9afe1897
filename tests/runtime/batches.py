"""Several commands in one batch, whatever the machine does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

from actors.runtime import calling
from actors.runtime.host import Host
from tests.runtime.clients import Request, Shop
from tests.runtime.kit import Cluster


async def in_one_batch(cluster: Cluster, shop: Shop, requests: Sequence[Request]) -> list[object]:
    """Sends them while the host is busy, so that they are decided together, in this order.
    Returns replies, and what was raised."""
    host = cluster.owner_of_tenant(shop.tenant_id).host
    # Few calls are in flight as a rule; here each request is to arrive on its own.
    with patch.object(calling, "CALLS_IN_FLIGHT", len(requests)):
        works = await _queued(host, shop, requests)
    return await asyncio.gather(*works, return_exceptions=True)


async def _queued(
    host: Host, shop: Shop, requests: Sequence[Request]
) -> list[asyncio.Task[object]]:
    works: list[asyncio.Task[object]] = []
    async with host._turn:
        for request in requests:
            works.append(asyncio.create_task(shop.send(request)))
            async with asyncio.timeout(5):
                while len(host._mailbox.ready) < len(works):
                    await asyncio.sleep(0.001)
    return works
