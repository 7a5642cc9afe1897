"""Gift cards that are sold as lines of an ordinary basket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from core.principal import Role
from gateway.throttle import GIFT_CARD_GUESSES, Throttle
from tests.api.pos.card_kit import (
    audit,
    kept,
    settle,
)
from tests.api.shop import Caller, Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BALANCE = "/api/pos/gift-cards/balance"
PLASTIC = "ABCD-EFGH-JKMN-PQRS"


def basket(shop: Shop, *lines: dict[str, Any], **rest: Any) -> dict[str, Any]:
    payments = [{"method": "cash", "amount": 100}]
    return {"registerId": shop.register, "lines": list(lines), "payments": payments} | rest


def gift(amount: float, **fields: Any) -> dict[str, Any]:
    return {"giftCard": {"amount": amount, **fields}}


async def sell(shop: Shop, *lines: dict[str, Any], key: str | None = None, **rest: Any) -> Any:
    return await shop.owner.post("/api/pos/sales", basket(shop, *lines, **rest), key)


async def test_cards_and_goods_are_one_sale(shop: Shop) -> None:
    await shop.tax(20, included=True)
    tea = await shop.goods(12, 3)
    lines = gift(25), {"productId": tea}, gift(10, code=PLASTIC, expiresAt="2100-01-01T00:00:00Z")
    quoted = done(await shop.owner.post("/api/pos/quotes", {"lines": list(lines)}))
    assert (quoted["total"], quoted["tax"], quoted["shortages"]) == (47, 2, [])
    sale = done(await sell(shop, *lines, key="k", expectedTotal=47))
    assert done(await sell(shop, *lines, key="k", expectedTotal=47)) == sale
    assert (sale["total"], sale["tax"], sale["change"]) == (47, 2, 53)
    assert [line["total"] for line in sale["lines"]] == [25, 12, 10]
    first, second = sale["giftCards"]
    assert (first["line"], first["balance"], first["expiresAt"]) == (1, 25, None)
    assert (second["line"], second["code"], second["lastFour"]) == (3, PLASTIC, "PQRS")
    for told in (first, second):
        found = done(await shop.owner.get(BALANCE, params={"code": told["code"]}))
        assert found["balance"] == told["balance"]
    report = await shop.report()
    assert (report["salesTotal"], report["giftCardsSold"]) == (12, 35)
    assert report["expectedCash"] == 147
    again = done(await shop.owner.get(f"/api/pos/sales/{sale['id']}"))
    assert again["giftCards"] == [], "a code is told once"
    receipt = await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt?format=text")
    assert receipt.text.count("Gift card") == 2
    assert first["code"] not in receipt.text


async def test_a_card_that_never_ends_is_one_whose_end_can_be_told(shop: Shop) -> None:
    """What is refused took no money; what is taken is answered, each time."""
    refused = await sell(shop, gift(25, expiresAt="9999-12-31T23:59:59.9999999Z"), key="k")
    assert problem(refused, 400)["errors"][0]["field"] == "lines[0].giftCard.expiresAt"
    assert (await shop.report())["giftCardsSold"] == 0
    lines = gift(25, expiresAt="9999-12-31T23:59:59Z")
    sale = done(await sell(shop, lines, key="l"))
    assert sale["giftCards"][0]["expiresAt"] == "9999-12-31T23:59:59Z"
    assert done(await sell(shop, lines, key="l")) == sale


async def test_no_discount_touches_a_card(shop: Shop) -> None:
    tea = await shop.goods(10, 3)
    lines = {"productId": tea}, gift(30)
    sale = done(await sell(shop, *lines, discount={"percent": 20}))
    assert [line["discount"] for line in sale["lines"]] == [2, 0]
    assert sale["total"] == 38
    # The card does not make room for a larger discount on the goods, either.
    cashier = await shop.caller(Role.CASHIER)
    body = basket(shop, *lines, discount={"percent": 21})
    problem(await cashier.post("/api/pos/sales", body), 403, "discount_limit")


async def test_a_card_pays_for_the_rest_of_the_basket_alone(shop: Shop) -> None:
    tea = await shop.goods(10, 3)
    code = done(await sell(shop, gift(50)))["giftCards"][0]["code"]

    async def pay(amount: float) -> Any:
        payments = [
            {"method": "gift_card", "amount": amount, "code": code},
            {"method": "cash", "amount": round(40.5 - amount, 2)},
        ]
        return await sell(shop, {"productId": tea}, gift(30), tips=0.5, payments=payments)

    problem(await pay(10.51), 409, "gift_card_by_gift_card")
    assert done(await shop.owner.get(BALANCE, params={"code": code}))["balance"] == 50
    assert await shop.on_hand(tea) == 3
    done(await pay(10.5))
    assert done(await shop.owner.get(BALANCE, params={"code": code}))["balance"] == 39.5


async def test_each_code_is_sold_once(shop: Shop) -> None:
    tea = await shop.goods(10, 3)
    twice = await sell(shop, gift(5, code=PLASTIC), gift(5, code=PLASTIC.lower()))
    problem(twice, 409, "gift_card_exists")
    done(await sell(shop, gift(5, code=PLASTIC)))
    found = await sell(shop, {"productId": tea}, gift(5, code=PLASTIC))
    problem(found, 409, "gift_card_exists")
    assert await shop.on_hand(tea) == 3


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (gift(0), "lines[0].giftCard.amount"),
        (gift(-5), "lines[0].giftCard.amount"),
        (gift(1.005), "lines[0].giftCard.amount"),
        (gift(5, code="short"), "lines[0].giftCard.code"),
        (gift(5, code="749203857162"), "lines[0].giftCard.code"),  # of twelve digits
        (gift(5, code="7492-0385-7162   "), "lines[0].giftCard.code"),
        (gift(5, code="0000-0000-0000-0001"), "lines[0].giftCard.code"),
        (gift(5, code="1234567890123456"), "lines[0].giftCard.code"),
        (gift(5, expiresAt="2001-01-01T00:00:00Z"), "lines[0].giftCard.expiresAt"),
        (gift(5) | {"quantity": 2}, "lines[0]"),
        (gift(5) | {"discount": {"percent": 5}}, "lines[0]"),
        (gift(5) | {"sku": "T-1"}, "lines[0]"),
    ],
)
async def test_a_line_that_is_no_card(shop: Shop, line: dict[str, Any], field: str) -> None:
    found = problem(await sell(shop, line), 400)
    assert [error["field"] for error in found["errors"]] == [field]
    assert await shop.sees("SELECT id FROM gift_cards") == []


async def test_an_unused_card_comes_back_without_the_goods(shop: Shop) -> None:
    tea = await shop.goods(10, 3)
    cards = [{"method": "card", "amount": amount, "token": "tok_approve"} for amount in (15, 20)]
    sale = done(await sell(shop, {"productId": tea}, gift(25), payments=cards))
    path = f"/api/pos/sales/{sale['id']}/returns"
    back = {"registerId": shop.register, "lines": [{"number": 2, "quantity": 1}]}
    made = done(await shop.owner.post(path, back))
    assert [(refund["method"], refund["amount"]) for refund in made["refunds"]] == [
        ("card", 15),
        ("card", 10),
    ]
    await settle(shop)
    assert await kept(shop) == 1000
    code = sale["giftCards"][0]["code"]
    found = done(await shop.owner.get(BALANCE, params={"code": code}))
    assert (found["balance"], found["status"]) == (0, "disabled")


@pytest.mark.parametrize(
    ("second", "sales"), [("tok_unknown", 1), ("tok_unknown_declined", 0), ("tok_decline", 0)]
)
async def test_no_card_is_worth_anything_before_it_is_paid(
    shop: Shop, second: str, sales: int
) -> None:
    tea = await shop.goods(4, 3)
    tokens = ("tok_approve", second)
    payments = [{"method": "card", "amount": 7, "token": token} for token in tokens]
    lines = {"productId": tea}, gift(10, code=PLASTIC)
    began = await sell(shop, *lines, key="k", payments=payments)
    assert began.status_code in (202, 402)
    problem(await shop.owner.get(BALANCE, params={"code": PLASTIC}), 404)
    await settle(shop)
    assert await audit(shop, tea, 3, cards=2) == (sales, 1400 * sales)
    ended = await sell(shop, *lines, key="k", payments=payments)
    if sales:
        assert done(ended)["giftCards"][0]["code"] == PLASTIC
        assert done(await shop.owner.get(BALANCE, params={"code": PLASTIC}))["balance"] == 10
    else:
        problem(ended, 402, "card_declined")
        problem(await shop.owner.get(BALANCE, params={"code": PLASTIC}), 404)


async def test_a_code_is_not_put_aside(shop: Shop) -> None:
    parked = {"basket": {"lines": [gift(5, code=PLASTIC)]}}
    problem(await shop.owner.post("/api/pos/parked-sales", parked), 400)
    parked = {"basket": {"lines": [gift(5)]}}
    done(await shop.owner.post("/api/pos/parked-sales", parked))


async def test_nobody_finds_a_card_by_trying(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By none of the ways that tell whether there is one; a holder that knows the code is not held
    up."""
    served = shop.served.resources
    monkeypatch.setattr(served.edge, "throttle", Throttle(served.redis, served.clock))
    done(await sell(shop, gift(50, code=PLASTIC)))
    thief, cashier = await shop.caller(Role.CASHIER), await shop.caller(Role.CASHIER)
    tea = await shop.goods(10, 300)

    def codes() -> Iterator[str]:
        for number in range(GIFT_CARD_GUESSES.attempts):
            yield f"AAAA-BBBB-CCCC-{number:04}"

    for number, code in enumerate(codes()):
        if number % 2:
            problem(await thief.get(BALANCE, params={"code": code}), 404)
        else:
            problem(await pay(thief, shop, tea, code), 409, "gift_card_not_found")
        found = done(await cashier.get(BALANCE, params={"code": PLASTIC}))
        assert found["lastFour"] == "PQRS"
    waits = await thief.get(BALANCE, params={"code": PLASTIC})
    problem(waits, 429, "rate_limited")
    assert int(waits.headers["retry-after"]) >= 1
    problem(await pay(thief, shop, tea, PLASTIC), 429, "rate_limited")
    # Nor beside another card, where the goods are held first.
    problem(await pay(thief, shop, tea, PLASTIC, by_card=5), 429, "rate_limited")
    assert (await pay(cashier, shop, tea, PLASTIC)).status_code == 201


async def pay(
    clerk: Caller, shop: Shop, product: str, code: str, by_card: float = 0
) -> httpx2.Response:
    payments = [{"method": "gift_card", "amount": 10 - by_card, "code": code}]
    if by_card:
        payments.append({"method": "card", "amount": by_card, "token": "tok_approve"})
    lines = [{"productId": product}]
    body = {"registerId": shop.register, "lines": lines, "payments": payments}
    return await clerk.post("/api/pos/sales", body)
