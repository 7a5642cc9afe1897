"""Acked is durable and happened once, whatever is killed under load.

The short form strikes once with each fault. `HOLDFAST_CHAOS=long` strikes 61 times in an order
from a seed (`HOLDFAST_CHAOS_SEED`), which is printed, and then breaks Holdfast on purpose: each
time the same test has to notice.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos.faults import LONG, SHORT
from tests.chaos.storm import storm
from tests.stack import FIRST_PORT, Stack, running_stack

IS_LONG = os.environ.get("HOLDFAST_CHAOS") == "long"
SEED = int(os.environ.get("HOLDFAST_CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
MUTANTS = Path(__file__).with_name("mutants")
# Which faults bring out what each mutant does wrong.
NOTICED_BY = {
    "hasty": ["kill Postgres", "kill a host", "kill Postgres"],
    "forgetful": ["kill HAProxy", "kill a replica", "kill a host"],
    "unfenced": ["stop a host for 7 s", "stop a host for 7 s"],
}


def strikes() -> list[str]:
    """Names of faults, in the order in which they strike."""
    names = list(SHORT)
    if IS_LONG:
        names = names * 5 + [name for name in LONG if name not in SHORT] * 2
    random.Random(SEED).shuffle(names)
    return names


@pytest.mark.timeout(7_200 if IS_LONG else 600)
async def test_nothing_acknowledged_is_lost_or_doubled(victim: Stack, figures: list[str]) -> None:
    aftermath = await storm(victim, strikes(), SEED)
    figures += aftermath.figures()
    aftermath.check()


@pytest.mark.skipif(not IS_LONG, reason="a mutant at a time takes long: HOLDFAST_CHAOS=long")
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("mutant", NOTICED_BY)
async def test_a_broken_promise_is_noticed(mutant: str, tmp_path: Path, figures: list[str]) -> None:
    home = tmp_path / "home"
    broken = {"PYTHONPATH": str(MUTANTS / mutant)}
    with running_stack(home, port=FIRST_PORT + 300, environment=broken) as stack:
        assert (home / "mutated").exists(), "the mutant did not find what it breaks"
        try:
            aftermath = await storm(stack, NOTICED_BY[mutant], SEED)
            aftermath.check()
        except (AssertionError, TimeoutError) as noticed:
            figures.append(f"{mutant}: noticed, {str(noticed).splitlines()[0][:200]}")
        else:
            raise AssertionError(f"nobody noticed that Holdfast is {mutant}")
