"""Nothing hangs permanently: whatever keeps Postgres from its work, full service is back within
fifteen seconds of its end, and meanwhile nobody waits without being told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from math import inf

import asyncpg
import psutil
import pytest

from store.hosts.leases import LEASE_SECONDS
from tests.promises import Tally
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.conftest import CHAOS, PATIENCE, copied
from tests.runtime.kit import Cluster, running
from tests.runtime.own_server import OwnServer
from tests.runtime.test_outage import told_in_time
from tests.runtime.traffic import Traffic

# Longer than any lease, where there is time for it.
STUCK_SECONDS = LEASE_SECONDS + 2 if CHAOS else 2
BACK_SECONDS = 15
TRIES = 3

STUCK: dict[str, Callable[[OwnServer], list[psutil.Process]]] = {
    "all of it": lambda server: server.processes(),
    # New connections can be made; those that are there wait for the disk.
    "the hosts' backends": lambda server: server.processes("holdfast_host"),
}


@asynccontextmanager
async def _sold_around(
    server: OwnServer, rng: random.Random, what: str, tally: Tally
) -> AsyncIterator[tuple[Cluster, Shop]]:
    """Shops sell before, while and after the block runs. Raises AssertionError if somebody was
    not told in time, if it took too long until sales went on, or if anything was lost."""
    async with copied(server.settings, "runtime_template") as urls, running(urls, 2) as cluster:
        shop = Shop(cluster)
        products = await shop.stock(10_000, 4)
        traffic = Traffic(shop, products, rng)
        load = asyncio.create_task(traffic.run(12, inf))
        await asyncio.sleep(0.5)
        asking = asyncio.create_task(told_in_time(shop, products[0]))
        yield cluster, shop
        ended = time.monotonic()
        async with asyncio.timeout(BACK_SECONDS * PATIENCE):
            while not shop.answers_since(ended):
                await asyncio.sleep(0.01)
            seconds = time.monotonic() - ended
            await cluster.settled()
        print(
            f"{what}: sold again {seconds:.2f} s after its end, all well after"
            f" {time.monotonic() - ended:.2f} s"
        )
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        traffic.end()
        await load
        found = await audit(urls, shop.log)
        assert found.clean, found
        tally(stuck=1, commands=found.asked, audits=1)


@pytest.mark.parametrize("what", STUCK)
async def test_a_disk_that_is_stuck_is_a_pause(
    own_server: OwnServer, rng: random.Random, what: str, tally: Tally
) -> None:
    async with _sold_around(own_server, rng, what, tally) as (_, shop):
        with own_server.still(STUCK[what](own_server)):
            await asyncio.sleep(STUCK_SECONDS)
            assert _nobody_buys(shop)


async def test_sales_go_on_without_those_who_write_behind(
    own_server: OwnServer, rng: random.Random, tally: Tally
) -> None:
    behind = own_server.processes("checkpointer", "background writer", "walwriter")
    assert len(behind) == 3
    async with _sold_around(own_server, rng, "checkpointer and writers", tally) as (_, shop):
        for _ in range(TRIES):
            with own_server.still(behind):
                if await _somebody_buys(shop, time.monotonic() + 0.5):
                    return
            # Who was stopped just while it wrote holds a lock that everybody needs.
        raise AssertionError("nobody bought")


async def test_a_server_that_takes_no_writes_for_a_while_is_a_pause(
    own_server: OwnServer, rng: random.Random, tally: Tally
) -> None:
    async with _sold_around(own_server, rng, "read-only", tally) as (_, shop):
        await own_server.set(default_transaction_read_only="on")
        try:
            await asyncio.sleep(STUCK_SECONDS)
            assert _nobody_buys(shop)
        finally:
            await own_server.set(default_transaction_read_only="DEFAULT")


async def test_a_server_without_a_free_connection_is_a_pause(
    own_server: OwnServer, rng: random.Random, tally: Tally
) -> None:
    """Others take all that there are, reserved ones too, and hosts lose theirs at that moment."""
    around = _sold_around(own_server, rng, "connections", tally)
    async with around as (_, shop), AsyncExitStack() as taken:
        async with asyncio.timeout(30):
            await _take_all(own_server, taken)
            # They make new ones as quickly as we do.
            while backends := own_server.processes("holdfast_host"):
                for process in backends:
                    process.terminate()
                await _take_all(own_server, taken)
        await asyncio.sleep(STUCK_SECONDS)
        assert _nobody_buys(shop)


async def _somebody_buys(shop: Shop, since: float) -> bool:
    """Whether anybody was answered after that moment, soon."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5 * PATIENCE + STUCK_SECONDS):
            while not shop.answers_since(since):
                await asyncio.sleep(0.01)
            return True
    return False


def _nobody_buys(shop: Shop) -> bool:
    return not shop.answers_since(time.monotonic() - 1)


async def _take_all(server: OwnServer, taken: AsyncExitStack) -> None:
    with pytest.raises(asyncpg.TooManyConnectionsError):
        while True:
            one = await asyncpg.connect(server.settings.owner_database_url)
            taken.push_async_callback(one.close)
