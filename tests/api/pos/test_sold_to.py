"""Sales name customers that there are, and who is exempt from tax pays none."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.api.crm.cases import URL
from tests.api.pos.offline_kit import offline, upload
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXEMPT = {"reason": "Embassy", "certificateNumber": "E-7"}


async def customer(shop: Shop, **fields: Any) -> str:
    body = {"name": "Ann"} | fields
    return str(done(await shop.owner.post(f"{URL}/customers", body))["id"])


def basket(shop: Shop, product: str, buyer: str | None, quantity: int = 3) -> dict[str, Any]:
    lines = [{"productId": product, "quantity": quantity}]
    return {"registerId": shop.register, "lines": lines, "customerId": buyer}


async def test_a_customer_who_is_nowhere_is_named(shop: Shop) -> None:
    tea = await shop.goods(2.5)
    theirs = await customer(await shop.another())
    gone = await customer(shop)
    assert (await shop.owner.call("DELETE", f"{URL}/customers/{gone}")).status_code == 200
    card = {"registerId": shop.register, "amount": 5, "payments": [{"method": "cash", "amount": 5}]}
    for nobody in (str(uuid4()), theirs, gone):
        wanted = basket(shop, tea, nobody)
        for path, body, field in (
            ("quotes", wanted, "customerId"),
            ("sales", wanted | {"payments": [{"method": "cash", "amount": 20}]}, "customerId"),
            ("gift-cards", card | {"customerId": nobody}, "customerId"),
            ("parked-sales", {"basket": wanted}, "basket.customerId"),
        ):
            wrong = problem(await shop.owner.post(f"/api/pos/{path}", body), 404)
            assert [error["field"] for error in wrong["errors"]] == [field], path
    uploaded = await upload(shop.owner, offline(shop, tea, customerId=theirs))
    (rejected,) = uploaded["sales"]
    assert rejected["problem"]["errors"][0]["field"] == "customerId"
    # What has happened is recorded also of one that was deleted since.
    assert (await upload(shop.owner, offline(shop, tea, customerId=gone)))["recorded"] == 1


async def test_the_database_itself_knows_each_customer(shop: Shop) -> None:
    tea = await shop.goods(2.5)
    sale = done(await shop.sell(tea, customerId=await customer(shop)))["id"]
    with pytest.raises(Exception, match="customers"):
        await shop.rows("UPDATE pos_sales SET customer_id = $1 WHERE id = $2", uuid4(), sale)


async def test_sales_of_a_customer(shop: Shop) -> None:
    tea, ann, bo = await shop.goods(2.5), await customer(shop), await customer(shop)
    sold = [done(await shop.sell(tea, customerId=buyer))["id"] for buyer in (ann, bo, ann)]
    listed = done(await shop.owner.get("/api/pos/sales", params={"customerId": ann}))
    assert [sale["id"] for sale in listed] == [sold[2], sold[0]]
    assert {sale["customerId"] for sale in listed} == {ann}


@pytest.mark.parametrize(
    ("included", "total", "taxed_total"), [(True, 6.3, 7.5), (False, 7.5, 8.93)]
)
async def test_who_is_exempt_pays_no_tax(
    shop: Shop, included: bool, total: float, taxed_total: float
) -> None:
    """Also through the lean route, and what comes back is what was paid."""
    await shop.tax(19, included=included)
    tea = await shop.goods(2.5, 30)
    exempt, other = await customer(shop, taxExemption=EXEMPT), await customer(shop)
    over = await customer(shop, taxExemption=EXEMPT | {"validUntil": "2020-01-01"})
    for buyer, due in ((exempt, total), (other, taxed_total), (over, taxed_total)):
        spared = buyer == exempt
        quote = done(await shop.owner.post("/api/pos/quotes", basket(shop, tea, buyer)))
        sale = done(await shop.sell(tea, 3, customerId=buyer, expectedTotal=due))
        for found in (quote, sale):
            assert (found["total"], found["tax"] == 0) == (due, spared), found
            assert found["taxExemption"] == ("Embassy, E-7" if spared else None)
            assert found["lines"][0]["taxPercent"] == (0 if spared else 19)
        read = done(await shop.owner.get(f"/api/pos/sales/{sale['id']}"))
        assert {name: read[name] for name in sale} == sale
        slip = (
            await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt", params={"format": "text"})
        ).text
        assert ("tax exempt Embassy, E-7" in slip) is spared, slip
        assert (f"Without tax{'-1.20':>31}" in slip) is (spared and included), slip
        back = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 3}]}
        place = f"/api/pos/sales/{sale['id']}/returns"
        returned = done(await shop.owner.post(place, back))
        assert (returned["total"], returned["tax"] == 0) == (due, spared)


async def test_what_was_charged_offline_without_tax_says_why(shop: Shop) -> None:
    tea, exempt = await shop.goods(2.5), await customer(shop, taxExemption=EXEMPT)
    made = (await upload(shop.owner, offline(shop, tea, customerId=exempt)))["sales"][0]
    sale = done(await shop.owner.get(f"/api/pos/sales/{made['saleId']}"))
    assert (sale["taxExemption"], sale["customerId"]) == ("Embassy, E-7", exempt)


async def test_a_parked_sale_keeps_its_customer(shop: Shop) -> None:
    tea, ann = await shop.goods(2.5), await customer(shop)
    parked = done(
        await shop.owner.post("/api/pos/parked-sales", {"basket": basket(shop, tea, ann)})
    )
    assert parked["basket"]["customerId"] == ann
