"""Shards move between hosts under load; hosts come and go; memory is bounded."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from unittest.mock import AsyncMock
from uuid import UUID

import pytest

from actors.families import COMMERCE, decode_reply
from actors.runtime.ownership import Ownership
from actors.runtime.ports import HostLost
from actors.runtime.wire import Outcome, shard_of
from actors.stock import model as m
from core.errors import Unavailable
from core.ids import uuid7
from store.hosts.connections import OutcomeUnknown
from store.hosts.leases import Shard
from tests.runtime import sabotage
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.conftest import PATIENCE
from tests.runtime.kit import SHARDS, Cluster, Urls, running
from tests.runtime.node import Node
from tests.runtime.traffic import Traffic
from tests.waiting import until

MOVES = 6
TRIES = 3


def _shard(shop: Shop) -> Shard:
    return Shard(COMMERCE, shard_of(shop.tenant_id, SHARDS))


def _others(cluster: Cluster, node: Node) -> Node:
    for other in cluster.nodes.values():
        if other is not node:
            return other
    raise HostLost("the other one")


async def _move(cluster: Cluster, shard: Shard) -> None:
    nodes = cluster.nodes.values()
    # It may be under way already: hosts even out what each of them has.
    await until(lambda: any(shard in node.host.epochs for node in nodes))
    source = cluster.owner_of(shard)
    target = _others(cluster, source)
    await source.host.hand_over([shard], target.incarnation.id)
    await target.host.sync()
    await until(lambda: any(shard in node.host.epochs for node in nodes))


async def test_a_move_under_load_is_a_short_pause(urls: Urls, rng: random.Random) -> None:
    async with running(urls, 2) as cluster:
        shop = Shop(cluster)
        products = await shop.stock(1_000, 4)
        traffic = Traffic(shop, products, rng)
        gaps: list[float] = []

        async def watch() -> None:
            last = time.monotonic()
            while not traffic.ending:
                await shop.send(shop.reserve(products[0]))
                now = time.monotonic()
                gaps.append(now - last)
                last = now

        async def move() -> None:
            for _ in range(MOVES):
                await asyncio.sleep(0.5)
                await _move(cluster, _shard(shop))

        await asyncio.gather(traffic.run(8, MOVES * 0.5 + 0.5), watch(), move())
        usual = sorted(gaps)[len(gaps) // 2]
        print(f"{MOVES} moves: longest pause {max(gaps):.3f} s, usual {usual:.4f} s")
        assert max(gaps) < 1 * PATIENCE
        assert not any(request.errors for request in shop.log)
        found = await audit(urls, shop.log)
        print(found)
        assert found.clean, found


async def test_hosts_share_alike(urls: Urls) -> None:
    """A host that comes gets its share; one that dies leaves its own to the others."""
    async with running(urls, 1) as cluster:
        cluster.hosts.names = ["h0", "h1", "h2", "h3"]
        await _until_shares_are(cluster, [2, 2, 2, 2])
        await cluster.settled()
        cluster.hosts.names = ["h0", "h1"]
        for name in ("h2", "h3"):
            cluster.kill(name)
        # Nobody is sent to look whether they still run, so their leases must end.
        await _until_shares_are(cluster, [4, 4])


async def _until_shares_are(cluster: Cluster, shares: list[int]) -> None:
    async with asyncio.timeout(30):
        while True:
            live = [node for node in cluster.nodes.values() if node.alive]
            if sorted(len(node.host.epochs) for node in live) == shares:
                return
            await asyncio.sleep(0.05)


async def test_what_cannot_be_given_is_served_on_at_once(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was to have it is gone: nobody waits until the host looks around."""
    monkeypatch.setattr(Ownership, "look_around", AsyncMock())
    async with running(urls, 1) as cluster:
        shop, host = Shop(cluster), cluster.nodes["h0"].host
        (product,) = await shop.stock(1)
        before = host.epochs
        await host.hand_over([_shard(shop)], uuid7())
        await until(lambda: host.epochs == before)
        assert (await shop.level(product)).on_hand == 1


