"""A load, faults one after another, and what is left of it all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.audit import Audit, audit, settle
from tests.chaos.faults import LONG
from tests.chaos.load import Load
from tests.chaos.world import make_businesses
from tests.stack import Stack

BUSINESSES = 8
CLIENTS = 16
# Starting all of Ray anew takes 20 s, and several times that on a machine that is busy.
RECOVERY_SECONDS = 240.0
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Aftermath:
    """`outages` tells for each kind of fault how long it took, each time, until every business
    had a request done that was begun after the fault struck."""

    seed: int
    load: Load
    found: Audit
    outages: dict[str, list[float]]
    seconds: float
    expired: int

    def figures(self) -> list[str]:
        count = sum(map(len, self.outages.values()))
        commands = len(self.load.log)
        return [
            f"seed {self.seed}: {count} faults in {self.seconds:.0f} s, {commands} commands,"
            f" {commands / self.seconds:.0f}/s, {self.expired} holds expired: {self.found}",
            "  " + ", ".join(f"{n} {what}" for what, n in sorted(self.load.counts.items())),
            *(
                f"  {name}: every business served again after {max(seconds):.1f} s"
                for name, seconds in self.outages.items()
            ),
        ]

    def check(self) -> None:
        """Raises AssertionError for the first promise that was broken."""
        assert not self.load.wrong, "\n".join(self.load.wrong[:10])
        assert self.found.is_clean, str(self.found)


async def storm(stack: Stack, faults: Iterable[str], seed: int) -> Aftermath:
    """Raises AssertionError or TimeoutError if a fault is not got over."""
    rng = random.Random(seed)
    businesses = await make_businesses(stack, BUSINESSES)
    load = Load(stack.settings.port, businesses, CLIENTS, seed)
    began = time.monotonic()
    outages: dict[str, list[float]] = {}
    load.start()
    try:
        await load.all_served(time.monotonic(), RECOVERY_SECONDS)
        for name in faults:
            struck = time.monotonic()
            await asyncio.to_thread(LONG[name], stack, rng)
            outage = await load.all_served(struck, RECOVERY_SECONDS)
            outages.setdefault(name, []).append(outage)
            # A fault that lasts a while was half over by then.
            await load.all_served(time.monotonic(), RECOVERY_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        await load.stop()
    seconds = time.monotonic() - began
    expired = await settle(stack, businesses)
    found = await audit(stack, businesses, load.log)
    return Aftermath(seed, load, found, outages, seconds, expired)
