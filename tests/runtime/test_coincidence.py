"""Faults do not wait for each other: a host dies while a commit's outcome is unknown, while a
shard moves and nobody keeps. What was acknowledged is there, once, and the histories of a shop
are those of a single owner."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf

from actors.runtime.ports import HostLost
from store.hosts.connections import OutcomeUnknown
from tests.promises import Tally
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.conftest import LONG
from tests.runtime.faults import Faults
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.linear import TooHard, is_linearizable
from tests.runtime.linear_shop import WholeShop
from tests.runtime.proxy import Cut, PostgresProxy, proxied
from tests.runtime.shop_recorder import ShopRecorder
from tests.runtime.till_trade import audit as audit_books
from tests.runtime.traffic import Traffic

ROUNDS = 20 if LONG else 2
SHOPS = 4
HOSTS = 3
SETTLED_SECONDS = 60.0

Trouble = Callable[[Cluster, PostgresProxy, random.Random], Awaitable[None]]


def _some(cluster: Cluster, rng: random.Random) -> str:
    alive = [name for name, node in cluster.nodes.items() if node.alive]
    return rng.choice(alive or list(cluster.nodes))


async def kills_a_host(cluster: Cluster, proxy: PostgresProxy, rng: random.Random) -> None:
    cluster.kill(_some(cluster, rng))


async def leaves_commits_in_doubt(
    cluster: Cluster, proxy: PostgresProxy, rng: random.Random
) -> None:
    proxy.decide = lambda: rng.choice((Cut.NONE, Cut.BEFORE, Cut.AFTER, Cut.LATE))
    await asyncio.sleep(0.5)
    proxy.decide = lambda: Cut.NONE


async def moves_shards(cluster: Cluster, proxy: PostgresProxy, rng: random.Random) -> None:
    source, target = _some(cluster, rng), _some(cluster, rng)
    shards = list(cluster.nodes[source].host.epochs)
    heir = cluster.nodes[target].incarnation.id
    with suppress(OutcomeUnknown, HostLost, TimeoutError):
        await cluster.hosts.hand_over(source, shards, heir)


async def stops_a_host(cluster: Cluster, proxy: PostgresProxy, rng: random.Random) -> None:
    node = cluster.nodes[_some(cluster, rng)]
    node.freeze()
    await asyncio.sleep(rng.uniform(0.2, 1.5))
    node.thaw()


async def loses_connections(cluster: Cluster, proxy: PostgresProxy, rng: random.Random) -> None:
    proxy.cut()


async def keeps_nothing(cluster: Cluster, proxy: PostgresProxy, rng: random.Random) -> None:
    """The keeper is stopped for a while."""
    assert cluster.keeping is not None
    cluster.keeping.cancel()
    await asyncio.gather(cluster.keeping, return_exceptions=True)
    await asyncio.sleep(rng.uniform(0.5, 1.5))
    cluster.keeping = asyncio.create_task(cluster.keeper.run())


TROUBLES: tuple[Trouble, ...] = (
    kills_a_host,
    leaves_commits_in_doubt,
    moves_shards,
    stops_a_host,
    loses_connections,
    keeps_nothing,
)


async def _strike(
    cluster: Cluster, proxy: PostgresProxy, rng: random.Random, together: list[Trouble]
) -> float:
    """Has them happen at once; returns how many seconds later every shard was served again."""
    began = time.monotonic()

    async def soon(trouble: Trouble) -> None:
        await asyncio.sleep(rng.random() * 0.3)
        await trouble(cluster, proxy, rng)

    await asyncio.gather(*(soon(trouble) for trouble in together))
    await cluster.settled(SETTLED_SECONDS)
    return time.monotonic() - began


async def test_troubles_that_coincide(urls: Urls, rng: random.Random, tally: Tally) -> None:
    faults = Faults(rng, lose_request=0.01, lose_answer=0.02, repeat=0.05, max_delay_seconds=0.01)
    async with (
        proxied(urls.host) as proxy,
        running(urls, HOSTS, faults=faults, host_url=proxy.url(urls.host), memory=60) as cluster,
    ):
        shop = Shop(cluster)
        traffic = Traffic(shop, await shop.stock(1_000, 3), rng)
        trading = asyncio.create_task(traffic.run(6, inf))
        recorders = [ShopRecorder(Shop(cluster), rng) for _ in range(SHOPS)]
        await asyncio.gather(*(recorder.open() for recorder in recorders))
        clients = [
            asyncio.create_task(recorder.client(inf)) for recorder in recorders for _ in range(2)
        ]
        for number in range(ROUNDS):
            # The first round is the worst one known: all that a commit in doubt may meet.
            worst = [kills_a_host, leaves_commits_in_doubt, moves_shards, keeps_nothing]
            together = rng.sample(TROUBLES, 3) if number else worst
            seconds = await _strike(cluster, proxy, rng, together)
            print(f"{', '.join(trouble.__name__ for trouble in together)}: {seconds:.1f} s")
        traffic.end()
        for recorder in recorders:
            recorder.ending = True
        await asyncio.gather(*clients, trading)
        await cluster.settled()
        found = await audit(urls, shop.log)
    print(found)
    assert found.clean, found
    assert not await audit_books(urls)
    assert not any(recorder.denied for recorder in recorders)
    explained = 0
    for recorder in recorders:
        with suppress(TooHard):
            assert is_linearizable(recorder.history, WholeShop())
            explained += 1
    tally(rounds=ROUNDS, commands=found.asked, histories=explained, audits=1)
