"""Cash as countries have it: rounded to what there are coins for, on its own line everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from core.ids import uuid7
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_shop, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def till(
    here: InProcessStack, currency: str, opening: float, **business: Any
) -> AsyncIterator[Shop]:
    async with open_shop(here, currency, keyed=True) as shop:
        if business:
            done(await shop.owner.call("PUT", "/api/business", business))
        shop.register = await shop.open_register(opening_float=opening)
        yield shop


def cash(amount: float) -> dict[str, Any]:
    return {"payments": [{"method": "cash", "amount": amount}]}


async def back(shop: Shop, sale: dict[str, Any], quantity: int = 1) -> dict[str, Any]:
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": quantity}]}
    made: dict[str, Any] = done(await shop.owner.post(f"/api/pos/sales/{sale['id']}/returns", body))
    return made


def balances(report: dict[str, Any]) -> None:
    kept = sum(tender["taken"] - tender["refunded"] for tender in report["tenders"])
    sold = report["salesTotal"] - report["returnsTotal"] + report["tips"]
    assert round(sold + report["giftCardsSold"] + report["cashRounding"] - kept, 6) == 0


@pytest.mark.parametrize(
    ("currency", "business", "price", "handed", "rounding", "change"),
    [
        ("CHF", {}, 9.98, 20, 0.02, 10),
        ("SEK", {}, 99.5, 200, 0.5, 100),
        ("JPY", {}, 998, 1000, 0, 2),
        ("KWD", {}, 9.998, 20, 0, 10.002),
        ("KWD", {"cashRounding": 0.005}, 9.998, 20, 0.002, 10),
        ("EUR", {"cashRounding": 0.05}, 9.97, 10, -0.02, 0.05),
        ("CHF", {"cashRounding": 0}, 9.98, 20, 0, 10.02),
    ],
)
async def test_a_cash_sale_and_its_return(
    here: InProcessStack,
    currency: str,
    business: dict[str, Any],
    price: float,
    handed: float,
    rounding: float,
    change: float,
) -> None:
    async with till(here, currency, 1000, **business) as shop:
        tea = await shop.goods(price)
        basket = {"lines": [{"productId": tea}]}
        quoted = done(await shop.owner.post("/api/pos/quotes", basket))
        assert (quoted["total"], quoted["totalInCash"]) == (price, round(price + rounding, 3))
        sale = done(await shop.sell(tea, expectedTotal=price, **cash(handed)))
        found = (sale["total"], sale["cashRounding"], sale["change"])
        assert found == (price, rounding, change)
        assert done(await shop.owner.get(f"/api/pos/sales/{sale['id']}")) == sale
        x = await shop.report()
        assert (x["salesTotal"], x["cashRounding"]) == (price, rounding)
        assert x["expectedCash"] == round(1000 + price + rounding, 3)
        balances(x)
        slip = (await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt")).text
        assert ("Cash rounding" in slip) is bool(rounding)
        made = await back(shop, sale)
        assert (made["total"], made["cashRounding"]) == (price, rounding)
        assert made["refunds"] == [{"method": "cash", "amount": round(price + rounding, 3)}]
        assert done(await shop.owner.get(f"/api/pos/returns/{made['id']}")) == made
        body = {"counted": 1000}
        closing = f"/api/pos/registers/{shop.register}/shifts/close"
        z = done(await shop.owner.post(closing, body))
        assert (z["cashRounding"], z["difference"]) == (0, 0)
        balances(z)


async def test_only_the_part_in_cash_is_rounded(here: InProcessStack) -> None:
    async with till(here, "CHF", 100) as shop:
        tea = await shop.goods(9.98)
        split = [{"method": "external", "amount": 5.01}, {"method": "cash", "amount": 10}]
        sale = done(await shop.sell(tea, payments=split))
        assert (sale["total"], sale["cashRounding"], sale["change"]) == (9.98, -0.02, 5.05)
        money = [
            " ".join(line.split())
            for line in (
                await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt")
            ).text.splitlines()
        ]
        at = money.index("Total CHF 9.98")
        assert money[at : at + 3] == ["Total CHF 9.98", "Cash rounding -0.02", "To pay CHF 9.96"]
        at = money.index("Other 5.01")
        assert money[at : at + 3] == ["Other 5.01", "Cash 10.00", "Change given 5.05"]
        odd = problem(await shop.sell(tea, **cash(9.98)), 409, "cash_not_in_coins")
        assert (odd["due"], odd["step"]) == (10.0, 0.05)
        balances(await shop.report())


async def test_a_shift_keeps_the_rounding_that_it_was_opened_with(here: InProcessStack) -> None:
    async with till(here, "CHF", 100) as shop:
        tea = await shop.goods(9.98)
        business = "/api/business"
        wrong = await shop.owner.call("PUT", business, {"cashRounding": 0.03})
        assert problem(wrong, 400)["errors"][0]["field"] == "cashRounding"
        off = done(await shop.owner.call("PUT", business, {"cashRounding": 0}))
        assert off["cashRounding"] == 0
        assert done(await shop.sell(tea, **cash(10)))["cashRounding"] == 0.02
        shifts = f"/api/pos/registers/{shop.register}/shifts"
        done(await shop.owner.post(f"{shifts}/close", {"counted": 110}))
        done(await shop.owner.post(shifts, {"openingFloat": 100}))
        assert done(await shop.sell(tea, **cash(10)))["change"] == 0.02
        custom = done(await shop.owner.call("PUT", business, {"cashRounding": None}))
        assert custom["cashRounding"] is None


@pytest.mark.parametrize(
    ("rounding", "paid", "status"),
    [(0.02, 10, "recorded"), (-0.03, 10, "recorded"), (0.05, 10.03, "rejected")],
)
async def test_offline_it_is_taken_as_it_was_charged(
    here: InProcessStack, rounding: float, paid: float, status: str
) -> None:
    async with till(here, "CHF", 100, cashRounding=0) as shop:
        price = round(paid - rounding, 2)
        tea = await shop.goods(price)
        sold = {
            "clientSaleId": str(uuid7()),
            "occurredAt": datetime.now(UTC).isoformat(),
            "registerId": shop.register,
            "lines": [{"productId": tea, "unitPrice": price, "total": price}],
            "total": price,
            "cashRounding": rounding,
            "pricesIncludeTax": True,
            **cash(paid),
        }
        answer = done(await shop.owner.post("/api/pos/offline-sales", {"sales": [sold]}))
        [result] = answer["sales"]
        assert result["status"] == status, result
        if status == "rejected":
            assert result["problem"]["errors"][0]["field"] == "cashRounding"
            return
        sale = done(await shop.owner.get(f"/api/pos/sales/{result['saleId']}"))
        assert (sale["total"], sale["cashRounding"], sale["change"]) == (price, rounding, 0)
        balances(await shop.report())
        by_terminal = sold | {"clientSaleId": str(uuid7())}
        by_terminal["payments"] = [{"method": "external", "amount": paid}]
        answer = done(await shop.owner.post("/api/pos/offline-sales", {"sales": [by_terminal]}))
        assert answer["sales"][0]["status"] == "rejected"
