"""Promise 6 and its kin: the database is slow, silent, or gone for a while; that is a pause."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from actors.stock import model as m
from core.errors import Unavailable
from core.ids import uuid7
from store.hosts.aggregates import AggregateLoader
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import HostStore
from store.hosts.leases import LEASE_SECONDS, Incarnation
from tests.promises import Tally
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.conftest import CHAOS, LONG, PATIENCE, copied
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.own_server import OwnServer
from tests.runtime.proxy import proxied
from tests.runtime.traffic import Traffic

RESTARTS = 20 if LONG else 1
# Of the rate before, within 10 s.
RATE_SHARE = 0.95 if CHAOS else 0.5
WINDOW_SECONDS = 1.0
STALL_SECONDS = LEASE_SECONDS + 2


# --- Postgres restarts -----------------------------------------------------------------------


@dataclass(frozen=True)
class Race:
    """The shop whose Postgres restarts, and one on another Postgres that has the same load, in this
    same process. The machine gives now more, now less: to both alike."""

    struck: Shop
    steady: Shop

    def share_since(self, moment: float) -> float:
        """Answers of the one for each of the other's."""
        return self.struck.answers_since(moment) / max(1, self.steady.answers_since(moment))

    async def is_back(self, share: float, since: float) -> float:
        """Returns how many seconds after `since` the first window ended with such a share."""
        async with asyncio.timeout(30 * PATIENCE):
            while True:
                await asyncio.sleep(0.1)
                began = time.monotonic() - WINDOW_SECONDS
                if began >= since and self.share_since(began) >= share:
                    return time.monotonic() - since


@asynccontextmanager
async def _sold(urls: Urls, rng: random.Random) -> AsyncIterator[tuple[Shop, UUID]]:
    """A shop that sells while the block runs, and one of its goods; nothing of it is lost."""
    async with running(urls, 2) as cluster:
        shop = Shop(cluster)
        products = await shop.stock(10_000, 4)
        traffic = Traffic(shop, products, rng)
        load = asyncio.create_task(traffic.run(12, inf))
        yield shop, products[0]
        traffic.end()
        await load
        await cluster.settled()
        found = await audit(urls, shop.log)
        print(found)
        assert found.clean, found


@pytest.mark.parametrize("brutally", [False, True])
async def test_a_restart_of_postgres_is_a_pause(
    own_server: OwnServer, urls: Urls, rng: random.Random, brutally: bool, tally: Tally
) -> None:
    async with (
        copied(own_server.settings, "runtime_template") as struck_urls,
        _sold(struck_urls, rng) as (shop, product),
        _sold(urls, rng) as (steady, _),
    ):
        race = Race(shop, steady)
        for _ in range(RESTARTS):
            await asyncio.sleep(3)
            before = race.share_since(time.monotonic() - 2)
            asking = asyncio.create_task(told_in_time(shop, product))
            await own_server.restart(brutally=brutally, down_seconds=1)
            ready = time.monotonic()
            while not shop.answers_since(ready):
                await asyncio.sleep(0.01)
            recovered = time.monotonic() - ready
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            caught_up = await race.is_back(before * RATE_SHARE, ready)
            print(
                f"{'killed' if brutally else 'stopped'}: served {recovered:.2f} s after it was"
                f" ready, {RATE_SHARE:.0%} of {before:.2f} of its neighbour's rate after"
                f" {caught_up:.2f} s"
            )
            assert caught_up < 10 * PATIENCE
        tally(restarts=RESTARTS, commands=len(shop.log), audits=2)


async def told_in_time(shop: Shop, product: UUID) -> None:
    """A caller that asks while it is away hears so, by the one error that means it."""
    while True:
        began = time.monotonic()
        try:
            await shop.send(shop.reserve(product), deadline_ms=500)
        except Unavailable as error:
            assert error.retry_after_seconds
        assert time.monotonic() - began < 5 * PATIENCE
        await asyncio.sleep(0.05)


# --- a database that takes its time ------------------------------------------------------------


# No batch is written sooner, but leases can be renewed.
_SLOW = f"""
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_sleep({STALL_SECONDS});
  RETURN NULL;
END $$;
CREATE TRIGGER slow BEFORE INSERT ON reservations EXECUTE FUNCTION take_time()"""


async def test_a_lease_is_renewed_while_a_batch_takes_its_time(urls: Urls) -> None:
    async with running(urls, 2) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        nodes = dict(cluster.nodes)
        owner = await asyncpg.connect(urls.owner)
        await owner.execute(_SLOW)
        await owner.close()
        began = time.monotonic()
        assert isinstance(await shop.send(shop.reserve(product)), m.Hold)
        assert time.monotonic() - began >= STALL_SECONDS
        assert cluster.nodes == nodes, "nobody lost a lease"


