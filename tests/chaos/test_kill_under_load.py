"""Acked is durable and happened once, whatever is killed under load.

The short form strikes once with each fault; `HOLDFAST_CHAOS=long` strikes 60 times in an order
from a seed (`HOLDFAST_CHAOS_SEED`), which is printed.
"""

from __future__ import annotations

import asyncio
import os
import random
import time

import pytest

from tests.chaos.audit import audit
from tests.chaos.faults import LONG, SHORT
from tests.chaos.load import Load
from tests.chaos.world import make_businesses
from tests.stack import Stack

IS_LONG = os.environ.get("HOLDFAST_CHAOS") == "long"
SEED = int(os.environ.get("HOLDFAST_CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
STRIKES = 60
BUSINESSES = 8
CLIENTS = 16
RECOVERY_SECONDS = 90.0
PAUSE_SECONDS = 1.0


def strikes(rng: random.Random) -> list[str]:
    """Names of faults, in the order in which they strike."""
    if not IS_LONG:
        return rng.sample(list(SHORT), len(SHORT))
    names = [list(LONG)[number % len(LONG)] for number in range(STRIKES)]
    rng.shuffle(names)
    return names


@pytest.mark.timeout(7_200 if IS_LONG else 600)
async def test_nothing_acknowledged_is_lost_or_doubled(victim: Stack, figures: list[str]) -> None:
    rng = random.Random(SEED)
    businesses = await make_businesses(victim, BUSINESSES)
    load = Load(victim.settings.port, businesses, CLIENTS, SEED)
    began = time.monotonic()
    load.start()
    await load.all_served(time.monotonic(), 30)
    outages: dict[str, list[float]] = {}
    for name in strikes(rng):
        struck = time.monotonic()
        await asyncio.to_thread(LONG[name], victim, rng)
        # A fault that lasts is over when the function returns.
        outage = await load.all_served(struck, RECOVERY_SECONDS)
        outages.setdefault(name, []).append(outage)
        await load.all_served(time.monotonic(), RECOVERY_SECONDS)
        await asyncio.sleep(PAUSE_SECONDS)
    elapsed = time.monotonic() - began
    await load.stop()
    found = await audit(victim, businesses, load.log)

    count = sum(map(len, outages.values()))
    figures.append(
        f"seed {SEED}: {count} faults in {elapsed:.0f} s, {len(load.log)} commands,"
        f" {len(load.log) / elapsed:.0f}/s: {found}"
    )
    figures.append(f"  {', '.join(f'{n} {what}' for what, n in sorted(load.counts.items()))}")
    for name, seconds in outages.items():
        figures.append(f"  {name}: every business served again after {max(seconds):.1f} s")
    assert not load.wrong, "\n".join(load.wrong[:10])
    assert found.is_clean, found
    for business in businesses:
        assert business.counted_done == business.counted_started
