"""Who holds the tables of what falls due keeps shards from nobody: expiries alone wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest

from actors.runtime import ownership
from actors.stock import model as m
from core.ids import uuid7
from store.hosts.aggregates import AggregateLoader
from store.hosts.connections import OutcomeUnknown
from store.hosts.leases import LEASE_SECONDS
from tests.runtime.clients import Shop
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.node import SteerableClock
from tests.runtime.test_holds import EXPIRED_MS, TTL_MS, _until_free
from tests.waiting import until

# Of a take-over: the lease, the keeper's look, and what commands wait for timers.
_TAKE_OVER_SECONDS = LEASE_SECONDS + 10


@asynccontextmanager
async def _timers_locked(urls: Urls) -> AsyncIterator[None]:
    """As a migration does it, or somebody at a prompt."""
    somebody = await asyncpg.connect(urls.owner)
    try:
        async with somebody.transaction():
            await somebody.execute("LOCK TABLE reservations IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await somebody.close()


async def _held(cluster: Cluster) -> tuple[Shop, UUID]:
    """A product all of which somebody holds."""
    shop = Shop(cluster)
    (product,) = await shop.stock(1)
    assert isinstance(await shop.do(m.Reserve(uuid7(), (m.Line(product, 1),), TTL_MS)), m.Hold)
    return shop, product


async def _counted(shop: Shop) -> None:
    """A decision that needs nothing of what is locked."""
    assert await shop.stock(1)


async def test_shards_are_taken_over_while_their_timers_cannot_be_read(urls: Urls) -> None:
    clock = SteerableClock(calibrates=False)
    async with running(urls, 2, clock=clock) as cluster:
        shop, product = await _held(cluster)
        owner = cluster.owner_of_tenant(shop.tenant_id)
        cluster.hosts.names = [name for name in cluster.nodes if name != owner.name]
        async with _timers_locked(urls):
            owner.kill()
            async with asyncio.timeout(_TAKE_OVER_SECONDS):
                await _counted(shop)
            clock.ahead_ms += EXPIRED_MS + 1
        await _until_free(urls, product)


async def test_a_host_starts_over_while_its_timers_cannot_be_read(urls: Urls) -> None:
    clock = SteerableClock(calibrates=False)
    async with running(urls, 1, clock=clock) as cluster:
        shop, product = await _held(cluster)
        node = cluster.nodes["h0"]
        async with _timers_locked(urls):
            with patch.object(node.store, "commit", side_effect=OutcomeUnknown):
                told = asyncio.create_task(shop.stock(1))
                await until(lambda: not node.host.epochs)
            async with asyncio.timeout(_TAKE_OVER_SECONDS):
                await told
        clock.ahead_ms += EXPIRED_MS + 1
        await _until_free(urls, product)


async def test_what_fell_due_while_nobody_was_there_comes_first(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands wait for the timers of a shard that was taken up, however early they come."""
    due = AggregateLoader.due

    async def slow(self: AggregateLoader, *arguments: Any) -> Any:
        await asyncio.sleep(0.5)
        return await due(self, *arguments)

    clock = SteerableClock(calibrates=False)
    async with running(urls, 1, clock=clock) as cluster:
        shop, product = await _held(cluster)
        monkeypatch.setattr(ownership, "TIMERS_WAIT_SECONDS", 20.0)
        monkeypatch.setattr(AggregateLoader, "due", slow)
        cluster.kill("h0")
        clock.ahead_ms += EXPIRED_MS + 1
        assert isinstance(await shop.insist(shop.reserve(product)), m.Hold)
