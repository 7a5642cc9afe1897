"""Several connections for one purpose: nobody waits for one while another is free."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from store.hosts.connections import HostConnection, HostConnections


async def _connected() -> Any:
    return SimpleNamespace(is_closed=lambda: False)


async def test_who_waits_has_the_first_that_is_free() -> None:
    connections = HostConnections([HostConnection(_connected), HostConnection(_connected)])
    slow, quick, served = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def use(until: asyncio.Event) -> None:
        async with connections.use():
            await until.wait()

    async def come() -> None:
        async with connections.use():
            served.set()

    users = [asyncio.create_task(use(work)) for work in (slow, quick)]
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(come()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not served.is_set()
    quick.set()
    await asyncio.wait_for(asyncio.gather(users[1], *waiting), 5)
    assert not users[0].done(), "the slow one kept nobody waiting"
    slow.set()
    await users[0]
