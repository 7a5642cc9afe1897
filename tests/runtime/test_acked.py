"""Promises 1 and 2: what was answered is durable and happened once; never oversold."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import asyncpg
import pytest

from actors.stock import model as m
from actors.stock import reservations
from tests.promises import Tally
from tests.runtime import sabotage
from tests.runtime.audit import Findings, audit
from tests.runtime.clients import Request, Shop
from tests.runtime.conftest import LONG
from tests.runtime.faults import Faults
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.sabotage import Sabotage
from tests.runtime.traffic import Traffic

SECONDS = 120 if LONG else 6
KILL_EVERY_SECONDS = 1.2


async def _killing(cluster: Cluster, rng: random.Random, traffic: Traffic) -> int:
    kills = 0
    while not traffic.ending:
        await asyncio.sleep(KILL_EVERY_SECONDS * rng.uniform(0.3, 1.0))
        alive = [name for name, node in cluster.nodes.items() if node.alive]
        if alive and not traffic.ending:
            cluster.kill(rng.choice(alive))
            kills += 1
    return kills


async def _chaos(urls: Urls, rng: random.Random, seconds: float) -> tuple[Findings, int]:
    faults = Faults(rng, lose_request=0.01, lose_answer=0.02, repeat=0.05, max_delay_seconds=0.01)
    async with running(urls, 2, faults=faults) as cluster:
        shop = Shop(cluster)
        traffic = Traffic(shop, await shop.stock(20, 6), rng)
        _, kills = await asyncio.gather(traffic.run(24, seconds), _killing(cluster, rng, traffic))
        await cluster.settled()
        return await audit(urls, shop.log), kills


async def test_acked_is_durable_and_happened_once(
    urls: Urls, rng: random.Random, tally: Tally
) -> None:
    found, kills = await _chaos(urls, rng, SECONDS)
    print(f"{kills} kills: {found}")
    assert kills >= SECONDS / KILL_EVERY_SECONDS / 2
    # Something was answered between the kills; how much is the speed of the machine.
    assert found.acked > kills
    assert found.clean, found
    tally(kills=kills, commands=found.asked, audits=1)


@pytest.mark.parametrize("off", [sabotage.answers_first, sabotage.repeats_unknown])
async def test_a_loss_or_a_double_is_caught_without(
    urls: Urls, rng: random.Random, off: Sabotage, monkeypatch: pytest.MonkeyPatch
) -> None:
    off(monkeypatch)
    found, kills = await _chaos(urls, rng, 6)
    print(f"{kills} kills without {off.__name__}: {found}")
    assert not found.clean


# --- the flash sale ------------------------------------------------------------------------

BUYERS = 10_000
UNITS = 100


class Sale:
    def __init__(self, level: m.Level, found: Findings, log: list[Request]) -> None:
        self.level = level
        self.found = found
        bought = [request for request in log if isinstance(request.command, m.Reserve)]
        self.yes = sum(request.said_yes for request in bought)
        self.no = sum(isinstance(request.reply, m.Refused) for request in bought)

    def __str__(self) -> str:
        return f"{self.level.reserved} sold, {self.yes} told yes, {self.no} told no; {self.found}"


async def _flash_sale(urls: Urls, rng: random.Random, buyers: int, kills: int) -> Sale:
    """Many want one unit each: a tenth send their request twice, a twentieth hang up."""
    async with running(urls, 2) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(UNITS)
        gate = asyncio.Semaphore(500)

        async def buy() -> None:
            request = shop.reserve(product)
            request.client_supplied = rng.random() < 0.5
            async with gate:
                copies = [
                    asyncio.create_task(shop.insist(request))
                    for _ in range(2 if rng.random() < 0.1 else 1)
                ]
                if rng.random() < 0.05:
                    await asyncio.sleep(rng.random() * 0.01)
                    for copy in copies:
                        copy.cancel()
                await asyncio.gather(*copies, return_exceptions=True)

        async def kill() -> None:
            for _ in range(kills):
                await asyncio.sleep(1)
                with suppress(StopIteration):
                    cluster.owner_of_tenant(shop.tenant_id).kill()

        await asyncio.gather(kill(), *(buy() for _ in range(buyers)))
        level = await shop.level(product)
        return Sale(level, await audit(urls, shop.log), shop.log)


@pytest.mark.parametrize("kills", [0, 2])
async def test_exactly_what_there_is_is_sold(
    urls: Urls, rng: random.Random, kills: int, tally: Tally
) -> None:
    sale = await _flash_sale(urls, rng, BUYERS, kills)
    print(f"{BUYERS} buyers for {UNITS} units, {kills} kills: {sale}")
    assert sale.found.clean, sale
    # Somebody who hung up may hold a unit without knowing it.
    assert sale.level.reserved == UNITS
    assert sale.yes <= UNITS
    assert sale.no > BUYERS * 0.9
    tally(sales=1, buyers=BUYERS)


async def test_overselling_is_caught_without_the_rule(
    urls: Urls, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "shortages", lambda *arguments: [])
    held_back = await _flash_sale(urls, rng, 300, 0)
    print(f"without the rule: {held_back}")
    assert held_back.level.reserved == UNITS, "the CHECK is the last line of defence"
    assert held_back.found.denied

    owner = await asyncpg.connect(urls.owner)
    await owner.execute(
        "ALTER TABLE stock_levels DROP CONSTRAINT ck_stock_levels_available_above_floor"
    )
    await owner.close()
    oversold = await _flash_sale(urls, rng, 300, 0)
    print(f"without the CHECK too: {oversold}")
    assert oversold.level.reserved > UNITS