async def test_a_lease_is_renewed_while_timers_are_read(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = AggregateLoader.due

    async def slow(self: AggregateLoader, connection: Any, *arguments: Any) -> Any:
        await connection.execute("SELECT pg_sleep($1)", STALL_SECONDS)
        return await due(self, connection, *arguments)

    async with running(urls, 2) as cluster:
        nodes = dict(cluster.nodes)
        monkeypatch.setattr(AggregateLoader, "due", slow)
        agenda = cluster.nodes["h0"].host._agenda
        agenda.extend(list(agenda._horizons_ms), 0)
        await asyncio.sleep(STALL_SECONDS + 1)
        assert cluster.nodes == nodes, "nobody lost a lease"


async def test_a_silent_connection_is_given_up(urls: Urls) -> None:
    """The network swallows what is on the open connections; new ones can be made. The host goes
    on with those, and keeps or gives up its lease; either way its shop is served again."""
    async with (
        proxied(urls.host) as proxy,
        running(urls, 1, host_url=proxy.url(urls.host)) as cluster,
    ):
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        began = time.monotonic()
        assert proxy.silence() >= 3
        assert isinstance(await shop.insist(shop.reserve(product)), m.Hold)
        print(f"served {time.monotonic() - began:.1f} s after the network fell silent")
        assert time.monotonic() - began < 25 * PATIENCE
        assert (await audit(urls, shop.log)).clean


# --- failures at bad moments -------------------------------------------------------------------


async def test_a_start_that_fails_half_way_is_tried_again(urls: Urls) -> None:
    """The host is registered, and then the database is lost: the second try must not stumble
    over the first."""
    cluster = Cluster(urls, 1)
    node = cluster.nodes["h0"] = cluster._make("h0")
    expire, losses = node.store.expire, iter(range(1))

    async def losing(hosts: Any) -> None:
        if next(losses, None) is not None:
            raise OutcomeUnknown
        await expire(hosts)

    node.store.expire = losing  # type: ignore[method-assign]
    try:
        await asyncio.wait_for(node.started(), 5)
    finally:
        await cluster.stop()


async def test_a_bug_in_a_recovery_does_not_end_the_host(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        store = cluster.nodes["h0"].store
        commit, recover, bugs = store.commit, store.recover, iter(range(2))

        async def unknown(*arguments: Any) -> None:
            monkeypatch.setattr(store, "commit", commit)
            raise OutcomeUnknown

        async def buggy() -> None:
            if next(bugs, None) is not None:
                raise ValueError("a bug")
            await recover()

        monkeypatch.setattr(store, "commit", unknown)
        monkeypatch.setattr(store, "recover", buggy)
        assert isinstance(await shop.send(shop.reserve(product), deadline_ms=8_000), m.Hold)


async def test_a_keeper_that_was_stopped_lets_hosts_renew_first(urls: Urls) -> None:
    """A laptop is closed and opened: every lease has run out, and nobody is to blame."""
    async with running(urls, 2) as cluster:
        nodes = dict(cluster.nodes)
        for node in nodes.values():
            node.freeze()
        assert cluster.keeping is not None
        cluster.keeping.cancel()
        await asyncio.sleep(0.1)
        owner = await asyncpg.connect(urls.owner)
        await owner.execute("UPDATE shard_hosts SET expires_at = clock_timestamp()")
        await owner.close()
        keeper = cluster.keeper
        cluster.keeping = asyncio.create_task(keeper.run())
        await asyncio.sleep(0)
        cluster.clock.boot_ahead_seconds += 10
        nodes["h0"].thaw()
        await asyncio.sleep(1.2)
        nodes["h1"].thaw()
        await asyncio.sleep(2)
        assert cluster.nodes == nodes, "nobody lost a lease"


async def test_a_farewell_whose_end_is_yet_to_come_is_an_outage_and_no_fault_of_ours(
    urls: Urls,
) -> None:
    async with proxied(urls.host) as proxy:
        proxy.hides_the_end = True
        store = HostStore(proxy.url(urls.host), Incarnation(uuid7(), "h", "m", 1))
        try:
            assert await store.known([uuid7()]) == {}
            owner = await asyncpg.connect(urls.owner)
            ended = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            assert await owner.fetchval(f"{ended} WHERE usename = 'holdfast_host'") == 1
            await owner.close()
            await asyncio.sleep(0.1)  # until the farewell has passed the proxy
            with pytest.raises(OutcomeUnknown):
                await store.known([uuid7()])
            assert await store.known([uuid7()]) == {}
        finally:
            await store.close()