async def _doubtful_move(urls: Urls) -> tuple[list[m.AnyReply], list[str]]:
    """Again where the machine kept a host from renewing its lease: nobody replaces it here."""
    for _ in range(TRIES):
        with suppress(HostLost, Unavailable):
            return await _try_doubtful_move(urls)
    raise AssertionError("hosts do not stay")


async def _try_doubtful_move(urls: Urls) -> tuple[list[m.AnyReply], list[str]]:
    """The statement that gives a shard away is sent and the connection lost; it is executed
    later, when its host has long gone on. What the old owner then answers, and what is wrong
    in the database."""
    async with running(urls, 2) as cluster:
        cluster.keeping.cancel()  # it would move the shard back
        shop = Shop(cluster)
        (product,) = await shop.stock(1)
        shard = _shard(shop)
        old = cluster.owner_of(shard)
        new = _others(cluster, old)
        await shop.level(product)
        hand_over = old.store.hand_over
        sent: list[tuple[Mapping[Shard, int], UUID, Mapping[Shard, int]]] = []

        async def lost(
            epochs: Mapping[Shard, int], successor: UUID, last_decided_ms: Mapping[Shard, int]
        ) -> None:
            sent.append((epochs, successor, last_decided_ms))
            raise OutcomeUnknown

        old.store.hand_over = lost
        with pytest.raises(OutcomeUnknown):
            await old.host.hand_over([shard], new.incarnation.id)
        with suppress(OutcomeUnknown):  # it may be about to connect anew, as after any doubt
            await old.host.sync()
        assert (await shop.level(product)).on_hand == 1
        old.host._ownership.look_around = _never_again  # it would find out within a second
        await hand_over(*sent[0])
        await new.host.sync()
        await shop.cluster.bus._directory.refresh(float("inf"))
        await shop.do(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000))
        (answer,) = await old.host.submit([shop.envelope(m.GetLevels((product,)))])
        replies = [decode_reply(answer.reply)] if answer.outcome is Outcome.DONE else []
        return replies, list((await audit(urls, shop.log)).contradictions)


async def _never_again() -> None:
    return


def _stale(replies: Iterable[m.AnyReply]) -> list[m.AnyReply]:
    return [
        reply for reply in replies if not isinstance(reply, m.Levels) or reply.levels[0].available
    ]


async def test_a_move_in_doubt_makes_no_zombie(urls: Urls) -> None:
    replies, contradictions = await _doubtful_move(urls)
    assert not contradictions
    assert not _stale(replies)


async def test_a_move_in_doubt_is_caught_without_new_epochs(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.recovery_epochs_off(monkeypatch)
    for _ in range(TRIES):
        replies, _ = await _doubtful_move(urls)
        # Who was late with its lease answers nothing.
        if replies:
            break
    assert _stale(replies)


async def test_eviction_keeps_answers_right(urls: Urls, rng: random.Random) -> None:
    """Far more products than memory may hold, so that most are loaded again and again."""
    bound = 25
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        memory = cluster.nodes["h0"].host._memory
        memory._max, memory._size = bound, lambda key, state: 1
        memory.drop()
        memory.bytes = 0
        products = await shop.stock(50, 120)
        traffic = Traffic(shop, products, rng)
        sizes: list[int] = []

        async def watch() -> None:
            while not traffic.ending:
                async with cluster.nodes["h0"].host._turn:
                    sizes.append(len(memory))
                await asyncio.sleep(0.01)

        await asyncio.gather(traffic.run(16, 3), watch())
        found = await audit(urls, shop.log)
        print(f"{found}; at most {max(sizes)} in memory")
        assert found.clean, found
        # And what was loaded for the commands that wait: three aggregates of each client.
        assert max(sizes) <= bound + 16 * 3
        levels = {product: await shop.level(product) for product in products}
        memory.drop()
        assert levels == {product: await shop.level(product) for product in products}
