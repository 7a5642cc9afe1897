"""Ten thousand requests for a hundred units: a hundred are sold, to those who were told so."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from uuid import uuid4

import pytest

from tests.chaos.audit import audit
from tests.chaos.client import Answer, Client, Unknown
from tests.chaos.load import Command, said
from tests.chaos.world import Business, make_businesses
from tests.promises import Tally
from tests.stack import Stack

REQUESTS, UNITS, CLIENTS = 10_000, 100, 64
SENT_TWICE, HUNG_UP = 0.1, 0.05
RESERVE = "/api/inventory/reserve"
CONFIRM = "/api/inventory/reservations/{reservationId}/confirm"


class Sale:
    """Buyers one after another on a number of connections; each wants one unit."""

    def __init__(self, stack: Stack, business: Business, product: str, seed: int) -> None:
        self.log: list[Command] = []
        self.counts: Counter[str] = Counter()
        self.differing: list[str] = []
        self._stack = stack
        self._business = business
        self._product = product
        self._rng = random.Random(seed)
        self._left = REQUESTS

    async def run(self) -> None:
        await asyncio.gather(*(self._till() for _ in range(CLIENTS)))

    async def _till(self) -> None:
        client = Client(self._stack.settings.port, self._business.token)
        while self._left > 0:
            self._left -= 1
            body = {"productId": self._product, "quantity": 1}
            command = Command(
                self._business, "reserve", RESERVE, body, {self._product: 1}, key=str(uuid4())
            )
            self.log.append(command)
            roll = self._rng.random()
            if roll < HUNG_UP:
                # It counts as sold if it was: nobody knows, and the unit is gone.
                await client.abandon(command.path, command.key, body, self._rng.random() / 100)
                self.counts["hung up"] += 1
                continue
            command.answer = await self._insist(client, command)
            self.counts[str(command.answer.status)] += 1
            if roll > 1 - SENT_TWICE:
                self._left -= 1
                again = await self._insist(client, command)
                self.counts["sent twice"] += 1
                if again.status != command.answer.status or (
                    again.is_done and said(again) != said(command.answer)
                ):
                    self.differing.append(f"{command} {again}")
        client.hang_up()

    async def _insist(self, client: Client, command: Command) -> Answer:
        while True:
            command.attempts += 1
            try:
                return await client.attempt("POST", command.path, command.key, command.body)
            except Unknown:
                self.counts["repeated"] += 1
                await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
async def test_ten_thousand_requests_for_a_hundred_units(
    victim: Stack, figures: list[str], tally: Tally
) -> None:
    [business] = await make_businesses(victim, 1)
    product = business.scarce[0]
    client = Client(victim.settings.port, business.token)
    lines = [{"productId": product, "delta": UNITS - 5}]
    stock = {"lines": lines, "reason": "recount"}
    await client.attempt("POST", "/api/inventory/adjustments", str(uuid4()), stock)

    sale = Sale(victim, business, product, seed=7)
    began = time.monotonic()
    await sale.run()
    elapsed = time.monotonic() - began
    await asyncio.sleep(1)  # those who hung up are being served

    level = await client.get(f"/api/inventory/{product}")
    told = [command.answer for command in sale.log if command.answer and command.answer.is_done]
    sold = {answer.data["id"] for answer in told}
    figures.append(
        f"flash sale: {REQUESTS} requests in {elapsed:.1f} s ({REQUESTS / elapsed:.0f}/s) for"
        f" {UNITS} units: {level['reserved']} sold, {len(sold)} buyers told so; {sale.counts}"
    )
    assert (level["onHand"], level["reserved"], level["quantity"]) == (UNITS, UNITS, 0)
    assert len(sold) == len(told) <= UNITS
    assert UNITS - len(sold) <= sale.counts["hung up"]
    refused = [c.answer for c in sale.log if c.answer and not c.answer.is_done]
    assert {answer.code for answer in refused} == {"insufficient_stock"}
    assert not sale.differing

    # A buyer whose hold was granted can take it.
    for hold in sold:
        path = CONFIRM.replace("{reservationId}", hold)
        command = Command(business, "confirm", CONFIRM, None, {}, hold)
        command.answer = await client.attempt("POST", path, command.key, None)
        assert command.answer.is_done
        sale.log.append(command)
    client.hang_up()
    for command in sale.log:
        command.moves = {product: 1} if command.kind == "reserve" else {}
    found = await audit(victim, [business], sale.log)
    # The setup's own adjustment is nobody's here.
    found.stray[:] = [text for text in found.stray if "adjusted" not in text]
    assert found.is_clean, str(found)
    tally(sales=1, buyers=REQUESTS, audits=1)
