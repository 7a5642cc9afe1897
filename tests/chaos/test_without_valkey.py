"""Promise 7: Redis may vanish. Stopped, emptied and stalled under load, it changes nothing that
is true, and stops nobody."""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.storm import storm
from tests.promises import Tally
from tests.stack import Stack

FAULTS = ("flush Valkey", "stall Valkey for 5 s", "kill Valkey", "flush Valkey + kill Valkey")
# Nobody needs it in order to sell; to find out that it is away costs a request half a second.
SERVED_SECONDS = 10.0


@pytest.mark.skipif("HOLDFAST_CHAOS" not in os.environ, reason="make chaos has the time for it")
@pytest.mark.timeout(900)
async def test_redis_may_vanish(victim: Stack, figures: list[str], tally: Tally) -> None:
    aftermath = await storm(victim, FAULTS, random.SystemRandom().randrange(10**6))
    figures += aftermath.figures()
    aftermath.check()
    for name, seconds in aftermath.outages.items():
        assert max(seconds) < SERVED_SECONDS, name
    tally(**aftermath.tally())
