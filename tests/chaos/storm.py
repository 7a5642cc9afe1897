"""A load, faults one after another, and what is left of it all."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.audit import Audit, audit, settle
from tests.chaos.faults import LONG
from tests.chaos.load import Load
from tests.chaos.trader import Trader, make_trader
from tests.chaos.world import make_businesses
from tests.stack import Stack

BUSINESSES = 8
CLIENTS = 16
TRADERS = 2
# Starting all of Ray anew takes 20 s, and several times that on a machine that is busy.
RECOVERY_SECONDS = 240.0
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Aftermath:
    """`outages` tells for each kind of fault how long it took, each time, until every business
    had a request done that was begun after the fault struck."""

    seed: int
    load: Load
    traders: list[Trader]
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
            "  traders: " + ", ".join(f"{n} {what}" for what, n in sorted(self._traded().items())),
            *(
                f"  {name}: every business served again after {max(seconds):.1f} s"
                for name, seconds in self.outages.items()
            ),
        ]

    def _traded(self) -> Counter[str]:
        return sum((trader.counts for trader in self.traders), Counter[str]())

    def tally(self) -> dict[str, int]:
        """See `tests.promises`."""
        faults = sum(map(len, self.outages.values()))
        commands = len(self.load.log) + self._traded()["done"]
        return {"faults": faults, "commands": commands, "audits": 1}

    def check(self) -> None:
        """Raises AssertionError for the first promise that was broken."""
        assert not self.load.wrong, "\n".join(self.load.wrong[:10])
        assert self.found.is_clean, str(self.found)


async def storm(
    stack: Stack, faults: Iterable[str], seed: int, *, least_seconds: float = 0
) -> Aftermath:
    """Names of faults that are joined by a + strike at once. Raises AssertionError or
    TimeoutError if one is not got over."""
    rng = random.Random(seed)
    businesses = await make_businesses(stack, BUSINESSES)
    load = Load(stack.settings.port, businesses, CLIENTS, seed)
    began = time.monotonic()
    outages: dict[str, list[float]] = {}
    traders = [await make_trader(stack, seed + number) for number in range(TRADERS)]
    load.start()
    trading = [asyncio.create_task(trader.run()) for trader in traders]
    try:
        await load.all_served(time.monotonic(), RECOVERY_SECONDS)
        for name in faults:
            struck = time.monotonic()
            together = [LONG[fault] for fault in name.split(" + ")]
            await asyncio.gather(*(asyncio.to_thread(strike, stack, rng) for strike in together))
            outage = await load.all_served(struck, RECOVERY_SECONDS)
            outages.setdefault(name, []).append(outage)
            # A fault that lasts a while was half over by then.
            await load.all_served(time.monotonic(), RECOVERY_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.sleep(max(0.0, began + least_seconds - time.monotonic()))
    finally:
        for trader in traders:
            trader.ending = True
        await asyncio.gather(load.stop(), *trading)
    seconds = time.monotonic() - began
    # What is broken already need not be waited for.
    expired = 0 if load.wrong else await settle(stack, businesses)
    found = await audit(stack, businesses, load.log)
    for trader in traders:
        found.other += await trader.contradictions()
    return Aftermath(seed, load, traders, found, outages, seconds, expired)
