"""The database's clock is everybody's time, and may be wrong."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from actors.runtime.wire import shard_of
from actors.stock import model as m
from core import clock as clocks
from core.clock import SystemClock
from core.ids import uuid7
from tests.runtime.clients import Shop
from tests.runtime.kit import SHARDS, Cluster, Urls, running
from tests.runtime.node import SteerableClock

TTL_MS = 600_000


class HandClock(SystemClock):
    """Counts as far as it is told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self._offset_ms = 0

    def boot_seconds(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return int(self.seconds * 1_000) + self._offset_ms

    def hear(self, ahead_ms: int, trip_ms: int = 10) -> int:
        """The database is ahead of true time by so much. Returns by how much the clock is."""
        true_ms = int(self.seconds * 1_000)
        sent_ms = self.now_ms()
        self.seconds += trip_ms / 1_000
        self.calibrate(true_ms + trip_ms // 2 + ahead_ms, sent_ms, self.now_ms())
        return self.now_ms() - int(self.seconds * 1_000)


def test_a_step_is_believed_once_it_has_been_confirmed() -> None:
    clock = HandClock()
    assert abs(clock.hear(500_000) - 500_000) < 100, "nothing else is known yet"
    assert abs(clock.hear(501_500) - 501_500) < 100, "a drift is followed"
    heard = []
    for _ in range(int(clocks.CONFIRM_SECONDS)):
        heard.append(clock.hear(4_000_000))
        clock.seconds += 0.99
    assert max(heard) < 502_000
    assert abs(clock.hear(4_000_000) - 4_000_000) < 100


def test_a_step_that_is_undone_or_changes_is_not_believed() -> None:
    clock = HandClock()
    clock.hear(0)
    for step in range(300):
        ahead_ms = 0 if step % 40 == 39 else 3_600_000
        assert abs(clock.hear(ahead_ms)) < 100
        clock.seconds += 1
    for step in range(300):
        assert abs(clock.hear(10_000 * step + 10_000)) < 100, "each time another"
        clock.seconds += 1


def test_a_slow_answer_neither_confirms_nor_clears() -> None:
    clock = HandClock()
    clock.hear(0)
    for second in range(59):
        clock.hear(3_600_000, trip_ms=8_000 if second % 7 == 6 else 10)
        clock.seconds += 1
    assert abs(clock.hear(3_600_000) - 3_600_000) < 5_000


async def held(shop: Shop, product: UUID) -> m.Hold:
    reply = await shop.do(m.Reserve(uuid7(), (m.Line(product, 1),), TTL_MS))
    assert isinstance(reply, m.Hold)
    return reply


async def _says(store: Any, ahead_ms: int) -> None:
    """The database's clock, as a host hears of it, is off by so much from now on."""
    renew = type(store).renew

    async def off(decided_at_ms: int) -> int | None:
        now_ms = await renew(store, decided_at_ms)
        return None if now_ms is None else now_ms + ahead_ms

    store.renew = off
    await asyncio.sleep(2.5)  # two renewals


async def test_a_step_of_the_databases_clock_that_is_undone_expires_nothing(urls: Urls) -> None:
    clock = SteerableClock()
    async with running(urls, 1, clock=clock) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        store = cluster.nodes["h0"].store
        await held(shop, product)
        await _says(store, 3_600_000)
        assert (await shop.level(product)).reserved == 1, "no hold has expired"
        assert abs((await held(shop, product)).created_at_ms - clock.now_ms()) < 5_000
        await _says(store, 0)
        assert abs((await held(shop, product)).created_at_ms - clock.now_ms()) < 5_000


async def test_a_floor_stays_with_its_shard(urls: Urls) -> None:
    """An owner whose clock was an hour ahead has decided for one shard, and leaves its time with
    that. The host that takes it decides for its other shards by the clock."""
    async with running(urls, 1) as cluster:
        shops = [Shop(cluster) for _ in range(8)]
        ahead, usual = next((a, b) for a in shops for b in shops if _shard_of(a) != _shard_of(b))
        products = [(await shop.stock(10))[0] for shop in (ahead, usual)]
        owner = await asyncpg.connect(urls.owner)
        await owner.execute(
            "UPDATE shard_leases SET decided_at_ms = $1 WHERE shard = $2",
            cluster.clock.now_ms() + 3_600_000,
            _shard_of(ahead),
        )
        cluster.kill("h0")
        await cluster.settled()
        for _ in range(2):
            one, other = [
                await held(shop, product)
                for shop, product in zip((ahead, usual), products, strict=True)
            ]
            assert one.created_at_ms > cluster.clock.now_ms() + 3_000_000
            assert abs(other.created_at_ms - cluster.clock.now_ms()) < 10_000
            # Neither a death nor a move carries it on.
            await _hand_all_to_another_host(cluster)
        floors = await owner.fetch("SELECT shard, decided_at_ms FROM shard_leases")
        soon_ms = cluster.clock.now_ms() + 60_000
        assert [row[0] for row in floors if row[1] > soon_ms] == [_shard_of(ahead)]
        await owner.close()


def _shard_of(shop: Shop) -> int:
    return shard_of(shop.tenant_id, SHARDS)


async def _hand_all_to_another_host(cluster: Cluster) -> None:
    assert cluster.keeping is not None
    cluster.keeping.cancel()  # it would share alike
    (source,) = [node for node in cluster.nodes.values() if node.alive and node.host.epochs]
    target = cluster._make(f"{source.name}x")
    cluster.nodes[target.name] = target
    await target.started()
    await source.host.hand_over(list(source.host.epochs), target.incarnation.id)
    await target.host.sync()
