"""What is in stock: a filter of lists and searches, and a facet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from core.principal import Role
from core.settings import Settings
from deployments.business.capability import capability as business
from deployments.catalog.capability import capability as catalog
from deployments.inventory.capability import capability as inventory
from tests.api.catalog.catalog_kit import (
    caller,
    running_kit,
)
from tests.api.catalog.test_parents import Desk


@pytest.fixture
async def desk(embedded: Settings) -> AsyncIterator[Desk]:
    async with running_kit(embedded) as kit:
        app = kit.app((catalog, inventory, business))
        tenant = await kit.business()
        async with caller(kit, app, Role.OWNER, tenant).http as http:
            yield Desk(kit, http, tenant)


async def found(desk: Desk, wanted: bool | None, **params: Any) -> set[str]:
    if wanted is not None:
        params["inStock"] = "true" if wanted else "false"
    reply = await desk.http.get("/api/products", params={**params, "limit": 50})
    assert reply.is_success, reply.text
    page = reply.json()
    assert page["pagination"]["total"] == len(page["data"])
    return {one["name"] for one in page["data"]}


async def test_what_some_location_has_free_is_in_stock(desk: Desk) -> None:
    word = uuid4().hex
    named: dict[str, str] = {}
    for name in ("None", "Here", "Away", "Held", "Owed"):
        named[name] = await desk.product(name=name, category=word)
    mine: dict[str, Any] = {"category": word}
    place = (await desk.done("business/locations", {"name": "Away"}))["id"]
    for name in ("Here", "Held"):
        assert (await desk.add(named[name], 2)).is_success
    away = {"productId": named["Away"], "quantity": 1, "locationId": place}
    await desk.done("inventory/add", away)
    await desk.done("inventory/reserve", {"productId": named["Held"], "quantity": 2})
    terms = await desk.http.put(f"/api/products/{named['Owed']}", json={"backorderLimit": 9})
    assert terms.is_success
    assert await found(desk, True, **mine) == {"Here", "Away"}
    assert await found(desk, False, **mine) == {"None", "Held", "Owed"}
    assert len(await found(desk, None, **mine)) == 5
    for q in (word, "aw"):
        narrowed = await found(desk, True, **mine, q=q)
        assert narrowed == ({"Here", "Away"} if q == word else {"Away"})
    (vendor,) = {
        one["vendorId"]
        for one in (await desk.http.get("/api/products", params=mine)).json()["data"]
    }
    assert await found(desk, True, vendorId=vendor) == {"Here", "Away"}
    facets = (await desk.http.get("/api/products/facets", params=mine)).json()["data"]
    assert facets["inStock"] == [
        {"value": "false", "products": 3}, {"value": "true", "products": 2}
    ]  # fmt: skip
    only = (await desk.http.get("/api/products/facets", params={**mine, "inStock": "true"})).json()
    assert only["data"]["inStock"] == [{"value": "true", "products": 2}]
    assert (await desk.http.get("/api/products", params={"inStock": "some"})).status_code == 400


async def test_variants_count_for_their_product_and_parts_for_their_bundle(desk: Desk) -> None:
    mine = {"category": uuid4().hex}
    sizes = [{"options": {"size": size}, "sku": f"{size}-{uuid4()}"} for size in ("S", "M")]
    made = await desk.done("products", {"name": "Shirt", "price": 1, "variants": sizes, **mine})
    medium = made["variants"][1]["id"]
    cup = await desk.product(name="Cup", **mine)
    parts = [{"itemId": cup, "quantity": 2}, {"itemId": medium, "quantity": 1}]
    await desk.product(name="Box", kind="bundle", components=parts, **mine)
    assert await found(desk, True, **mine) == set()
    place = (await desk.done("business/locations", {"name": "Away"}))["id"]
    await desk.done("inventory/add", {"productId": medium, "quantity": 1, "locationId": place})
    assert await found(desk, True, **mine) == {"Shirt"}
    # Two cups here and a shirt there make no box anywhere.
    assert (await desk.add(cup, 2)).is_success
    assert await found(desk, True, **mine) == {"Shirt", "Cup"}
    await desk.done("inventory/add", {"productId": cup, "quantity": 1, "locationId": place})
    assert await found(desk, False, **mine) == {"Box"}
    await desk.done("inventory/add", {"productId": cup, "quantity": 1, "locationId": place})
    assert await found(desk, True, **mine) == {"Shirt", "Cup", "Box"}
    assert (await desk.http.delete(f"/api/products/variants/{medium}")).status_code == 409
