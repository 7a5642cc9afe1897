"""Variants, bundles, money and categories through the gateway, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from core.principal import MANAGEMENT, Role
from deployments.catalog.capability import capability as catalog
from tests.api.catalog.catalog_kit import call, create, events, names, ok
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, open_shop

ALL = (catalog,)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


SHIRT = {
    "name": "Shirt",
    "sku": "SHIRT",
    "price": 10,
    "prices": {"EUR": 12.5},
    "cost": 3.21,
    "variants": [
        {"options": {"size": "M"}, "sku": "SHIRT-M", "barcode": "501"},
        {"options": {"size": "L"}, "sku": "SHIRT-L", "price": 11, "cost": 4, "position": 1},
    ],
}


async def test_a_product_with_variants(shop: Shop) -> None:
    made = await create(shop.owner, **SHIRT)
    medium, large = made["variants"]
    assert (made["variantCount"], medium["options"], large["options"]) == (
        2, {"size": "M"}, {"size": "L"}
    )  # fmt: skip
    assert [(v["price"], v["hasOwnPrice"]) for v in made["variants"]] == [(10, False), (11, True)]
    path = f"/{made['id']}"
    assert (await ok(shop.owner, "GET", path)) == made
    small = await ok(shop.owner, "POST", f"{path}/variants", json={"options": {"size": "S"}})
    assert small["sku"].startswith("P-")
    listed = await ok(await shop.anyone(), "GET", f"{path}/variants")
    assert [variant["id"] for variant in listed] == [medium["id"], small["id"], large["id"]]
    where = f"/variants/{small['id']}"
    changed = await ok(shop.owner, "PUT", where, json={"barcode": "502", "version": 1})
    assert (changed["barcode"], changed["version"]) == ("502", 2)
    assert (await call(shop.owner, "PUT", where, json={"version": 1})).status_code == 409
    for body, field, status in (
        ({"options": {"size": "S"}}, "options", 400),
        ({"options": {"colour": "red"}}, "options", 400),
        ({"options": {"size": "XS"}, "sku": "SHIRT"}, "sku", 409),
        ({"options": {"size": "XS"}, "barcode": "501"}, "barcode", 409),
        ({"options": {"size": "XS"}, "price": 1.005}, "price", 400),
        ({"options": {"size": "XS"}, "prices": {"JPY": 1.5}}, "prices.JPY", 400),
        ({"options": {"size": "XS"}, "prices": {"GBP": 1}}, "prices.GBP", 400),
        ({"options": {"size": "XS"}, "prices": {"ZZZ": 1}}, "prices.ZZZ", 400),
        ({"options": {"size": "XS"}, "cost": 1.005}, "cost", 400),
        ({"options": {}}, "options", 400),
        ({"options": {"size": "XS"}, "taxClassId": str(uuid4())}, "taxClassId", 400),
        ({"options": {"size": "XS"}, "imageAlts": {"https://x": "y"}}, "imageAlts", 400),
    ):
        reply = await call(shop.owner, "POST", f"{path}/variants", json=body)
        assert reply.status_code == status, (body, reply.text)
        assert names(reply, field)
    assert (await call(shop.owner, "DELETE", where)).status_code == 200
    assert (await call(shop.owner, "GET", where)).status_code == 404
    assert (await call(shop.owner, "DELETE", path)).status_code == 200
    assert (await call(shop.owner, "GET", f"/variants/{medium['id']}")).status_code == 404
    kinds = [kind.removeprefix("catalog.") for kind, _, _ in await events(shop)]
    assert kinds == [
        "product.created.v1", "variant.created.v1", "variant.updated.v1", "variant.deleted.v1",
        "product.deleted.v1",
    ]  # fmt: skip


async def test_a_sku_is_one_items_under_concurrency(shop: Shop) -> None:
    made = await create(shop.owner, sku="P")
    path = f"/{made['id']}/variants"
    for round_ in range(4):
        sku = f"RACE-{round_}"
        body = {"options": {"n": sku}, "sku": sku}
        replies = await asyncio.gather(
            *(
                call(shop.owner, "POST", path, json=body | {"options": {"n": f"{sku}{i}"}})
                for i in (1, 2)
            ),
            *(call(shop.owner, "POST", json={"name": "n", "price": 1, "sku": sku}) for _ in (1, 2)),
        )
        assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]


async def test_a_cost_is_shown_to_its_management_alone(shop: Shop) -> None:
    made = await create(shop.owner, **SHIRT)
    stranger = (await shop.another()).owner
    addresses = [
        f"/{made['id']}",
        f"/{made['id']}/variants",
        f"/variants/{made['variants'][1]['id']}",
        f"?vendorId={shop.tenant}",
        f"?vendorId={shop.tenant}&q=shirt",
    ]
    for address in addresses:
        for role in [*Role, None]:
            if role in (Role.SERVICE, Role.ANONYMOUS):
                continue
            person = await shop.caller(role) if role else await shop.anyone()
            reply = await call(person, "GET", address)
            assert ('"cost"' in reply.text) is (role in MANAGEMENT), (address, role)
        assert '"cost"' not in (await call(stranger, "GET", address)).text
    for role in (Role.STAFF, Role.CASHIER, Role.CUSTOMER, None):
        person = await shop.caller(role) if role else await shop.anyone()
        reply = await call(person, "GET", "/export")
        assert reply.status_code == (403 if role else 401)
    assert "3.21" not in (await call(stranger, "GET", "/export")).text
    assert "3.21" not in str(await events(shop))


async def test_prices_in_further_currencies(shop: Shop) -> None:
    made = await create(shop.owner, **SHIRT)
    plain = await create(shop.owner, sku="PLAIN", price=20)
    public = await shop.anyone()
    shown = await ok(public, "GET", f"/{made['id']}?currency=EUR")
    assert (shown["price"], shown["currency"]) == (12.5, "EUR")
    # The large has a price of its own, so the shirt's in euro is not its.
    assert [(v["price"], v["currency"]) for v in shown["variants"]] == [(12.5, "EUR"), (11, "GBP")]
    other = await ok(public, "GET", f"/{plain['id']}?currency=EUR")
    assert (other["price"], other["currency"]) == (20, "GBP")
    query = {"vendorId": str(shop.tenant), "currency": "EUR"}
    for bounds, expected in (({}, 1), ({"minPrice": "12.5"}, 1), ({"maxPrice": "12.49"}, 0)):
        listed = await ok(public, "GET", "", params=query | bounds)
        assert len(listed) == expected, bounds
    assert (await ok(public, "GET", "", params=query | {"sort": "-price"}))[0]["price"] == 12.5
    path = f"/{made['id']}"
    reply = await call(shop.owner, "PUT", path, json={"currency": "EUR", "price": 9, "cost": 1})
    assert names(reply, "currency")  # the large has a price in pounds
    reply = await call(shop.owner, "PUT", f"/{plain['id']}", json={"currency": "EUR", "price": 9})
    assert reply.json()["data"]["currency"] == "EUR"


async def test_bundles(shop: Shop) -> None:
    shirt = await create(shop.owner, **SHIRT)
    pen, ink = await create(shop.owner, sku="PEN"), await create(shop.owner, sku="INK")
    medium = shirt["variants"][0]
    parts = [{"productId": medium["id"], "quantity": 1}, {"productId": pen["id"], "quantity": 2}]
    gift = await create(shop.owner, sku="GIFT", kind="bundle", components=parts)
    assert (gift["kind"], gift["components"]) == ("bundle", parts)
    foreign = await create((await shop.another()).owner, sku="X")

    def body(item: Any, quantity: int = 1) -> dict[str, Any]:
        components = [{"productId": item, "quantity": quantity}]
        return {"name": "n", "price": 1, "kind": "bundle", "components": components}

    for wrong in (gift["id"], shirt["id"], foreign["id"], str(uuid4())):
        assert names(await call(shop.owner, "POST", json=body(wrong)), "components[0].productId")
    for wrong_body in (
        body(pen["id"], 0),
        body(pen["id"], 1001),
        {"name": "n", "price": 1, "kind": "bundle"},
        {"name": "n", "price": 1, "components": parts},
        {**body(pen["id"]), "variants": [{"options": {"a": "b"}}]},
        {**body(pen["id"]), "components": parts[:1] * 2},
    ):
        assert (await call(shop.owner, "POST", json=wrong_body)).status_code == 400, wrong_body
    path = f"/{gift['id']}"
    assert names(
        await call(shop.owner, "PUT", f"/{pen['id']}", json={"components": parts}), "components"
    )
    itself = {"components": [{"productId": gift["id"], "quantity": 1}]}
    assert names(await call(shop.owner, "PUT", path, json=itself), "components[0].productId")
    # What is part of a bundle stays, and stays an item.
    for used in (f"/{pen['id']}", f"/variants/{medium['id']}", f"/{shirt['id']}"):
        reply = await call(shop.owner, "DELETE", used)
        assert (reply.status_code, reply.json()["code"]) == (409, "used_in_bundle")
        assert reply.json()["bundleIds"] == [gift["id"]]
    reply = await call(shop.owner, "POST", f"/{pen['id']}/variants", json={"options": {"a": "b"}})
    assert reply.json()["code"] == "used_in_bundle"
    assert (
        await call(shop.owner, "POST", f"{path}/variants", json={"options": {"a": "b"}})
    ).is_error
    only_ink = {"components": [{"productId": ink["id"], "quantity": 3}]}
    after = await ok(shop.owner, "PUT", path, json=only_ink)
    assert (after["components"], after["version"]) == (only_ink["components"], 2)
    assert (await ok(shop.owner, "PUT", path, json=only_ink))["version"] == 2
    assert (await call(shop.owner, "DELETE", f"/{pen['id']}")).is_success
    assert (await call(shop.owner, "DELETE", path)).is_success
    assert (await call(shop.owner, "DELETE", f"/{ink['id']}")).is_success


async def test_images_have_texts_and_an_order(shop: Shop) -> None:
    urls = ["https://x.example/b.png", "https://x.example/a.png"]
    made = await create(shop.owner, images=urls, imageAlts={urls[0]: "From behind"})
    assert (made["images"], made["imageAlts"]) == (urls, {urls[0]: "From behind"})
    path = f"/{made['id']}"
    after = await ok(shop.owner, "PUT", path, json={"images": urls[::-1]})
    assert (after["images"], after["imageAlts"]) == (urls[::-1], {urls[0]: "From behind"})
    assert (await ok(shop.owner, "PUT", path, json={"images": urls[1:]}))["imageAlts"] == {}
    assert names(
        await call(shop.owner, "PUT", path, json={"imageAlts": {urls[0]: "Gone"}}), "imageAlts"
    )


async def test_a_category_is_one_whatever_its_case(shop: Shop) -> None:
    """Of products, of files, and of the tree itself."""
    first = await create(shop.owner, sku="A", category="Toys > Cars")
    for sku, typed in (("B", "toys > cars"), ("C", "TOYS >cars"), ("D", "Toys >  Cars ")):
        made = await create(shop.owner, sku=sku, category=typed)
        assert made["category"] == "Toys > Cars"
    rows = [
        {"sku": sku, "name": "n", "price": 1, "category": typed}
        for sku, typed in (("E", "tOys > caRs"), ("F", "toys > Boats"), ("G", "Toys > boats"))
    ]
    await ok(shop.owner, "POST", "/import", json={"rows": rows})
    assert [each["path"] for each in await tree(shop)] == ["Toys", "Toys > Boats", "Toys > Cars"]
    path = f"/{first['id']}"
    assert (await ok(shop.owner, "PUT", path, json={"category": "toys"}))["category"] == "Toys"
    boats, cars = (await tree(shop))[1:]
    reply = await call(shop.owner, "PUT", f"/categories/{cars['id']}", json={"name": "BOATS"})
    assert (reply.status_code, bool(names(reply, "name"))) == (409, True)
    again = await ok(shop.owner, "PUT", f"/categories/{boats['id']}", json={"name": "BOATS"})
    assert again["path"] == "Toys > BOATS"


async def test_the_tree_of_categories(shop: Shop) -> None:
    await create(shop.owner, sku="A", category="Toys >  Cars")
    toys, cars = await tree(shop)
    assert (cars["path"], cars["parentId"], cars["depth"]) == ("Toys > Cars", toys["id"], 2)
    assert (toys["products"], cars["products"], cars["slug"]) == (0, 1, "cars")
    boats = await ok(
        shop.owner, "POST", "/categories", json={"name": "Boats", "parentId": toys["id"]}
    )
    home = await ok(shop.owner, "POST", "/categories", json={"name": "Cars", "position": 1})
    assert home["slug"] not in ("cars", boats["slug"])
    for body, field, status in (
        ({"name": "Cars"}, "name", 409),
        ({"name": " cARS"}, "name", 409),
        ({"name": "\uff23ars", "parentId": toys["id"]}, "name", 409),
        ({"name": "Cars", "parentId": toys["id"]}, "name", 409),
        ({"name": "X", "slug": "cars"}, "slug", 409),
        ({"name": "a > b"}, "name", 400),
        ({"name": " "}, "name", 400),
        ({"name": "X", "parentId": str(uuid4())}, "parentId", 400),
    ):
        reply = await call(shop.owner, "POST", "/categories", json=body)
        assert reply.status_code == status, reply.text
        assert names(reply, field)
    where = f"/categories/{toys['id']}"
    for parent in (toys["id"], cars["id"]):
        reply = await call(shop.owner, "PUT", where, json={"parentId": parent})
        assert (reply.status_code, bool(names(reply, "parentId"))) == (409, True)
    moved = await ok(shop.owner, "PUT", where, json={"parentId": home["id"], "name": "Small"})
    assert moved["path"] == "Cars > Small"
    assert [category["path"] for category in await tree(shop)] == [
        "Cars", "Cars > Small", "Cars > Small > Boats", "Cars > Small > Cars"
    ]  # fmt: skip
    public = await shop.anyone()
    for category, found in (("Cars", 1), ("Cars > Small > Cars", 1), ("Toys", 0), ("Small", 0)):
        query = {"vendorId": str(shop.tenant), "category": category}
        listed = await ok(public, "GET", "", params=query)
        assert len(listed) == found, category
    for category in (cars, toys, home):
        reply = await call(shop.owner, "DELETE", f"/categories/{category['id']}")
        assert reply.json()["code"] == "category_in_use"
    assert (await call(shop.owner, "DELETE", f"/categories/{boats['id']}")).is_success
    (listed,) = await ok(shop.owner, "GET", "", params={"vendorId": str(shop.tenant)})
    await ok(shop.owner, "DELETE", f"/{listed['id']}")
    assert (await call(shop.owner, "DELETE", f"/categories/{cars['id']}")).is_success
    assert names(await call(public, "GET", "/categories/tree"), "vendorId")


async def tree(shop: Shop) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await ok(shop.owner, "GET", "/categories/tree")
    return found


async def test_the_tree_is_bounded_in_depth(shop: Shop) -> None:
    await create(shop.owner, category="1 > 2 > 3 > 4 > 5")
    nodes = await tree(shop)
    reply = await call(
        shop.owner, "POST", "/categories", json={"name": "6", "parentId": nodes[4]["id"]}
    )
    assert names(reply, "parentId")
    other = await ok(shop.owner, "POST", "/categories", json={"name": "top"})
    move = {"parentId": other["id"]}
    assert names(
        await call(shop.owner, "PUT", f"/categories/{nodes[0]['id']}", json=move), "parentId"
    )
    assert names(
        await call(shop.owner, "POST", json={"name": "n", "price": 1, "category": ">"}), "category"
    )


async def test_no_cycle_comes_of_two_moves_at_once(shop: Shop) -> None:
    for round_ in range(5):
        one, two = [
            await ok(shop.owner, "POST", "/categories", json={"name": f"{n}{round_}"}) for n in "AB"
        ]
        replies = await asyncio.gather(
            call(shop.owner, "PUT", f"/categories/{one['id']}", json={"parentId": two["id"]}),
            call(shop.owner, "PUT", f"/categories/{two['id']}", json={"parentId": one["id"]}),
        )
        assert sorted(reply.status_code for reply in replies) == [200, 409]
        nodes = {node["id"]: node for node in await tree(shop)}
        assert {nodes[one["id"]]["depth"], nodes[two["id"]]["depth"]} == {1, 2}


async def test_categories_are_walled(shop: Shop) -> None:
    mine = await ok(shop.owner, "POST", "/categories", json={"name": "Mine"})
    stranger = (await shop.another()).owner
    where = f"/categories/{mine['id']}"
    assert (await call(stranger, "PUT", where, json={"name": "Taken"})).status_code == 404
    assert (await call(stranger, "DELETE", where)).status_code == 404
    body = {"name": "Below", "parentId": mine["id"]}
    assert names(await call(stranger, "POST", "/categories", json=body), "parentId")
    assert [node["path"] for node in await tree(shop)] == ["Mine"]


async def test_search_by_options_and_codes_of_variants(shop: Shop) -> None:
    await create(shop.owner, **SHIRT, category="Clothes")
    await create(shop.owner, sku="LAMP", name="Lamp", price=2000)
    public = await shop.anyone()
    mine = {"vendorId": str(shop.tenant)}

    async def listed(**query: Any) -> list[str]:
        return [p["sku"] for p in await ok(public, "GET", "", params=mine | query)]

    assert await listed(option="size:M") == ["SHIRT"]
    assert await listed(option="size:XXL") == []
    assert await listed(sku="SHIRT-L") == ["SHIRT"]
    assert await listed(barcode="501") == ["SHIRT"]
    assert await listed(q="shirt-m") == ["SHIRT"]
    for odd in ("size:'; DROP TABLE products; --", 'size:"}', "size:\\", "a:%", "a:$1", "a:{}"):
        assert await listed(option=odd) == [], odd
    for odd in ("M", ":M", "", "size:", "a:b&c"):
        reply = await call(public, "GET", params=mine | {"option": odd})
        assert reply.status_code in (200, 400), odd
    assert names(await call(public, "GET", params=mine | {"option": ["a:b", "a:c"]}), "option")
    facets = await ok(public, "GET", "/facets", params=mine)
    assert facets["counted"] == 2
    assert facets["categories"] == [{"value": "Clothes", "products": 1}]
    assert facets["options"]["size"] == [
        {"value": "L", "products": 1}, {"value": "M", "products": 1}
    ]  # fmt: skip
    assert facets["prices"] == [
        {"minPrice": 10, "maxPrice": 25, "products": 1},
        {"minPrice": 1000, "maxPrice": 5000, "products": 1},
    ]
    assert facets["vendors"] == [{"value": str(shop.tenant), "products": 2}]
    one = await ok(public, "GET", "/facets", params=mine | {"option": "size:M", "currency": "EUR"})
    assert one["counted"] == 1


async def test_the_owner_of_the_stock_hears_of_limits_and_deletions(shop: Shop) -> None:
    made = await create(shop.owner, **SHIRT, backorderLimit=5)
    medium = made["variants"][0]["id"]
    assert await terms(shop, medium) == (False, 5)
    small = await ok(shop.owner, "POST", f"/{made['id']}/variants", json={"options": {"size": "S"}})
    assert await terms(shop, small["id"]) == (False, 5)
    await ok(shop.owner, "PUT", f"/{made['id']}", json={"backorderLimit": 2})
    assert await terms(shop, medium) == (False, 2)
    rows = [
        {"sku": "SHIRT", "name": "Shirt", "price": 10, "backorderLimit": 0},
        {"sku": "NEW", "name": "n", "price": 1, "backorderLimit": 7},
    ]
    result = await ok(shop.owner, "POST", "/import", json={"rows": rows})
    assert await terms(shop, medium) == (False, 0)
    assert await terms(shop, result["rows"][1]["id"]) == (False, 7)
    await ok(shop.owner, "DELETE", f"/{made['id']}")
    assert await terms(shop, medium) == (True, 0)


async def terms(shop: Shop, item_id: str) -> tuple[bool, int]:
    """As the stock's owner has written them."""
    query = "SELECT discontinued, backorder_limit FROM stock_items WHERE product_id = :id"
    (row,) = await shop.sees(query, id=UUID(item_id))
    return row["discontinued"], row["backorder_limit"]
