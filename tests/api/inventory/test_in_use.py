"""What is in use cannot be deleted, and what is deleted not used: locations and tax classes, in
whatever order two requests come, and however late a replica hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from deployments.business.capability import capability as business
from deployments.business.places import PLACES
from deployments.catalog.capability import capability as catalog
from deployments.inventory.capability import capability as inventory
from deployments.pos.capability import capability as pos
from store.business import locations, taxes
from tests.api.catalog.catalog_kit import adjust, vary
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_shop, problem

ALL = (catalog, inventory, business, pos)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


async def branch(shop: Shop) -> str:
    made: str = done(await shop.owner.post("/api/business/locations", {"name": "Branch"}))["id"]
    return made


async def delete(shop: Shop, path: str) -> httpx2.Response:
    return await shop.owner.http.delete(f"/api/business/{path}")


async def move(shop: Shop, product: str, place: str, delta: int) -> httpx2.Response:
    if delta >= 0:
        body = {"productId": product, "locationId": place, "quantity": delta}
        return await shop.owner.post("/api/inventory/add", body)
    return await adjust(shop, product, delta, place)


async def test_a_location_goes_when_nothing_is_there(shop: Shop) -> None:
    product, place = await shop.product(), await branch(shop)

    async def uses() -> Any:
        return problem(await delete(shop, f"locations/{place}"), 409, "in_use")["uses"]

    assert (await move(shop, product, place, 3)).is_success
    assert await uses() == ["stock"]
    hold = {"productId": product, "quantity": 1, "locationId": place}
    held = done(await shop.owner.post("/api/inventory/reserve", hold))
    assert await uses() == ["reservations", "stock"]
    done(await shop.owner.post(f"/api/inventory/reservations/{held['id']}/confirm"))
    # Everything is on its way out, and may be called back.
    lines = [{"productId": product, "quantity": 2}]
    away = {"fromLocationId": place, "lines": lines, "ship": True}
    sent = done(await shop.owner.post("/api/inventory/transfers", away))
    assert await uses() == ["transfers"]
    done(await shop.owner.post(f"/api/inventory/transfers/{sent['id']}/receive", {}))
    register = done(
        await shop.owner.post("/api/pos/registers", {"name": "Till", "locationId": place})
    )
    assert await uses() == ["registers"]
    done(await shop.owner.post(f"/api/pos/registers/{register['id']}/shifts", {"openingFloat": 1}))
    assert await uses() == ["open_shifts"]


async def test_a_replica_that_heard_nothing_leaves_no_stock_behind(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    product, place = await shop.product(), await branch(shop)
    for delta in (1, -1):
        assert (await move(shop, product, place, delta)).is_success
    monkeypatch.setattr(PLACES.of(shop.served.resources), "forget", lambda _: None)
    assert (await delete(shop, f"locations/{place}")).is_success
    assert (await move(shop, product, place, 0)).is_success  # it still thinks that it is there
    problem(await move(shop, product, place, 5), 409, "conflict")
    problem(
        await shop.owner.post("/api/pos/registers", {"name": "Till", "locationId": place}),
        409,
        "conflict",
    )
    assert (await shop.level(product))[1:] == (0, 0)


async def test_stock_and_a_deletion_never_both(shop: Shop) -> None:
    async def first(product: str, place: str) -> None:
        moved, deleted = await asyncio.gather(
            move(shop, product, place, 1), delete(shop, f"locations/{place}")
        )
        assert moved.is_success != deleted.is_success, (moved.text, deleted.text)
        for reply in (moved, deleted):
            assert reply.is_success or reply.status_code in (404, 409)

    product = await shop.product()
    for number in range(12):
        body = {"name": f"Branch {number}"}
        place = done(await shop.owner.post("/api/business/locations", body))["id"]
        assert (await move(shop, product, place, 0)).is_success
        await first(product, place)


async def test_the_database_refuses_what_was_overlooked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any) -> list[str]:
        return []

    product, place = await shop.product(), await branch(shop)
    assert (await move(shop, product, place, 3)).is_success
    food = done(await shop.owner.post("/api/business/tax-classes", {"name": "Food"}))["id"]
    await shop.product(taxClassId=food)
    monkeypatch.setattr(locations, "uses_of", nothing)
    monkeypatch.setattr(taxes, "uses_of", nothing)
    for path in (f"locations/{place}", f"tax-classes/{food}"):
        answer = problem(await delete(shop, path), 409, "in_use")
        assert "uses" not in answer
        assert "uses" not in answer["detail"], "it says nothing of what is not there"


async def test_a_tax_class_goes_when_no_goods_have_it(shop: Shop) -> None:
    food = done(await shop.owner.post("/api/business/tax-classes", {"name": "Food"}))["id"]
    product = await shop.product(taxClassId=food)
    other = await shop.product()
    small = {"options": {"size": "S"}, "taxClassId": food}
    variant = (await vary(shop, other, **small)).json()["data"]["id"]
    path = f"tax-classes/{food}"
    assert problem(await delete(shop, path), 409, "in_use")["uses"] == ["products", "variants"]
    assert (await shop.owner.http.delete(f"/api/products/{product}")).is_success
    assert problem(await delete(shop, path), 409, "in_use")["uses"] == ["variants"]
    assert (await shop.owner.http.delete(f"/api/products/variants/{variant}")).is_success
    assert (await delete(shop, path)).is_success
    for reply in (
        await shop.owner.post("/api/products", {"name": "Tea", "price": 1, "taxClassId": food}),
        await shop.owner.http.put(f"/api/products/{other}", json={"taxClassId": food}),
        await vary(shop, other, **small),
    ):
        assert reply.status_code == 400, reply.text
        assert [error["field"] for error in reply.json()["errors"]] == ["taxClassId"]
