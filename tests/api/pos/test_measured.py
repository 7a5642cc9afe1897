"""Goods by measure, from the shelf to the report: exact, and never taken for pieces."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from core.ids import uuid7
from deployments.business.owners import OWNERS
from deployments.pos.sales.price_book import PRICE_BOOK
from tests.api.pos.offline_kit import offline, refused, upload
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

HAM = {"name": "Ham", "unit": "kg", "quantityDecimals": 3}
MAX = 10**12


async def _ham(shop: Shop, stock: float = 12.5, price: float = 12.9, **more: Any) -> str:
    return await shop.product(stock, price=price, **(HAM | more))  # type: ignore[arg-type]


async def test_goods_are_weighed_from_the_shelf_to_the_receipt(shop: Shop) -> None:
    ham = await _ham(shop, sku=str(uuid7()))
    assert await shop.level(ham) == (12.5, 12.5, 0)
    hold = await shop.reserve(ham, 0.35)  # type: ignore[arg-type]
    assert (hold["quantity"], hold["available"]) == (0.35, 12.15)
    sale = done(await shop.sell(ham, 0.35, reservationId=hold["id"]))  # type: ignore[arg-type]
    [line] = sale["lines"]
    # 12.90 x 0.350 = 4.515
    assert (line["quantity"], line["unit"], line["total"]) == (0.35, "kg", 4.52)
    assert sale["change"] == 15.48
    assert await shop.level(ham) == (12.15, 12.15, 0)
    assert done(await shop.owner.get(f"/api/pos/sales/{sale['id']}")) == sale
    paper = (await shop.owner.get(f"/api/pos/sales/{sale['id']}/receipt?format=text")).text
    assert "0.350 kg x 12.90 / kg" in paper
    paid = [{"method": "cash", "amount": 300}]
    wrong = await shop.sell(ham, 20.001, payments=paid)  # type: ignore[arg-type]
    short = problem(wrong, 409, "insufficient_stock")
    assert [(row["requested"], row["available"]) for row in short["shortages"]] == [(20.001, 12.15)]


async def test_what_comes_back_in_parts_adds_up_to_the_cent(shop: Shop) -> None:
    ham = await _ham(shop)
    sale = done(await shop.sell(ham, 0.35))  # type: ignore[arg-type]
    path = f"/api/pos/sales/{sale['id']}/returns"

    async def back(quantity: float) -> Any:
        lines = [{"number": 1, "quantity": quantity}]
        return await shop.owner.post(path, {"registerId": shop.register, "lines": lines})

    made = [done(await back(quantity)) for quantity in (0.111, 0.2, 0.038)]
    assert [part["lines"][0]["quantity"] for part in made] == [0.111, 0.2, 0.038]
    assert problem(await back(0.002), 409, "more_than_sold")["left"] == 0.001
    made.append(done(await back(0.001)))
    assert round(sum(part["total"] for part in made), 2) == 4.52
    assert await shop.on_hand(ham) == 12.5
    again = done(await shop.owner.get(f"/api/pos/returns/{made[0]['id']}"))
    assert again["lines"] == made[0]["lines"]


@pytest.mark.parametrize("quantity", [1.5, 0.001])
async def test_there_is_no_part_of_a_piece(shop: Shop, quantity: float) -> None:
    cup = await shop.goods()
    body = {"registerId": shop.register, "lines": [{"productId": cup, "quantity": quantity}]}
    cases = [
        ("/api/pos/sales", body, "lines[0].quantity"),
        ("/api/inventory/reserve", {"productId": cup, "quantity": quantity}, "quantity"),
        ("/api/inventory/add", {"productId": cup, "quantity": quantity}, "quantity"),
    ]
    for path, said, field in cases:
        wrong = problem(await shop.owner.post(path, said), 400)
        assert [error["field"] for error in wrong["errors"]] == [field]
    assert await shop.level(cup) == (10, 10, 0)


async def test_a_measure_is_exact_within_its_decimals(shop: Shop) -> None:
    ham = await _ham(shop)
    for number in ("0.3555", "1e400", "1e-9", '"1"'):
        raw = f'{{"productId":"{ham}","quantity":{number}}}'
        headers = {"Content-Type": "application/json"}
        answer = await shop.owner.http.post("/api/inventory/reserve", content=raw, headers=headers)
        wrong = problem(answer, 400)
        assert [error["field"] for error in wrong["errors"]] == ["quantity"], number
    assert await shop.level(ham) == (12.5, 12.5, 0)


async def test_what_a_product_is_measured_by_is_said_once(shop: Shop) -> None:
    for body, field in [
        ({"quantityDecimals": 2}, "unit"),
        ({"quantityDecimals": 4, "unit": "kg"}, "quantityDecimals"),
        ({"quantityDecimals": 1, "unit": " "}, "unit"),
    ]:
        wrong = problem(
            await shop.owner.post("/api/products", {"name": "Ham", "price": 1, **body}), 400
        )
        assert [error["field"] for error in wrong["errors"]] == [field]
    made = done(await shop.owner.post("/api/products", {"price": 1, "backorderLimit": 0.5, **HAM}))
    assert (made["quantityDecimals"], made["unit"], made["backorderLimit"]) == (3, "kg", 0.5)
    level = done(await shop.owner.get(f"/api/inventory/{made['id']}"))
    assert (level["backorderLimit"], level["quantity"]) == (0.5, 0)
    later = await shop.owner.call("PUT", f"/api/products/{made['id']}", {"quantityDecimals": 0})
    assert later.status_code == 400


async def test_a_replica_that_remembers_pieces_moves_nothing(shop: Shop) -> None:
    """However it came to think so: the owner of the stock has the last word."""
    ham = await _ham(shop)
    owners, book = OWNERS.of(shop.served.resources), PRICE_BOOK.of(shop.served.resources)
    await owners.check(shop.tenant, [UUID(ham)])
    known = owners._known[UUID(ham)]
    found = await book.prices(shop.tenant, shop.tenant, [("id", UUID(ham))])
    assert found is not None
    owners._known[UUID(ham)] = known._replace(decimals=0, until=float(MAX))
    place = {"productId": ham, "quantity": 2}
    for path, body in [
        ("/api/inventory/reserve", place),
        ("/api/inventory/add", place),
        (
            "/api/inventory/adjustments",
            {"lines": [{"productId": ham, "delta": -2}], "reason": "damaged"},
        ),
    ]:
        wrong = problem(await shop.owner.post(path, body), 409, "measure_changed")
        assert wrong["quantityDecimals"] == 3
    owners._known[UUID(ham)] = known
    assert await shop.level(ham) == (12.5, 12.5, 0)


async def test_parts_of_a_bundle_may_be_weighed(shop: Shop) -> None:
    ham, cup = await _ham(shop), await shop.goods()
    parts = [{"productId": ham, "quantity": 0.25}, {"productId": cup, "quantity": 1}]
    basket = {"name": "Basket", "price": 5, "kind": "bundle", "components": parts}
    made = done(await shop.owner.post("/api/products", basket))
    assert [part["quantity"] for part in made["components"]] == [0.25, 1]
    sale = done(await shop.sell(made["id"], 2))
    assert await shop.on_hand(ham) == 12
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    done(await shop.owner.post(f"/api/pos/sales/{sale['id']}/returns", body))
    assert (await shop.on_hand(ham), await shop.on_hand(cup)) == (12.25, 9)


async def test_an_upload_of_weighed_goods_is_known_again(shop: Shop) -> None:
    ham = await _ham(shop, price=2)
    line = {"productId": ham, "quantity": 0.35, "unitPrice": 2, "total": 0.7}
    sale = offline(shop, ham, lines=[line], total=0.7)
    assert (await upload(shop.owner, sale))["recorded"] == 1
    assert (await upload(shop.owner, sale))["repeated"] == 1
    again = await refused(shop, sale | {"lines": [line | {"quantity": 0.351}]})
    assert again["code"] == "client_sale_id_reused"
    odd = offline(shop, ham, lines=[line | {"total": 0.71}], total=0.71)
    assert [error["field"] for error in (await refused(shop, odd))["errors"]] == ["lines[0].total"]
    assert await shop.on_hand(ham) == 12.15


async def test_a_basket_of_weighed_goods_waits_as_it_is(shop: Shop) -> None:
    ham = await _ham(shop)
    basket = {"lines": [{"productId": ham, "quantity": 0.35}]}
    parked = done(await shop.owner.post("/api/pos/parked-sales", {"basket": basket}))
    resumed = done(await shop.owner.post(f"/api/pos/parked-sales/{parked['id']}/resume"))
    assert resumed["basket"]["lines"][0]["quantity"] == 0.35
    quote = done(await shop.owner.post("/api/pos/quotes", resumed["basket"]))
    assert (quote["total"], quote["lines"][0]["unit"]) == (4.52, "kg")
