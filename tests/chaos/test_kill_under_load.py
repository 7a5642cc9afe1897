"""Acked is durable and happened once, whatever is killed under load.

The short form strikes once with each fault. `make chaos` strikes with all faults, now and then with
two at once, in an order from a seed (`HOLDFAST_CHAOS_SEED`), which is printed, until its share of
the time is over; `HOLDFAST_CHAOS=long` strikes 67 times. Both also break Holdfast on purpose: each
time the same test has to notice.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos.faults import LONG, SHORT
from tests.chaos.storm import storm
from tests.chaos.world import make_businesses
from tests.promises import Share, Tally
from tests.stack import FIRST_PORT, Stack, running_stack

CHAOS = os.environ.get("HOLDFAST_CHAOS", "")
MUTANTS = Path(__file__).with_name("mutants")
MIN_STRIKES = 3
# Which faults bring out what each mutant does wrong.
NOTICED_BY = {
    "hasty": ["kill Postgres", "kill a host", "kill Postgres"],
    "forgetful": ["kill HAProxy", "kill a replica", "kill a host"],
    "unfenced": ["stop a host for 7 s", "stop a host for 7 s"],
}


def chosen_seed() -> int:
    return int(os.environ.get("HOLDFAST_CHAOS_SEED") or random.SystemRandom().randrange(10**6))


def strikes(seed: int) -> list[str]:
    """Names of faults, in the order in which they strike."""
    rng = random.Random(seed)
    if CHAOS == "rounds":
        # More than there is time for.
        alone = [name for _ in range(10) for name in rng.sample(list(LONG), len(LONG))]
        return [
            name if rng.random() < 0.75 else " + ".join(rng.sample(list(SHORT), 2))
            for name in alone
        ]
    names = list(SHORT)
    if CHAOS == "long":
        names = names * 5 + [name for name in LONG if name not in SHORT] * 2
    rng.shuffle(names)
    return names


@pytest.mark.timeout(7_200 if CHAOS else 600)
async def test_nothing_acknowledged_is_lost_or_doubled(
    victim: Stack, figures: list[str], tally: Tally, share: Share
) -> None:
    seed = chosen_seed()
    print(f"HOLDFAST_CHAOS_SEED={seed}")
    aftermath = await storm(victim, share.of(strikes(seed), MIN_STRIKES), seed)
    figures += aftermath.figures()
    aftermath.check()
    tally(**aftermath.tally())


@pytest.mark.skipif(not CHAOS, reason="a mutant at a time takes long: make chaos")
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("mutant", NOTICED_BY)
async def test_a_broken_promise_is_noticed(
    mutant: str, tmp_path: Path, figures: list[str], tally: Tally
) -> None:
    home = tmp_path / "home"
    broken = {"PYTHONPATH": str(MUTANTS / mutant)}
    with running_stack(home, port=FIRST_PORT + 300, environment=broken) as stack:
        assert (home / "mutated").exists(), "the mutant did not find what it breaks"
        await make_businesses(stack, 1)  # one that breaks all would be noticed by anybody
        try:
            aftermath = await storm(stack, NOTICED_BY[mutant], chosen_seed())
            aftermath.check()
        except (AssertionError, TimeoutError) as noticed:
            figures.append(f"{mutant}: noticed, {str(noticed).splitlines()[0][:200]}")
        else:
            raise AssertionError(f"nobody noticed that Holdfast is {mutant}")
