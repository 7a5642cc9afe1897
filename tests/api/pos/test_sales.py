"""Sales end to end: priced, paid, committed together, numbered without gaps."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from core.principal import Role
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_sale_moves_stock_drawer_and_number_together(shop: Shop) -> None:
    tea, cup = await shop.goods(2.5, 10, sku="TEA"), await shop.goods(4, 5, barcode="400123")
    body = {
        "registerId": shop.register,
        "lines": [
            {"sku": "TEA", "quantity": 3},
            {"barcode": "400123", "quantity": 1, "discount": {"percent": 10}},
        ],
        "discount": {"amount": 1},
        "tips": 0.5,
        "payments": [
            {"method": "external", "amount": 5, "reference": "terminal 7"},
            {"method": "cash", "amount": 10},
        ],
        "note": "for Ada",
    }
    sale = done(await shop.owner.post("/api/pos/sales", body))
    assert (sale["total"], sale["change"], sale["receiptNumber"]) == (10.6, 4.4, 1)
    # 7.50 and 3.60 after the line's own discount; 1.00 is spread as 0.68 and 0.32.
    assert [line["total"] for line in sale["lines"]] == [6.82, 3.28]
    assert [line["discount"] for line in sale["lines"]] == [0.68, 0.72]
    assert sale["rounding"] == "per line, half away from zero"
    assert (await shop.on_hand(tea), await shop.on_hand(cup)) == (7, 4)
    report = await shop.report()
    assert (report["sales"], report["salesTotal"], report["tips"]) == (1, 10.1, 0.5)
    assert report["expectedCash"] == 105.6
    assert await shop.sees("SELECT type FROM outbox WHERE type LIKE 'pos.%'") == [
        {"type": "pos.sale.completed.v1"}
    ]
    again = done(await shop.owner.get(f"/api/pos/sales/{sale['id']}"))
    assert again == sale


async def test_a_code_is_found_in_whichever_form_it_is_typed(shop: Shop) -> None:
    composed, apart = "caf\u00e9-1", "cafe\u0301-1"
    product = await shop.goods(sku=apart, barcode=composed)
    for line in ({"sku": composed}, {"sku": apart}, {"barcode": apart}):
        sold = done(await shop.sell(product, lines=[line]))
        assert (sold["lines"][0]["productId"], sold["lines"][0]["sku"]) == (product, composed)
    for query in ({"sku": apart}, {"sku": composed}, {"barcode": apart}):
        answer = await shop.owner.call("GET", f"/api/products?{urlencode(query)}")
        assert [item["id"] for item in answer.json()["data"]] == [product]


async def test_tax_inclusive_and_exclusive_are_rounded_per_line(shop: Shop) -> None:
    await shop.tax(19, included=True)
    tea = await shop.goods(1.99)
    basket = {"lines": [{"productId": tea, "quantity": 3}, {"productId": tea}]}
    quote = done(await shop.owner.post("/api/pos/quotes", basket))
    assert [line["tax"] for line in quote["lines"]] == [0.95, 0.32]
    assert (quote["total"], quote["tax"], quote["pricesIncludeTax"]) == (7.96, 1.27, True)
    assert quote["taxes"] == [{"taxPercent": 19.0, "net": 6.69, "tax": 1.27}]
    await shop.sees("UPDATE businesses SET prices_include_tax = false RETURNING id")
    quote = done(await shop.owner.post("/api/pos/quotes", basket))
    assert [line["tax"] for line in quote["lines"]] == [1.13, 0.38]
    assert quote["total"] == 9.47


async def test_payments_must_cover_and_change_comes_from_cash(shop: Shop) -> None:
    tea = await shop.goods(10)
    cash = {"method": "cash", "amount": 4}
    other = {"method": "external", "amount": 12}
    short = await shop.sell(tea, payments=[cash])
    assert problem(short, 409, "payment_short")["due"] == 10
    over = await shop.sell(tea, payments=[other])
    assert problem(over, 409, "change_not_cash")["change"] == 2
    both = [{"method": "external", "amount": 7.5}, cash]
    assert done(await shop.sell(tea, payments=both))["change"] == 1.5
    assert await shop.on_hand(tea) == 9


async def test_what_cannot_be_is_refused_and_writes_nothing(shop: Shop) -> None:
    tea = await shop.goods(1, 2)
    short = problem(await shop.sell(tea, 3), 409, "insufficient_stock")
    assert short["shortages"] == [{"productId": tea, "requested": 3, "available": 2}]
    quote = {"lines": [{"productId": tea, "quantity": 3}]}
    assert done(await shop.owner.post("/api/pos/quotes", quote))["shortages"] == short["shortages"]
    assert problem(await shop.sell(tea, expectedTotal=2), 409, "total_changed")["total"] == 1
    problem(await shop.sell(tea, registerId=str(uuid4())), 404)
    problem(await shop.sell(tea, locationId=str(uuid4())), 404)
    unknown = problem(await shop.sell(str(uuid4())), 404)
    assert unknown["errors"][0]["field"] == "lines[0].productId"
    both = [{"productId": tea, "sku": "x"}]
    assert problem(await shop.sell(tea, lines=both), 400)["errors"]
    counted = {"counted": 100}
    done(await shop.owner.post(f"/api/pos/registers/{shop.register}/shifts/close", counted))
    problem(await shop.sell(tea), 409, "shift_closed")
    assert await shop.on_hand(tea) == 2
    assert await shop.sees("SELECT * FROM pos_sales") == []


async def test_a_repeat_is_one_sale(shop: Shop) -> None:
    tea = await shop.goods(1, 5)
    answers = await asyncio.gather(*(shop.sell(tea, key="k1") for _ in range(10)))
    assert len({answer.text for answer in answers}) == 1
    assert await shop.on_hand(tea) == 4
    problem(await shop.sell(tea, 2, key="k1"), 422)


async def test_a_crowd_sells_no_more_than_there_is_and_leaves_no_gap(shop: Shop) -> None:
    tea = await shop.goods(1, 30)
    answers = await asyncio.gather(*(shop.sell(tea) for _ in range(60)))
    sold = [answer.json()["data"] for answer in answers if answer.status_code == 201]
    assert len(sold) == 30
    assert sorted(sale["receiptNumber"] for sale in sold) == list(range(1, 31))
    assert await shop.on_hand(tea) == 0
    assert (await shop.report())["expectedCash"] == 130


async def test_a_hold_is_sold_and_what_is_missing_comes_from_the_shelf(shop: Shop) -> None:
    tea = await shop.goods(1, 5)
    held = {"productId": tea, "quantity": 4}
    hold = done(await shop.owner.post("/api/inventory/reserve", held))["id"]
    problem(await shop.sell(tea, 2), 409, "insufficient_stock")
    problem(await shop.sell(tea, 2, reservationId=hold), 409, "reservation_differs")
    problem(await shop.sell(tea, 2, reservationId=str(uuid4())), 409, "reservation_not_found")
    done(await shop.sell(tea, 5, reservationId=hold))
    assert await shop.on_hand(tea) == 0
    problem(await shop.sell(tea, 5, reservationId=hold), 409, "reservation_not_open")


async def test_cashiers_see_and_do_what_is_theirs(shop: Shop) -> None:
    tea = await shop.goods(1, 9)
    ann, bob = await shop.caller(Role.CASHIER), await shop.caller(Role.CASHIER)
    theirs = done(await shop.sell(tea))
    register = await shop.open_register(by=ann)
    mine = done(await shop.sell(tea, by=ann, registerId=register))
    listed = (await ann.get("/api/pos/sales")).json()
    assert [sale["id"] for sale in listed["data"]] == [mine["id"]]
    path = f"/api/pos/sales/{theirs['id']}"
    problem(await ann.get(path), 404)
    # With the receipt in hand it may be looked up.
    assert done(await ann.get(path, params={"receiptNumber": 1}))["id"] == theirs["id"]
    found = {"registerId": shop.register, "receiptNumber": 1}
    assert (await ann.get("/api/pos/sales", params=found)).json()["pagination"]["total"] == 1
    problem(await bob.get(f"/api/pos/registers/{register}/shifts/current"), 403, "not_your_shift")
    closing = f"/api/pos/registers/{register}/shifts/close"
    problem(await bob.post(closing, {"counted": 0}), 403, "not_your_shift")
    given = {"discount": {"percent": 21}, "registerId": register}
    problem(await shop.sell(tea, by=ann, **given), 403, "discount_limit")
    assert done(await shop.sell(tea, **given))["total"] == 0.79
    problem(await ann.post("/api/pos/registers", {"name": "Mine"}), 403)
    # A manager closes whatever shift was left open.
    assert done(await shop.owner.post(closing, {"counted": 1}))["kind"] == "Z"


async def test_sales_are_listed_by_the_locations_day(shop: Shop) -> None:
    tea = await shop.goods(1, 9)
    sale = done(await shop.sell(tea))
    local = await shop.sees(
        "SELECT (created_at AT TIME ZONE 'Europe/Berlin')::date::text AS day FROM pos_sales"
    )

    async def listed(**query: Any) -> list[str]:
        found = (await shop.owner.get("/api/pos/sales", params=query)).json()
        return [sale["id"] for sale in found["data"]]

    assert await listed(date=local[0]["day"]) == [sale["id"]]
    assert await listed(date="2001-01-01") == []
    assert await listed(shiftId=sale["shiftId"], cashierId=str(shop.owner.id)) == [sale["id"]]
    assert await listed(receiptNumber=2) == []
    for day in ("9999-12-31", "0001-01-01", "tomorrow"):
        problem(await shop.owner.get("/api/pos/sales", params={"date": day}), 400)


async def test_a_parked_sale_is_taken_up_once(shop: Shop) -> None:
    tea = await shop.goods(1, 9)
    basket = {"lines": [{"productId": tea, "quantity": 2}], "tips": 0.25}
    parked = done(await shop.owner.post("/api/pos/parked-sales", {"basket": basket, "label": "A"}))
    assert (await shop.owner.get("/api/pos/parked-sales")).json()["data"] == [parked]
    path = f"/api/pos/parked-sales/{parked['id']}/resume"
    cashiers = [await shop.caller(Role.CASHIER) for _ in range(4)]
    answers = await asyncio.gather(*(cashier.post(path) for cashier in cashiers))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    taken = next(answer.json()["data"] for answer in answers if answer.status_code == 200)
    body = taken["basket"] | {"registerId": shop.register}
    body["payments"] = [{"method": "cash", "amount": 2.25}]
    assert done(await shop.owner.post("/api/pos/sales", body))["total"] == 2.25
