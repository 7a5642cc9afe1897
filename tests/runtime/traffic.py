"""Random traffic of many clients on few products, each a stream of sound commands."""

from __future__ import annotations

import asyncio
import random
from math import inf
from uuid import UUID

from actors.stock import model as m
from core.errors import HoldfastError
from core.ids import uuid7
from tests.runtime.clients import Request, Shop


class Traffic:
    """Runs until it is told to end; every request ends in a log, answered or not."""

    def __init__(self, shop: Shop, products: list[UUID], rng: random.Random) -> None:
        self.shop = shop
        self.products = products
        self.rng = rng
        self.ending = False
        self.repeats = 0

    async def run(self, clients: int, seconds: float) -> None:
        """Until `ending`, or for so many seconds."""
        clock = asyncio.get_running_loop()
        end = None if seconds == inf else clock.call_later(seconds, self.end)
        try:
            await asyncio.gather(*(self._client(number) for number in range(clients)))
        finally:
            if end is not None:
                end.cancel()

    def end(self) -> None:
        self.ending = True

    async def _client(self, number: int) -> None:
        holds: list[UUID] = []
        while not self.ending:
            request = Request(self._command(holds), f"client {number}")
            request.client_supplied = self.rng.random() < 0.5
            copies = 2 if self.rng.random() < 0.1 else 1
            self.repeats += copies - 1
            # A client whose own request is given up repeats it with the same key, so it is told in
            # the end; a hang-up leaves it unknown permanently.
            works = [asyncio.create_task(self.shop.insist(request)) for _ in range(copies)]
            if self.rng.random() < 0.05:
                await asyncio.sleep(self.rng.random() * 0.02)
                works[0].cancel()
            told = await asyncio.gather(*works, return_exceptions=True)
            for outcome in told:
                if isinstance(outcome, m.Hold) and outcome.status is m.Status.OPEN:
                    holds.append(outcome.reservation_id)
                elif isinstance(outcome, Exception) and not isinstance(outcome, HoldfastError):
                    raise outcome

    def _command(self, holds: list[UUID]) -> m.Command:
        rng = self.rng
        if holds and rng.random() < 0.5:
            chosen = holds.pop(rng.randrange(len(holds)))
            kinds = (m.Confirm(chosen), m.Release(chosen), m.Extend(chosen, 60_000))
            return rng.choice(kinds)
        product = rng.choice(self.products)
        roll = rng.random()
        if roll < 0.15:
            return m.AddStock(product, rng.randint(1, 5))
        if roll < 0.2:
            return m.ReleaseOldest(product, rng.randint(1, 2))
        wanted = rng.sample(self.products, rng.randint(1, 2))
        lines = tuple(m.Line(product, rng.randint(1, 3)) for product in wanted)
        return m.Reserve(uuid7(), lines, 600_000)
