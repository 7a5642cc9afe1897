"""Card payments: whatever happens on the way, each ends as exactly one of a sale or no money."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.pos.card_payments.provider import Sandbox
from deployments.pos.card_payments.service import CARDS
from tests.api.pos.card_kit import (
    PRICE,
    audit,
    cut_after_each_step,
    kept,
    pay,
    saga,
    settle,
)
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("token", ["tok_approve", "tok_slow"])
async def test_approved(shop: Shop, token: str) -> None:
    tea = await shop.goods(PRICE, 3)
    sale = done(await pay(shop, tea, token))
    assert sale["payments"][0]["method"] == "card"
    assert sale["payments"][0]["reference"].startswith("sbx_")
    assert await audit(shop, tea, 3) == (1, 700)


async def test_declined(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    problem(await pay(shop, tea, "tok_decline", key="k"), 402, "card_declined")
    problem(await pay(shop, tea, "tok_decline", key="k"), 402, "card_declined")
    assert await audit(shop, tea, 3) == (0, 0)


@pytest.mark.parametrize(("token", "sales"), [("tok_unknown", 1), ("tok_unknown_declined", 0)])
async def test_an_unknown_outcome_is_settled_later(shop: Shop, token: str, sales: int) -> None:
    tea = await shop.goods(PRICE, 3)
    resources: Any = shop.served.resources
    resources.parts[CARDS] = saga(resources, Sandbox(resources.db), timeout_seconds=3.0)
    began = await pay(shop, tea, token, key="k")
    assert began.status_code == 202, began.text
    where = began.headers["location"]
    assert done(await shop.owner.get(where))["status"] == "pending"
    assert (await shop.available(tea), await shop.on_hand(tea)) == (2, 3)
    # Nobody else waits meanwhile.
    cash = [{"method": "cash", "amount": PRICE}]
    async with asyncio.timeout(5):
        done(await shop.sell(tea, payments=cash))
    await settle(shop)
    ended = done(await shop.owner.get(where))
    assert ended["status"] == ("completed" if sales else "declined")
    repeated = await pay(shop, tea, token, key="k")
    assert repeated.status_code == (201 if sales else 402)
    assert await kept(shop) == 700 * sales
    assert await shop.available(tea) == 2 - sales


async def test_a_charge_that_cannot_become_a_sale_goes_back(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    began = await pay(shop, tea, "tok_unknown", key="k")
    assert began.status_code == 202
    closing = f"/api/pos/registers/{shop.register}/shifts/close"
    done(await shop.owner.post(closing, {"counted": 100}))
    await settle(shop)
    ended = done(await shop.owner.get(began.headers["location"]))
    assert (ended["status"], ended["problem"]) == ("refunded", "shift_closed")
    found = problem(await pay(shop, tea, "tok_unknown", key="k"), 409, "sale_not_completed")
    assert found["reason"] == "shift_closed"
    assert await audit(shop, tea, 3) == (0, 0)


async def test_what_could_not_be_sold_is_not_charged(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 0)
    problem(await pay(shop, tea, "tok_approve"), 409, "insufficient_stock")
    assert await shop.sees("SELECT id FROM card_payments") == []
    problem(await pay(shop, tea, *["tok_approve"] * 5), 400)


async def test_a_return_owes_the_card_its_money(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 3)
    sale = done(await pay(shop, tea, "tok_approve"))
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    made = done(await shop.owner.post(f"/api/pos/sales/{sale['id']}/returns", body))
    assert made["refunds"] == [{"method": "card", "amount": PRICE}]
    await settle(shop)
    assert await kept(shop) == 0
    owed = await shop.sees("SELECT return_id FROM card_refunds WHERE refunded_at IS NULL")
    assert owed == []
    assert (await shop.report())["expectedCash"] == 100


async def test_the_same_payment_driven_by_many_is_one(shop: Shop) -> None:
    tea = await shop.goods(PRICE, 9)
    answers = await asyncio.gather(*(pay(shop, tea, "tok_approve", key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert await audit(shop, tea, 9) == (1, 700)


@pytest.mark.parametrize("token", ["tok_approve", "tok_decline"])
async def test_cut_after_each_step_it_ends_the_same(shop: Shop, token: str) -> None:
    tea = await shop.goods(PRICE, 200)
    assert await cut_after_each_step(shop, tea, token) >= 6
    sales, _ = await audit(shop, tea, 200)
    assert (sales > 0) is (token == "tok_approve")
