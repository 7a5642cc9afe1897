"""Prices are read anew for every basket, and in few queries for many."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from deployments.pos.sales import price_book
from store.pos.till_prices import TillPrices
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items each query gave."""
    given: list[int] = []
    look_up = price_book.till_prices

    async def counted(*arguments: Any) -> TillPrices | None:
        found = await look_up(*arguments)
        given.append(len(found.items) if found else 0)
        return found

    monkeypatch.setattr(price_book, "till_prices", counted)
    return given


async def test_a_crowd_shares_queries_and_everybody_pays_their_own(
    shop: Shop, queries: list[int]
) -> None:
    goods = [await shop.goods(price, 9) for price in range(1, 13)]
    quotes = [{"lines": [{"productId": product, "quantity": 2}]} for product in goods]
    stranger = {"lines": [{"productId": str(uuid4())}]}
    nowhere = quotes[0] | {"locationId": str(uuid4())}
    *answers, unknown, lost = await asyncio.gather(
        *(shop.owner.post("/api/pos/quotes", body) for body in [*quotes, stranger, nowhere])
    )
    assert [done(answer)["total"] for answer in answers] == [2 * price for price in range(1, 13)]
    problem(unknown, 404)
    problem(lost, 404)
    assert len(queries) < len(quotes) // 2
    assert sum(queries) >= len(quotes)


async def test_a_new_price_holds_from_the_next_basket_on(shop: Shop) -> None:
    tea = await shop.goods(1, 9)
    basket = {"lines": [{"productId": tea}]}

    async def total() -> float:
        return float(done(await shop.owner.post("/api/pos/quotes", basket))["total"])

    for price in (2, 3):
        await shop.sees(
            "UPDATE products SET price_minor = :minor WHERE id = :id RETURNING id",
            minor=price * 100,
            id=tea,
        )
        assert [await total(), *await asyncio.gather(total(), total())] == [price] * 3
