"""Postgres switched over, and connections outlived it: they lead to a server that takes no writes
any more, while new ones lead to one that does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg

from actors.stock import model as m
from store.hosts.connections import HostConnection
from store.hosts.leases import LEASE_SECONDS
from tests.runtime.clients import Shop
from tests.runtime.conftest import PATIENCE
from tests.runtime.kit import Cluster, Urls, running


def connections(cluster: Cluster) -> Iterator[HostConnection]:
    """Every connection of the hosts and of the keeper."""
    for store in [cluster.keeper_store, *(node.store for node in cluster.nodes.values())]:
        for value in vars(store).values():
            if isinstance(value, HostConnection):
                yield value


async def demote(cluster: Cluster) -> int:
    """Makes the open connections refuse writes, as those to a demoted server do; how many."""
    count = 0
    for held in connections(cluster):
        async with held.use() as connection:
            await connection.execute("SET default_transaction_read_only = on")
            count += 1
    return count


async def test_hosts_and_keeper_leave_a_server_that_was_demoted(urls: Urls) -> None:
    owner = await asyncpg.connect(urls.owner)
    async with running(urls, 2) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        nodes = dict(cluster.nodes)
        assert await demote(cluster) >= 7
        demoted_at = await owner.fetchval("SELECT clock_timestamp()")
        async with asyncio.timeout(LEASE_SECONDS * PATIENCE):
            assert isinstance(await shop.insist(shop.reserve(product)), m.Hold)
            while not await owner.fetchval(_EVERYBODY_WRITES, demoted_at):
                await asyncio.sleep(0.05)
        assert cluster.nodes == nodes, "nobody lost a lease"
    await owner.close()


# The keeper has beaten since, and both hosts have renewed.
_EVERYBODY_WRITES = f"""
SELECT (SELECT seen_at FROM keeper_beat) > $1 AND count(*) = 2 FROM shard_hosts
WHERE expires_at > $1::timestamptz + interval '{LEASE_SECONDS} seconds' AND lost_at IS NULL"""
