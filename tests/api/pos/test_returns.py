"""Returns, voids, gift cards, reports, receipts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re

import pytest

from core.principal import Role
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASH = {"method": "cash", "amount": 20}
WHY = {"reason": "wrong tea"}
BALANCE, DISABLE = "/api/pos/gift-cards/balance", "/api/pos/gift-cards/disable"


async def test_what_comes_back_is_never_more_than_was_sold_or_paid(shop: Shop) -> None:
    tea = await shop.goods(3.33, 5)
    sale = done(await shop.sell(tea, 3, discount={"amount": 1}))
    path = f"/api/pos/sales/{sale['id']}/returns"

    async def back(quantity: int, **rest: object) -> object:
        line = {"number": 1, "quantity": quantity, **rest}
        return await shop.owner.post(path, {"registerId": shop.register, "lines": [line]})

    first = done(await back(1))  # type: ignore[arg-type]
    assert (first["total"], first["receiptNumber"]) == (2.99, 2)
    assert first["refunds"] == [{"method": "cash", "amount": 2.99}]
    assert problem(await back(3), 409, "more_than_sold")["left"] == 2  # type: ignore[arg-type]
    second = done(await back(2, restock=False))  # type: ignore[arg-type]
    assert (first["total"], second["total"]) == (2.99, 6.0)
    assert await shop.on_hand(tea) == 3
    after = done(await shop.owner.get(f"/api/pos/sales/{sale['id']}"))
    assert (after["status"], after["refunded"]) == ("returned", 8.99)
    listed = (await shop.owner.get(path)).json()["data"]
    assert [row["id"] for row in listed] == [first["id"], second["id"]]
    events = await shop.sees("SELECT type FROM outbox WHERE type = 'pos.sale.returned.v1'")
    assert len(events) == 2
    assert (await shop.report())["expectedCash"] == 100


async def test_parallel_returns_give_the_money_back_once(shop: Shop) -> None:
    tea = await shop.goods(1, 9)
    sale = done(await shop.sell(tea, 4))
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    path = f"/api/pos/sales/{sale['id']}/returns"
    answers = await asyncio.gather(*(shop.owner.post(path, body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 6
    assert await shop.on_hand(tea) == 9


async def test_money_goes_back_where_it_came_from_unless_a_manager_says_so(shop: Shop) -> None:
    tea = await shop.goods(10, 9)
    paid = [{"method": "external", "amount": 6}, {"method": "cash", "amount": 4}]
    sale = done(await shop.sell(tea, payments=paid))
    clerk = await shop.caller(Role.CASHIER)
    path = f"/api/pos/sales/{sale['id']}/returns"
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    problem(await clerk.post(path, body | {"refundTo": "cash"}), 403, "manager_needed")
    problem(await clerk.post(path, body), 403, "not_your_shift")
    body["registerId"] = await shop.open_register(clerk)
    made = done(await clerk.post(path, body))
    assert made["refunds"] == [
        {"method": "external", "amount": 6},
        {"method": "cash", "amount": 4},
    ]
    sale = done(await shop.sell(tea, payments=paid))
    path = f"/api/pos/sales/{sale['id']}/returns"
    made = done(await clerk.post(path, body | {"refundTo": "store_credit"}, "credit"))
    credit = made["storeCredit"]
    assert credit["balance"] == 10
    repeated = done(await clerk.post(path, body | {"refundTo": "store_credit"}, "credit"))
    assert repeated["storeCredit"] == credit, "a lost answer loses no card"
    card = done(await clerk.get(BALANCE, params={"code": credit["code"]}))
    assert (card["balance"], card["status"]) == (10, "active")
    spent = {"method": "gift_card", "amount": 10, "code": credit["code"].lower()}
    done(await shop.sell(tea, payments=[spent]))
    problem(await shop.sell(tea, payments=[spent]), 409, "gift_card_short")


async def test_a_void_takes_everything_back_in_its_own_shift(shop: Shop) -> None:
    tea = await shop.goods(5, 9)
    sale = done(await shop.sell(tea, 2, tips=1))
    path = f"/api/pos/sales/{sale['id']}/void"
    problem(await (await shop.caller(Role.CASHIER)).post(path, WHY), 403)
    made = done(await shop.owner.post(path, WHY))
    assert (made["void"], made["total"], made["tips"]) == (True, 11, 1)
    problem(await shop.owner.post(path, WHY), 409, "already_returned")
    assert await shop.on_hand(tea) == 9
    report = await shop.report()
    assert (report["salesTotal"], report["returnsTotal"], report["tips"]) == (10, 10, 0)
    assert report["expectedCash"] == 100
    late = done(await shop.sell(tea))
    closing = f"/api/pos/registers/{shop.register}/shifts"
    done(await shop.owner.post(f"{closing}/close", {"counted": 105}))
    done(await shop.owner.post(closing, {"openingFloat": 50}))
    late_path = f"/api/pos/sales/{late['id']}/void"
    problem(await shop.owner.post(late_path, WHY), 409, "void_too_late")


async def test_without_a_receipt_a_manager_takes_goods_back(shop: Shop) -> None:
    tea = await shop.goods(5, 0)
    body = {
        "registerId": shop.register,
        "lines": [{"productId": tea, "quantity": 2, "restock": True}],
        "refundTo": "cash",
        "reason": "lost receipt",
    }
    problem(await (await shop.caller(Role.CASHIER)).post("/api/pos/returns", body), 403)
    made = done(await shop.owner.post("/api/pos/returns", body))
    assert (made["saleId"], made["total"]) == (None, 10)
    assert await shop.on_hand(tea) == 2
    assert (await shop.report())["expectedCash"] == 90
    body["lines"] = [{"productId": tea, "quantity": 100}]
    problem(await shop.owner.post("/api/pos/returns", body), 409, "drawer_short")
    assert await shop.on_hand(tea) == 2


async def test_gift_cards_are_sold_spent_and_disabled(shop: Shop) -> None:
    tea = await shop.goods(1, 2_000)
    body = {"registerId": shop.register, "amount": 25, "payments": [CASH | {"amount": 30}]}
    made = done(await shop.owner.post("/api/pos/gift-cards", body, "card-1"))
    code = made["giftCard"]["code"]
    assert made["sale"]["change"] == 5
    assert done(await shop.owner.post("/api/pos/gift-cards", body, "card-1")) == made
    report = await shop.report()
    assert (report["salesTotal"], report["giftCardsSold"]) == (0, 25)
    paid = {"method": "gift_card", "amount": 1, "code": code}
    done(await shop.sell(tea, payments=[paid]))
    found = done(await shop.owner.get(BALANCE, params={"code": code}))
    assert (found["balance"], found["lastFour"]) == (24, code[-4:])
    stored = await shop.sees("SELECT to_jsonb(c) AS card FROM gift_cards c")
    assert code.replace("-", "") not in str(stored)
    # A card that was used does not come back.
    path = f"/api/pos/sales/{made['sale']['id']}/returns"
    back = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    problem(await shop.owner.post(path, back), 409, "gift_card_used")
    problem(await (await shop.caller(Role.CASHIER)).post(DISABLE, {"code": code}), 403)
    done(await shop.owner.post(DISABLE, {"code": code}))
    problem(await shop.sell(tea, payments=[paid]), 409, "gift_card_disabled")
    unknown = paid | {"code": "0000-0000-0000-0000"}
    problem(await shop.sell(tea, payments=[unknown]), 409, "gift_card_not_found")
    problem(await shop.owner.get(BALANCE, params={"code": "0" * 16}), 404)
    again = body | {"code": code}
    problem(await shop.owner.post("/api/pos/gift-cards", again), 409, "gift_card_exists")


async def test_an_unused_gift_card_comes_back(shop: Shop) -> None:
    body = {"registerId": shop.register, "amount": 25, "payments": [CASH | {"amount": 25}]}
    made = done(await shop.owner.post("/api/pos/gift-cards", body))
    path = f"/api/pos/sales/{made['sale']['id']}/void"
    assert done(await shop.owner.post(path, WHY))["total"] == 25
    card = done(await shop.owner.get(BALANCE, params={"code": made["giftCard"]["code"]}))
    assert (card["balance"], card["status"]) == (0, "disabled")


async def test_the_drawers_book_and_the_reports(shop: Shop) -> None:
    await shop.tax(20, included=True)
    tea = await shop.goods(6, 9)
    register = f"/api/pos/registers/{shop.register}"
    moving = f"{register}/cash-movements"
    paid_in = {"kind": "paid_in", "amount": 20, "reason": "change"}
    assert done(await shop.owner.post(moving, paid_in))["expectedCash"] == 120
    out = {"kind": "paid_out", "amount": 500, "reason": "milk"}
    assert problem(await shop.owner.post(moving, out), 409, "drawer_short")["expected"] == 120
    done(await shop.owner.post(moving, out | {"amount": 5}))
    done(await shop.owner.post(f"{register}/no-sale", WHY))
    sale = done(await shop.sell(tea, 2, discount={"percent": 10}))
    x = await shop.report()
    assert (x["kind"], x["salesTotal"], x["discounts"]) == ("X", 10.8, 1.2)
    assert x["taxes"] == [{"taxPercent": 20.0, "net": 9.0, "tax": 1.8}]
    cash = {"method": "cash", "payments": 1, "taken": 10.8, "refunded": 0.0}
    assert x["tenders"] == [cash]
    assert (x["paidIn"], x["paidOut"], x["noSales"], x["expectedCash"]) == (20, 5, 1, 125.8)
    counted = {"denominations": [{"value": 50, "pieces": 2}, {"value": 0.5, "pieces": 50}]}
    wrong = counted | {"counted": 1}
    problem(await shop.owner.post(f"{register}/shifts/close", wrong), 400)
    z = done(await shop.owner.post(f"{register}/shifts/close", counted, "close-1"))
    assert (z["kind"], z["number"], z["countedCash"], z["difference"]) == ("Z", 1, 125, -0.8)
    problem(await shop.owner.get(f"{register}/shifts/current"), 409, "shift_closed")
    # What happens later does not touch it.
    done(await shop.owner.post(f"{register}/shifts", {"openingFloat": 50}))
    back = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    done(await shop.owner.post(f"/api/pos/sales/{sale['id']}/returns", back))
    stored = done(await shop.owner.get(f"/api/pos/shifts/{z['id']}/report"))
    assert stored == z
    assert done(await shop.owner.post(f"{register}/shifts/close", counted, "close-1")) == z
    book = (await shop.owner.get(f"/api/pos/shifts/{z['id']}/cash-movements")).json()["data"]
    assert [(movement["kind"], movement["amount"]) for movement in book] == [
        ("paid_in", 20),
        ("paid_out", 5),
        ("no_sale", 0),
    ]
    shifts = (await shop.owner.get(f"{register}/shifts")).json()["data"]
    assert [(shift["number"], shift["closedAt"] is None) for shift in shifts] == [
        (2, True),
        (1, False),
    ]
    cashier = await shop.caller(Role.CASHIER)
    problem(await cashier.get(f"/api/pos/shifts/{z['id']}/report"), 404)


async def test_receipts_in_three_forms(shop: Shop) -> None:
    await shop.tax(20, included=False)
    tea = await shop.goods(6, 9, name="Assam <strong> 茶")
    sale = done(await shop.sell(tea, 2, tips=1))
    path = f"/api/pos/sales/{sale['id']}/receipt"
    plain = await shop.owner.get(path)
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Receipt 1" in plain.text
    assert "2 x Assam <strong> 茶 at 6.00" in plain.text
    assert max(map(len, plain.text.splitlines())) <= 42
    cash = [line.split() for line in plain.text.splitlines() if line.startswith(("Cash", "Change"))]
    assert cash == [["Cash", "20.00"], ["Change", "given", "4.60"]]
    page = await shop.owner.get(path, headers={"Accept": "text/html,*/*"})
    assert "Assam &lt;strong&gt;" in page.text
    [style] = re.findall("<style>(.*?)</style>", page.text)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    pdf = await shop.owner.get(path, params={"format": "pdf"})
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert pdf.content.rstrip().endswith(b"%%EOF")
    made = done(await shop.owner.post(f"/api/pos/sales/{sale['id']}/void", WHY))
    slip = await shop.owner.get(f"/api/pos/returns/{made['id']}/receipt")
    assert "Void, receipt 2" in slip.text
    problem(await (await shop.caller(Role.CASHIER)).get(path), 404)
    problem(await shop.owner.get(path, params={"format": "png"}), 400)
