"""What time makes of cards: in applications of their own, whose clocks are set ahead. Two that run
hosts at once on one database wait for each other's leases, so none of them shares a module."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.settings import Settings
from deployments.pos.card_payments.provider import Sandbox
from deployments.pos.card_payments.service import CARDS
from tests.api.in_process import in_process
from tests.api.pos.card_kit import (
    PRICE,
    audit,
    open_card_till,
    pay,
    saga,
    settle,
)
from tests.api.shop import done, problem
from tests.runtime.node import SteerableClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_no_sale_after_its_hold(embedded: Settings) -> None:
    async with in_process(embedded) as here, open_card_till(here) as shop:
        tea = await shop.goods(PRICE, 3)
        began = await pay(shop, tea, "tok_unknown", key="k")
        resources: Any = shop.served.resources
        whole = CARDS.of(resources)
        resources.parts[CARDS] = saga(resources, Sandbox(resources.db))
        # A quarter of an hour is over, at the worker's and at the owner's.
        cluster = await resources.bus.cluster()
        cluster.clock.ahead_ms = 16 * 60_000
        CARDS.of(resources)._clock = cluster.clock
        await settle(shop)
        resources.parts[CARDS] = whole
        ended = done(await shop.owner.get(began.headers["location"]))
        assert (ended["status"], ended["problem"]) == ("refunded", "sale_too_late")
        problem(await pay(shop, tea, "tok_unknown", key="k"), 409, "sale_not_completed")
        assert await audit(shop, tea, 3) == (0, 0)


@pytest.mark.parametrize("method", ["cash", "card"])
async def test_after_the_card_that_was_sold_has_expired(embedded: Settings, method: str) -> None:
    clock = SteerableClock()
    async with in_process(embedded, clock=clock) as here, open_card_till(here) as shop:
        expires = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
        card = {"amount": 10, "expiresAt": expires}
        payments = [{"method": method, "amount": 10}]
        if method == "card":
            payments[0]["token"] = "tok_approve"
        alone = {"registerId": shop.register, "payments": payments, **card}
        basket = {"lines": [{"giftCard": card}], "payments": payments}
        sold = done(await shop.owner.post("/api/pos/gift-cards", alone, key="k"))
        in_basket = done(await shop.sell("", key="k", **basket))
        clock.ahead_ms = 100_000
        problem(await shop.sell("", **basket), 400)
        assert done(await shop.owner.post("/api/pos/gift-cards", alone, key="k")) == sold
        assert done(await shop.sell("", key="k", **basket)) == in_basket
        assert sold["giftCard"]["code"]
        assert in_basket["giftCards"][0]["code"]
