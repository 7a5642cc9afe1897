"""One good request for each route of the catalogue. See `tests.api.cases`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from core.principal import Role
from tests.api.case import EVERYONE, WRITERS, Call, Case, RouteId, plain
from tests.api.shop import Shop, done

ADMIN = frozenset({Role.ADMIN})
OF_ITEMS = frozenset({"cost", "taxClassId"})
OF_VARIANTS = OF_ITEMS | {"price"}
# By a change; of objects also what is in them.
CLEARED = frozenset({"description", "images", "imageAlts", "png", "prices", "EUR", "size"})
OF_CATEGORIES = frozenset({"parentId"})


async def _product(shop: Shop | None) -> Call:
    return Call(str(uuid4()) if shop is None else await shop.product())


def _item_body() -> dict[str, Any]:
    image = "https://shop.example/lamp.png"
    return {
        "price": 3.25,
        "prices": {"EUR": 4.5},
        "cost": 1.5,
        "images": [image],
        "imageAlts": {image: "A lamp"},
        "sku": f"L-{uuid4()}",
        "barcode": f"B-{uuid4()}",
    }


def _product_body() -> dict[str, Any]:
    return {
        **_item_body(),
        "name": "Lamp 2",
        "description": "Brighter",
        "category": "Light",
        "currency": "GBP",
        "backorderLimit": 0,
    }


def _variant_body() -> dict[str, Any]:
    return {**_item_body(), "options": {"size": str(uuid4())}, "position": 1}


async def _create_product(_: Shop | None) -> Call:
    variant = _variant_body()
    del variant["price"]  # which may be null, as a product's may not
    return Call(body={**_product_body(), "variants": [variant]})


async def _change_product(shop: Shop | None) -> Call:
    return Call((await _product(shop)).id, {**_product_body(), "version": 1})


async def _import(_: Shop | None) -> Call:
    return Call(body={"rows": [{"sku": f"I-{uuid4()}", "name": "Mug", "price": 4.5}]})


async def _create_variant(shop: Shop | None) -> Call:
    return Call((await _product(shop)).id, _variant_body())


async def _variant(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()))
    product = await shop.product()
    path = f"/api/products/{product}/variants"
    return Call(done(await shop.owner.post(path, _variant_body()))["id"])


async def _change_variant(shop: Shop | None) -> Call:
    return Call((await _variant(shop)).id, {**_variant_body(), "version": 1})


def _category_body() -> dict[str, Any]:
    name = uuid4().hex
    return {"name": name, "slug": f"s-{name}", "parentId": None, "position": 2}


async def _create_category(_: Shop | None) -> Call:
    return Call(body=_category_body())


async def _category(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid4()))
    return Call(done(await shop.owner.post("/api/products/categories", _category_body()))["id"])


async def _change_category(shop: Shop | None) -> Call:
    return Call((await _category(shop)).id, _category_body())


def _open(**call: Any) -> Case:
    return Case(EVERYONE, plain(**call), about_a_thing=False, own=False)


CASES: dict[RouteId, Case] = {
    ("GET", "/api/products"): _open(),
    ("GET", "/api/products/facets"): _open(),
    ("GET", "/api/products/categories"): _open(),
    ("GET", "/api/products/categories/tree"): _open(query={"vendorId": str(uuid4())}),
    ("POST", "/api/products/categories"): Case(
        WRITERS, _create_category, about_a_thing=False, nullable=OF_CATEGORIES
    ),
    ("PUT", "/api/products/categories/{id}"): Case(
        WRITERS, _change_category, nullable=OF_CATEGORIES
    ),
    ("GET", "/api/products/categories/{id}"): Case(EVERYONE, _category, own=False),
    ("DELETE", "/api/products/categories/{id}"): Case(WRITERS, _category),
    ("GET", "/api/products/export"): Case(WRITERS, plain(), about_a_thing=False),
    ("POST", "/api/products/import"): Case(WRITERS, _import, about_a_thing=False),
    ("GET", "/api/products/{id}"): Case(EVERYONE, _product, own=False),
    ("POST", "/api/products"): Case(
        WRITERS, _create_product, about_a_thing=False, nullable=OF_ITEMS
    ),
    ("PUT", "/api/products/{id}"): Case(
        WRITERS | ADMIN, _change_product, across=ADMIN, nullable=OF_ITEMS | CLEARED
    ),
    ("DELETE", "/api/products/{id}"): Case(WRITERS | ADMIN, _product, across=ADMIN),
    ("GET", "/api/products/{id}/variants"): Case(EVERYONE, _product, own=False),
    ("POST", "/api/products/{id}/variants"): Case(
        WRITERS | ADMIN, _create_variant, across=ADMIN, nullable=OF_VARIANTS
    ),
    ("GET", "/api/products/variants/{id}"): Case(EVERYONE, _variant, own=False),
    ("PUT", "/api/products/variants/{id}"): Case(
        WRITERS | ADMIN, _change_variant, across=ADMIN, nullable=OF_VARIANTS | CLEARED
    ),
    ("DELETE", "/api/products/variants/{id}"): Case(WRITERS | ADMIN, _variant, across=ADMIN),
}
