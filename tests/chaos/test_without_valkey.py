"""Promise 7: Redis may vanish. Emptied, stalled and killed under load it changes nothing that is
true, and nobody waits for it: neither who buys nor who signs in, whose attempts are counted there.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.api.people import login, new_address, register
from tests.api.shop import open_shop
from tests.chaos.faults import LONG
from tests.chaos.storm import storm
from tests.chaos.test_kill_under_load import chosen_seed
from tests.promises import Tally
from tests.stack import FIRST_PORT, Stack, running_stack

FAULTS = ("flush Valkey", "stall Valkey for 5 s", "kill Valkey", "flush Valkey + kill Valkey")
# To find out that it is away costs a request half a second, and a sign-in asks more than once.
WAIT_SECONDS = 6.0
# Twice as long: a request that waits for it waits longer than others, however busy the machine is.
PAUSE_MS = 12_000
MUTANT = Path(__file__).with_name("mutants") / "patient"

pytestmark = [
    pytest.mark.skipif("HOLDFAST_CHAOS" not in os.environ, reason="make chaos has time for it"),
    pytest.mark.timeout(900),
]


@dataclass
class Visitors:
    """People who register, sign in and reserve, one after another; how long one waited at most."""

    stack: Stack
    visits: int = 0
    slowest_seconds: float = 0.0
    ending: bool = False

    async def run(self) -> None:
        async with open_shop(self.stack) as shop, self.stack.client() as http:
            product = await shop.product(10_000)
            while not self.ending:
                email = new_address()
                for ask in (
                    register(http, email=email),
                    login(http, email),
                    shop.owner.post(
                        "/api/inventory/reserve", {"productId": product, "quantity": 1}
                    ),
                ):
                    began = time.monotonic()
                    answer = await ask
                    assert answer.status_code < 300, answer.text
                    self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
                self.visits += 1
                await asyncio.sleep(0.2)


def _pause_valkey(stack: Stack, _rng: random.Random) -> None:
    """It runs, and answers nobody; returns when it does again. One that is stopped would be ended
    by the supervisor before that."""

    async def pause() -> None:
        client = Redis.from_url(stack.settings.effective_redis_url)
        try:
            await client.client_pause(PAUSE_MS, all=True)
        finally:
            await client.aclose()

    asyncio.run(pause())
    time.sleep(PAUSE_MS / 1000)


async def _visited(stack: Stack, figures: list[str]) -> Visitors:
    """While Redis vanishes in every way, one after another."""
    visitors = Visitors(stack)
    visiting = asyncio.create_task(visitors.run())
    rng = random.Random(chosen_seed())
    try:
        for strike in (LONG["flush Valkey"], _pause_valkey, LONG["kill Valkey"]):
            await asyncio.sleep(2)
            await asyncio.to_thread(strike, stack, rng)
        await asyncio.sleep(2)
    finally:
        visitors.ending = True
        await visiting
    figures.append(
        f"without Valkey: {visitors.visits} visits, longest wait {visitors.slowest_seconds:.2f} s"
    )
    return visitors


async def test_redis_may_vanish(victim: Stack, figures: list[str], tally: Tally) -> None:
    aftermath = await storm(victim, FAULTS, chosen_seed())
    figures += aftermath.figures()
    aftermath.check()
    tally(**aftermath.tally())


async def test_nobody_waits_for_redis(tmp_path: Path, figures: list[str], tally: Tally) -> None:
    """Where calls are counted, by which callers are limited."""
    with running_stack(tmp_path / "home", port=FIRST_PORT + 300, rate_limit="on") as stack:
        visitors = await _visited(stack, figures)
        assert visitors.slowest_seconds < WAIT_SECONDS
        tally(visits=visitors.visits)


async def test_to_wait_for_redis_is_noticed(
    tmp_path: Path, figures: list[str], tally: Tally
) -> None:
    home = tmp_path / "home"
    broken = {"PYTHONPATH": str(MUTANT)}
    with running_stack(home, port=FIRST_PORT + 300, rate_limit="on", environment=broken) as stack:
        assert (home / "mutated").exists(), "the mutant did not find what it breaks"
        visitors = await _visited(stack, figures)
        assert visitors.slowest_seconds > WAIT_SECONDS
