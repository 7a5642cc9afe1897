"""Where the money of a return goes, and onto which shelf its goods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.catalog.catalog_kit import SMALL, names, ok
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BALANCE = "/api/pos/gift-cards/balance"


async def gift_card(shop: Shop, amount: float, **rest: Any) -> tuple[str, str]:
    """Its code, and the sale that it was bought with."""
    paid = [{"method": "cash", "amount": amount}]
    body = {"registerId": shop.register, "amount": amount, "payments": paid, **rest}
    made = done(await shop.owner.post("/api/pos/gift-cards", body))
    return made["giftCard"]["code"], made["sale"]["id"]


async def back(shop: Shop, sale_id: str, number: int = 1, line: Any = None, **rest: Any) -> Any:
    lines = [{"number": number, "quantity": 1, **(line or {})}]
    body = {"registerId": shop.register, "lines": lines, **rest}
    return await shop.owner.post(f"/api/pos/sales/{sale_id}/returns", body)


async def balance(shop: Shop, code: str) -> tuple[float, str]:
    card = done(await shop.owner.get(BALANCE, params={"code": code}))
    return card["balance"], card["status"]


async def test_a_returned_card_does_not_receive_its_refund(shop: Shop) -> None:
    code, sale_id = await gift_card(shop, 40)
    onto = {"refundTo": "gift_card", "giftCardCode": code}
    problem(await back(shop, sale_id, **onto), 409, "refund_to_returned_card")
    assert await balance(shop, code) == (40, "active")
    assert done(await back(shop, sale_id))["refunds"] == [{"method": "cash", "amount": 40}]


async def test_each_line_goes_back_the_way_that_it_was_paid(shop: Shop) -> None:
    old, _ = await gift_card(shop, 20)
    tea = await shop.goods(20)
    lines = [{"productId": tea}, {"giftCard": {"amount": 20}}]
    paid = [
        {"method": "gift_card", "amount": 20, "code": old},
        {"method": "cash", "amount": 20},
    ]
    sale = done(await shop.sell(tea, lines=lines, payments=paid))
    new = done(await back(shop, sale["id"], 2))
    assert new["refunds"] == [{"method": "cash", "amount": 20}]
    assert await balance(shop, old) == (0, "active")
    goods = done(await back(shop, sale["id"], 1))
    assert goods["refunds"] == [{"method": "gift_card", "amount": 20}]
    assert await balance(shop, old) == (20, "active")


async def test_nothing_goes_onto_a_card_that_is_about_to_expire(shop: Shop) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    code, _ = await gift_card(shop, 20, expiresAt=soon)
    tea = await shop.goods(5)
    paid = [{"method": "gift_card", "amount": 5, "code": code}]
    sale_id = done(await shop.sell(tea, payments=paid))["id"]
    problem(await back(shop, sale_id), 409, "gift_card_expires_soon")
    assert await balance(shop, code) == (15, "active")
    assert await shop.on_hand(tea) == 9
    credit = done(await back(shop, sale_id, refundTo="store_credit"))["storeCredit"]
    assert await balance(shop, credit["code"]) == (5, "active")


async def test_goods_that_have_variants_by_now_are_restocked_as_one(shop: Shop) -> None:
    tea, other = await shop.goods(5, 2), await shop.goods(5, 0)
    sale_id = done(await shop.sell(tea, 2))["id"]
    green = await ok(shop.owner, "POST", f"/{tea}/variants", json=SMALL)
    stranger = await ok(shop.owner, "POST", f"/{other}/variants", json=SMALL)
    problem(await back(shop, sale_id), 409, "choose_variant")
    refused = await back(shop, sale_id, line={"restockAs": stranger["id"]})
    assert names(refused, "lines[0].restockAs") == "is no variant of what was sold"
    refused = await back(shop, sale_id, line={"restockAs": green["id"], "restock": False})
    problem(refused, 400)
    made = done(await back(shop, sale_id, line={"restockAs": green["id"]}))
    assert made["lines"][0]["restockedAs"] == green["id"]
    assert await shop.on_hand(green["id"]) == 1
    assert done(await shop.owner.get(f"/api/pos/returns/{made['id']}")) == made


async def test_cash_that_went_back_as_a_whole_stands_above_its_change(shop: Shop) -> None:
    code, _ = await gift_card(shop, 10)
    tea = await shop.goods(10)
    paid = [
        {"method": "gift_card", "amount": 10, "code": code},
        {"method": "cash", "amount": 5},
    ]
    sale = done(await shop.sell(tea, payments=paid))
    slip = await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt")
    money = [" ".join(line.split()) for line in slip.text.splitlines()]
    at = money.index("Gift card 10.00")
    assert money[at : at + 3] == ["Gift card 10.00", "Cash 5.00", "Change given 5.00"]
