"""Whose drawer it is, where a register stands, and what its clock says."""

from __future__ import annotations

from typing import Any

import pytest

from core.principal import Role
from tests.api.pos.offline_kit import ago, offline, refused, upload
from tests.api.shop import Caller, Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAID_OUT = {"kind": "paid_out", "amount": 5, "reason": "stamps"}
OPENED = {"reason": "a coin fell in"}


async def test_a_drawer_is_opened_by_its_cashier_and_by_managers(shop: Shop) -> None:
    ann, bob = await shop.caller(Role.CASHIER), await shop.caller(Role.CASHIER)
    manager = await shop.caller(Role.MANAGER)
    till = f"/api/pos/registers/{await shop.open_register(ann)}"
    for by in (bob, await shop.caller(Role.STAFF)):
        problem(await by.post(f"{till}/cash-movements", PAID_OUT), 403, "not_your_shift")
        problem(await by.post(f"{till}/no-sale", OPENED), 403, "not_your_shift")
    for by, left in ((ann, 95), (manager, 90)):
        moved = done(await by.post(f"{till}/cash-movements", PAID_OUT))
        assert moved["expectedCash"] == left
        assert done(await by.post(f"{till}/no-sale", OPENED))["expectedCash"] == left
    problem(await bob.get(f"{till}/shifts/current"), 403, "not_your_shift")


async def test_cash_goes_back_out_of_ones_own_drawer(shop: Shop) -> None:
    ann, bob = await shop.caller(Role.CASHIER), await shop.caller(Role.CASHIER)
    register, tea = await shop.open_register(ann), await shop.goods(2)

    async def back(by: Caller, **how: Any) -> Any:
        sale = done(await shop.sell(tea, by=ann, registerId=register))
        body = {"registerId": register, "lines": [{"number": 1, "quantity": 1}]} | how
        return await by.post(f"/api/pos/sales/{sale['id']}/returns", body)

    problem(await back(bob), 403, "not_your_shift")
    done(await back(bob, refundTo="store_credit"))
    done(await back(ann))
    done(await back(shop.owner))


async def test_the_register_says_where_it_is(shop: Shop) -> None:
    away = str(await shop.location())
    made = done(await shop.owner.post("/api/pos/registers", {"name": "B", "locationId": away}))
    register = f"/api/pos/registers/{made['id']}"
    done(await shop.owner.post(f"{register}/shifts", {"openingFloat": 0}))
    tea = await shop.goods(2)
    added = {"productId": tea, "quantity": 3, "locationId": away}
    done(await shop.owner.post("/api/inventory/add", added))
    basket = {"registerId": made["id"], "lines": [{"productId": tea, "quantity": 5}]}
    short = done(await shop.owner.post("/api/pos/quotes", basket))["shortages"]
    assert [one["available"] for one in short] == [3]
    sale = done(await shop.sell(tea, registerId=made["id"]))
    assert sale["locationId"] == away
    (told,) = (await upload(shop.owner, offline(shop, tea, registerId=made["id"])))["sales"]
    assert done(await shop.owner.get(f"/api/pos/sales/{told['saleId']}"))["locationId"] == away
    parked = done(await shop.owner.post("/api/pos/parked-sales", {"basket": basket}))
    assert parked["locationId"] == away
    back = {
        "registerId": made["id"],
        "lines": [{"productId": tea}],
        "refundTo": "cash",
        "reason": "no receipt",
    }
    assert done(await shop.owner.post("/api/pos/returns", back))["locationId"] == away
    card = {"registerId": made["id"], "amount": 5, "payments": [{"method": "cash", "amount": 5}]}
    assert done(await shop.owner.post("/api/pos/gift-cards", card))["sale"]["locationId"] == away


async def test_a_register_that_moved_is_asked_again(shop: Shop) -> None:
    away, tea = str(await shop.location()), await shop.goods(2)
    done(await shop.sell(tea))
    register = f"/api/pos/registers/{shop.register}"
    done(await shop.owner.post(f"{register}/shifts/close", {"counted": 102}))
    done(await shop.owner.call("PUT", register, {"locationId": away}))
    done(await shop.owner.post(f"{register}/shifts", {"openingFloat": 0}))
    added = {"productId": tea, "quantity": 3, "locationId": away}
    done(await shop.owner.post("/api/inventory/add", added))
    problem(await shop.sell(tea), 409, "wrong_location")
    assert done(await shop.sell(tea))["locationId"] == away


async def test_a_clock_that_is_fast_is_told(shop: Shop) -> None:
    tea = await shop.goods(2)
    (made,) = (await upload(shop.owner, offline(shop, tea, occurredAt=ago(minutes=-2))))["sales"]
    sale = done(await shop.owner.get(f"/api/pos/sales/{made['saleId']}"))
    assert sale["createdAt"] == sale["offline"]["uploadedAt"]
    assert 100 < sale["offline"]["clockAheadSeconds"] <= 120
    (made,) = (await upload(shop.owner, offline(shop, tea)))["sales"]
    sale = done(await shop.owner.get(f"/api/pos/sales/{made['saleId']}"))
    assert sale["offline"]["clockAheadSeconds"] == 0
    late = await refused(shop, offline(shop, tea, occurredAt=ago(minutes=-10)))
    assert late["errors"][0]["field"] == "occurredAt"


@pytest.mark.parametrize(("tax", "status"), [(13.30, "recorded"), (13.53, "rejected")])
async def test_tax_that_was_rounded_for_each_piece(shop: Shop, tax: float, status: str) -> None:
    tea, total = await shop.goods(2), round(69.3 + tax, 2)
    line = {"productId": tea, "quantity": 70, "unitPrice": 0.99, "taxPercent": 19}
    body = offline(shop, tea) | {
        "lines": [line | {"tax": tax, "total": total}],
        "total": total,
        "pricesIncludeTax": False,
        "payments": [{"method": "cash", "amount": total}],
    }
    (made,) = (await upload(shop.owner, body))["sales"]
    assert made["status"] == status


async def test_wide_letters_take_two_columns(shop: Shop) -> None:
    bento = await shop.goods(2, name="豚肉・木耳と玉子炒め弁当" * 2)
    sale = done(await shop.sell(bento))
    slip = (await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt")).text
    lines = [line for line in slip.splitlines() if not line.isascii()]
    widths = [sum(1 + (ord(letter) > 0x2E7F) for letter in line) for line in lines]
    assert len(widths) > 1
    assert max(widths) == widths[-1] == 42
