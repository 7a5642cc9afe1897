"""Sales that are paid with several cards: all of them are charged for a sale, or none is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.pos.card_payments.provider import Charge, Sandbox
from deployments.pos.card_payments.service import CARDS
from tests.api.pos.card_kit import (
    PRICE,
    Cut,
    audit,
    cut_after_each_step,
    is_cut,
    kept,
    pay,
    saga,
    settle,
)
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTCOMES = ("tok_approve", "tok_slow", "tok_decline", "tok_unknown", "tok_unknown_declined")
ANSWERED = ("tok_approve", "tok_slow")


async def charges(shop: Shop) -> list[str]:
    """What became of the cards, in their order."""
    rows = await shop.sees("SELECT status FROM card_charges ORDER BY payment_id, number")
    return [row["status"] for row in rows]


@pytest.mark.parametrize("first", OUTCOMES)
@pytest.mark.parametrize("second", OUTCOMES)
async def test_every_outcome_at_every_place(shop: Shop, first: str, second: str) -> None:
    tea = await shop.goods(2 * PRICE, 3)
    answer = await pay(shop, tea, first, second, key="k")
    # The second card is not asked before the first has paid.
    deciding = second if first in ANSWERED else first
    place = 2 if first in ANSWERED else 1
    if deciding in ANSWERED:
        assert answer.status_code == 201, answer.text
    elif deciding == "tok_decline":
        assert problem(answer, 402, "card_declined")["payment"] == place
    else:
        assert answer.status_code == 202, answer.text
        pending = answer.json()["data"]
        assert [card["payment"] for card in pending["cards"]] == [1, 2]
        assert pending["cards"][place - 1]["status"] == "due"
        assert await shop.available(tea) == 2, "held"
    await settle(shop)
    ended = await pay(shop, tea, first, second, key="k")
    if deciding in ANSWERED or (deciding == "tok_unknown" and place == 2):
        assert ended.status_code == 201
        assert await audit(shop, tea, 3, cards=2) == (1, 1400)
        assert await charges(shop) == ["approved"] * 2
        return
    if deciding == "tok_unknown":
        # The worker charges nobody: the second card was never asked.
        assert problem(ended, 409, "sale_not_completed")["reason"] == "card_silent"
    else:
        assert problem(ended, 402, "card_declined")["payment"] == place
    assert await audit(shop, tea, 3, cards=2) == (0, 0)
    assert "approved" not in await charges(shop)


async def test_four_cards_cash_and_a_gift_card(shop: Shop) -> None:
    tea = await shop.goods(35, 3)
    cash = [{"method": "cash", "amount": 10}]
    body = {"registerId": shop.register, "amount": 10, "payments": cash}
    code = done(await shop.owner.post("/api/pos/gift-cards", body))["giftCard"]["code"]
    cards = [{"method": "card", "amount": amount, "token": "tok_approve"} for amount in range(1, 5)]
    gift = {"method": "gift_card", "amount": 10, "code": code}
    payments = [cards[0], *cash, cards[1], gift, *cards[2:], {"method": "cash", "amount": 10}]
    sale = done(await shop.sell(tea, payments=payments))
    paid = [(payment["method"], payment["amount"]) for payment in sale["payments"]]
    assert (sale["total"], sale["change"]) == (35, 5)
    assert [amount for method, amount in paid if method == "card"] == [1, 2, 3, 4]
    references = [
        payment["reference"] for payment in sale["payments"] if payment["method"] == "card"
    ]
    assert len(set(references)) == 4
    assert all(reference.startswith("sbx_") for reference in references)
    assert await kept(shop) == 1000
    report = await shop.report()
    tenders = {tender["method"]: tender for tender in report["tenders"]}
    assert (tenders["card"]["taken"], tenders["card"]["payments"]) == (10, 4)
    assert report["expectedCash"] == 100 + 10 + 15
    path = f"/api/pos/sales/{sale['id']}/receipt"
    receipt = (await shop.owner.get(f"{path}?format=text")).text
    assert all(f"Card {number}" in receipt for number in range(1, 5))
    for reference in references:
        found = done(await shop.owner.get(f"/api/pos/card-payments/{reference[4:]}"))
        assert (found["status"], found["saleId"]) == ("completed", sale["id"])


async def test_each_card_gets_back_no_more_than_it_paid(shop: Shop) -> None:
    tea = await shop.goods(7, 5)
    cards = [{"method": "card", "amount": amount, "token": "tok_approve"} for amount in (10, 4)]
    sale = done(await shop.sell(tea, 2, payments=cards))
    one = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    path = f"/api/pos/sales/{sale['id']}/returns"
    first = done(await shop.owner.post(path, one))["refunds"]
    assert first == [{"method": "card", "amount": 7}]
    second = done(await shop.owner.post(path, one))["refunds"]
    assert second == [{"method": "card", "amount": 3}, {"method": "card", "amount": 4}]
    await settle(shop)
    assert await kept(shop) == 0
    left = await shop.sees(
        "SELECT p.number, sum(r.amount_minor)::bigint AS back FROM card_charges p"
        " JOIN sandbox_refunds r ON r.charge_key = p.id::text GROUP BY p.number ORDER BY p.number"
    )
    assert [row["back"] for row in left] == [1000, 400]


async def test_a_hold_that_the_caller_brought_survives_a_decline(shop: Shop) -> None:
    tea = await shop.goods(2 * PRICE, 3)
    hold = {"lines": [{"productId": tea, "quantity": 1}], "ttlSeconds": 600}
    held = done(await shop.owner.post("/api/inventory/reserve", hold))["id"]
    declined = await pay(shop, tea, "tok_approve", "tok_decline", reservationId=held)
    assert problem(declined, 402, "card_declined")["payment"] == 2
    assert (await kept(shop), await shop.available(tea)) == (0, 2)
    done(await pay(shop, tea, "tok_approve", "tok_approve", reservationId=held))
    assert await audit(shop, tea, 3, cards=2) == (1, 1400)


async def test_nobody_waits_for_a_card_that_is_silent(shop: Shop) -> None:
    tea = await shop.goods(2 * PRICE, 3)
    began = await pay(shop, tea, "tok_approve", "tok_unknown")
    assert began.status_code == 202
    async with asyncio.timeout(5):
        done(await shop.sell(tea, payments=[{"method": "cash", "amount": 14}]))
    closing = f"/api/pos/registers/{shop.register}/shifts/close"
    done(await shop.owner.post(closing, {"counted": 114}))
    await settle(shop)
    ended = done(await shop.owner.get(began.headers["location"]))
    assert (ended["status"], ended["problem"]) == ("refunded", "shift_closed")
    assert [card["status"] for card in ended["cards"]] == ["refunded", "refunded"]
    assert await kept(shop) == 0
    assert await shop.available(tea) == 2


async def test_two_cards_driven_by_many_are_charged_once(shop: Shop) -> None:
    tea = await shop.goods(2 * PRICE, 9)
    tokens = ("tok_approve", "tok_slow")
    answers = await asyncio.gather(*(pay(shop, tea, *tokens, key="k") for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert await audit(shop, tea, 9, cards=2) == (1, 1400)


class Halfway(Sandbox):
    """The process dies when the second card should be charged."""

    charged = 0

    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> Charge:
        self.charged += 1
        if self.charged == 2:
            raise Cut
        return await super().charge(key, token, amount_minor, currency)


@pytest.mark.parametrize("client_returns", [True, False])
async def test_killed_between_two_charges(shop: Shop, client_returns: bool) -> None:
    tea = await shop.goods(2 * PRICE, 3)
    tokens = ("tok_approve", "tok_approve")
    resources: Any = shop.served.resources
    whole, resources.parts[CARDS] = CARDS.of(resources), saga(resources, Halfway(resources.db))
    try:
        await pay(shop, tea, *tokens, key="k")
    except BaseException as error:
        assert is_cut(error), error
    resources.parts[CARDS] = whole
    assert await charges(shop) == ["approved", "due"], "what the first card paid is written down"
    assert await kept(shop) == 700
    if client_returns:
        done(await pay(shop, tea, *tokens, key="k"))
    await settle(shop)
    assert await audit(shop, tea, 3, cards=2) == ((1, 1400) if client_returns else (0, 0))


class Late(Sandbox):
    """The second card's charge is on its way until it is let through."""

    def __init__(self, db: Any) -> None:
        super().__init__(db)
        self.charged = 0
        self.is_under_way, self.may_arrive = asyncio.Event(), asyncio.Event()

    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> Charge:
        self.charged += 1
        if self.charged == 2:
            self.is_under_way.set()
            await self.may_arrive.wait()
        return await super().charge(key, token, amount_minor, currency)


