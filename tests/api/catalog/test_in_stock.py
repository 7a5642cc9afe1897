"""What is in stock: a filter of lists and searches, and a facet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from deployments.business.capability import capability as business
from deployments.catalog.capability import capability as catalog
from deployments.inventory.capability import capability as inventory
from tests.api.catalog.catalog_kit import add
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_shop

ALL = (catalog, inventory, business)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


async def found(shop: Shop, wanted: bool | None, **params: Any) -> set[str]:
    if wanted is not None:
        params["inStock"] = "true" if wanted else "false"
    reply = await shop.owner.http.get("/api/products", params={**params, "limit": 50})
    assert reply.is_success, reply.text
    page = reply.json()
    assert page["pagination"]["total"] == len(page["data"])
    return {product["name"] for product in page["data"]}


async def test_what_some_location_has_free_is_in_stock(shop: Shop) -> None:
    word = uuid4().hex
    named: dict[str, str] = {}
    for name in ("None", "Here", "Away", "Held", "Owed"):
        named[name] = await shop.product(name=name, category=word)
    mine: dict[str, Any] = {"category": word}
    place = done(await shop.owner.post("/api/business/locations", {"name": "Away"}))["id"]
    for name in ("Here", "Held"):
        assert (await add(shop, named[name], 2)).is_success
    away = {"productId": named["Away"], "quantity": 1, "locationId": place}
    done(await shop.owner.post("/api/inventory/add", away))
    done(
        await shop.owner.post("/api/inventory/reserve", {"productId": named["Held"], "quantity": 2})
    )
    terms = await shop.owner.http.put(f"/api/products/{named['Owed']}", json={"backorderLimit": 9})
    assert terms.is_success
    assert await found(shop, True, **mine) == {"Here", "Away"}
    assert await found(shop, False, **mine) == {"None", "Held", "Owed"}
    assert len(await found(shop, None, **mine)) == 5
    for q in (word, "aw"):
        narrowed = await found(shop, True, **mine, q=q)
        assert narrowed == ({"Here", "Away"} if q == word else {"Away"})
    (vendor,) = {
        product["vendorId"]
        for product in (await shop.owner.http.get("/api/products", params=mine)).json()["data"]
    }
    assert await found(shop, True, vendorId=vendor) == {"Here", "Away"}
    facets = (await shop.owner.http.get("/api/products/facets", params=mine)).json()["data"]
    assert facets["inStock"] == [
        {"value": "false", "products": 3}, {"value": "true", "products": 2}
    ]  # fmt: skip
    only = (
        await shop.owner.http.get("/api/products/facets", params={**mine, "inStock": "true"})
    ).json()
    assert only["data"]["inStock"] == [{"value": "true", "products": 2}]
    assert (
        await shop.owner.http.get("/api/products", params={"inStock": "some"})
    ).status_code == 400


async def test_variants_count_for_their_product_and_parts_for_their_bundle(shop: Shop) -> None:
    mine = {"category": uuid4().hex}
    sizes = [{"options": {"size": size}, "sku": f"{size}-{uuid4()}"} for size in ("S", "M")]
    made = done(
        await shop.owner.post(
            "/api/products", {"name": "Shirt", "price": 1, "variants": sizes, **mine}
        )
    )
    medium = made["variants"][1]["id"]
    cup = await shop.product(name="Cup", **mine)
    parts = [{"productId": cup, "quantity": 2}, {"productId": medium, "quantity": 1}]
    await shop.product(name="Box", kind="bundle", components=parts, **mine)
    assert await found(shop, True, **mine) == set()
    place = done(await shop.owner.post("/api/business/locations", {"name": "Away"}))["id"]
    done(
        await shop.owner.post(
            "/api/inventory/add", {"productId": medium, "quantity": 1, "locationId": place}
        )
    )
    assert await found(shop, True, **mine) == {"Shirt"}
    # Two cups here and a shirt there make no box anywhere.
    assert (await add(shop, cup, 2)).is_success
    assert await found(shop, True, **mine) == {"Shirt", "Cup"}
    done(
        await shop.owner.post(
            "/api/inventory/add", {"productId": cup, "quantity": 1, "locationId": place}
        )
    )
    assert await found(shop, False, **mine) == {"Box"}
    done(
        await shop.owner.post(
            "/api/inventory/add", {"productId": cup, "quantity": 1, "locationId": place}
        )
    )
    assert await found(shop, True, **mine) == {"Shirt", "Cup", "Box"}
    assert (await shop.owner.http.delete(f"/api/products/variants/{medium}")).status_code == 409