async def test_called_off_while_the_second_charge_is_on_its_way(shop: Shop) -> None:
    tea = await shop.goods(2 * PRICE, 3)
    resources: Any = shop.served.resources
    late = Late(resources.db)
    resources.parts[CARDS] = saga(resources, late, timeout_seconds=60.0)
    async with asyncio.TaskGroup() as group:
        paying = group.create_task(pay(shop, tea, "tok_approve", "tok_approve", key="k"))
        await late.is_under_way.wait()
        await settle(shop)
        assert await kept(shop) == 0
        late.may_arrive.set()
    found = problem(paying.result(), 409, "sale_not_completed")
    assert found["reason"] == "card_silent"
    assert await audit(shop, tea, 3, cards=2) == (0, 0)
    assert await charges(shop) == ["refunded", "refunded"]


@pytest.mark.parametrize(
    ("tokens", "sells"),
    [
        (("tok_approve", "tok_approve"), True),
        (("tok_approve", "tok_decline"), False),
    ],
)
async def test_cut_after_each_step_it_ends_the_same(
    shop: Shop, tokens: tuple[str, str], sells: bool
) -> None:
    tea = await shop.goods(2 * PRICE, 200)
    assert await cut_after_each_step(shop, tea, *tokens) >= 8
    sales, _ = await audit(shop, tea, 200, cards=2)
    assert (sales > 0) is sells
