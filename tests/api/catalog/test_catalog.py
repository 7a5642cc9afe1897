"""The routes of the catalogue, through the gateway, on a real Postgres."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.ids import uuid7
from core.principal import MANAGEMENT, Role
from core.settings import Settings
from deployments.catalog.access import WRITERS
from tests.api.catalog.catalog_kit import (
    Kit,
    Shop,
    caller,
    running_kit,
)


@pytest.fixture
async def kit(embedded: Settings) -> AsyncIterator[Kit]:
    async with running_kit(embedded) as running:
        yield running


@pytest.fixture(params=["single", "mounted"])
async def shop(kit: Kit, request: pytest.FixtureRequest) -> Shop:
    """An owner and their business, in both layouts."""
    return await new_shop(kit, mounted=request.param == "mounted")


async def new_shop(kit: Kit, *, mounted: bool = False) -> Shop:
    return caller(kit, kit.app(mounted=mounted), Role.OWNER, await kit.business())


def anyone(shop: Shop) -> Shop:
    return as_role(shop, None, None)


def as_role(shop: Shop, role: Role | None, tenant: UUID | None) -> Shop:
    return caller(shop.kit, shop.http._transport.app, role, tenant)  # type: ignore[attr-defined]


def names(reply: Any, field: str) -> str:
    """The message about one field of a problem document."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    problem = reply.json()
    assert problem["success"] is False
    found = [e["message"] for e in problem["errors"] if e["field"] == field]
    assert found, problem
    return str(found[0])


async def test_a_product_from_creation_to_deletion(shop: Shop) -> None:
    body = {
        "name": " Lamp ",
        "description": "Bright",
        "price": 19.99,
        "category": "Light",
        "images": ["https://x.example/a.png"],
        "sku": "L-1",
        "barcode": "4006381333931",
    }
    reply = await shop.call("POST", json=body)
    assert reply.status_code == 201
    made = reply.json()["data"]
    assert {**made, **body, "name": "Lamp"} == made
    assert (made["vendorId"], made["currency"], made["version"]) == (str(shop.tenant), "GBP", 1)
    assert UUID(made["id"]).version == 7

    path = f"/{made['id']}"
    public = anyone(shop)
    assert (await public.call("GET", path)).json() == {"success": True, "data": made}

    reply = await shop.call("PUT", path, json={"price": 18, "barcode": None, "version": 1})
    after = reply.json()["data"]
    assert (after["price"], after["barcode"], after["name"], after["version"]) == (
        18,
        None,
        "Lamp",
        2,
    )
    stale = await shop.call("PUT", path, json={"price": 17, "version": 1})
    assert stale.status_code == 409
    assert stale.json()["currentVersion"] == 2
    assert "2" in names(stale, "version")

    assert (await shop.call("DELETE", path)).json()["success"] is True
    for method in ("GET", "PUT", "DELETE"):
        options = {"json": {"name": "x"}} if method == "PUT" else {}
        assert (await shop.call(method, path, **options)).status_code == 404
    assert (await public.call("GET", path)).status_code == 404
    assert (await shop.create(sku="L-1"))["sku"] == "L-1"

    assert shop.tenant is not None
    events = await shop.kit.events(shop.tenant)
    assert [(kind, data["sku"]) for kind, _, data in events] == [
        ("catalog.product.created.v1", "L-1"),
        ("catalog.product.updated.v1", "L-1"),
        ("catalog.product.deleted.v1", "L-1"),
        ("catalog.product.created.v1", "L-1"),
    ]
    assert events[1][1] == made["id"]
    assert events[1][2]["changed"] == ["barcode", "price"]


async def test_a_mutation_happens_once_per_key(shop: Shop) -> None:
    body = {"name": "Lamp", "price": 1}
    first, again = [await shop.call("POST", json=body, key="k") for _ in range(2)]
    assert (
        (first.status_code, first.json())
        == (again.status_code, again.json())
        == (201, first.json())
    )
    assert (await shop.call("POST", json={**body, "price": 2}, key="k")).status_code == 422
    racing = await asyncio.gather(*(shop.call("POST", json=body, key="r") for _ in range(5)))
    assert len({reply.json()["data"]["id"] for reply in racing}) == 1
    path = f"/{first.json()['data']['id']}"
    gone = [(await shop.call("DELETE", path, key="d")).status_code for _ in range(2)]
    assert gone == [200, 200]
    assert (await shop.call("DELETE", path, key="")).status_code == 404


async def test_lists(shop: Shop) -> None:
    for price, name, category in ((3, "b", "Toys"), (1.5, "a", "Toys"), (2, "c lamp", None)):
        await shop.create(price=price, name=name, category=category, sku=f"S{price}")

    async def listed(**query: Any) -> list[str]:
        params = {"vendorId": str(shop.tenant), **query}
        reply = await anyone(shop).call("GET", params=params)
        assert reply.status_code == 200, reply.text
        return [product["name"] for product in reply.json()["data"]]

    assert await listed() == ["c lamp", "a", "b"]
    assert await listed(sort="price") == ["a", "c lamp", "b"]
    assert await listed(sort="-name") == ["c lamp", "b", "a"]
    assert await listed(category="Toys", sort="createdAt") == ["b", "a"]
    assert await listed(minPrice="1.50001", maxPrice="2.99999") == ["c lamp"]
    assert await listed(minPrice="3") == ["b"]
    assert await listed(q="LAM") == ["c lamp"]
    assert await listed(sku="S3") == ["b"]
    assert await listed(currency="USD") == []
    page = await anyone(shop).call(
        "GET", params={"vendorId": str(shop.tenant), "page": 2, "limit": 2}
    )
    assert page.json()["pagination"] == {"page": 2, "limit": 2, "total": 3}
    assert len(page.json()["data"]) == 1
    found = await anyone(shop).call("GET", "/categories", params={"vendorId": str(shop.tenant)})
    assert found.json()["data"] == [{"category": "Toys", "products": 2}]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page": "0"}, "page"),
        ({"page": "10001"}, "page"),
        ({"page": "x"}, "page"),
        ({"limit": "101"}, "limit"),
        ({"minPrice": "-1"}, "minPrice"),
        ({"minPrice": "NaN"}, "minPrice"),
        ({"maxPrice": "1e999999"}, "maxPrice"),
        ({"maxPrice": "much"}, "maxPrice"),
        ({"sort": "colour"}, "sort"),
        ({"vendorId": "me"}, "vendorId"),
        ({"currency": "pounds"}, "currency"),
        ({"category": ""}, "category"),
        ({"q": "x" * 101}, "q"),
        ({"q": "\x00"}, "q"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_bad_queries_are_named(kit: Kit, query: dict[str, str], field: str) -> None:
    reply = await caller(kit, kit.app(), None, None).call("GET", params=query)
    assert reply.status_code == 400
    assert names(reply, field)


async def test_strange_queries_find_nothing(kit: Kit) -> None:
    public = caller(kit, kit.app(), None, None)
    for words in ("'", "\\", "&|!", "<->", ":*", "a:b", "\u202e", "\U0001f4a9", " ", "--", "%"):
        reply = await public.call("GET", params={"q": words, "vendorId": str(uuid7())})
        assert (reply.status_code, reply.json()["data"]) == (200, []), words
    assert (await public.call("GET", params={"minPrice": "1E-99999"})).status_code == 200


BAD_BODIES = [
    ({"price": 1}, "name"),
    ({"name": " ", "price": 1}, "name"),
    ({"name": "x" * 256, "price": 1}, "name"),
    ({"name": 5, "price": 1}, "name"),
    ({"name": "n"}, "price"),
    ({"name": "n", "price": "1"}, "price"),
    ({"name": "n", "price": -0.01}, "price"),
    ({"name": "n", "price": 1.005}, "price"),
    ({"name": "n", "price": 1e15}, "price"),
    ({"name": "n", "price": 10**12}, "price"),
    ({"name": "n", "price": True}, "price"),
    ({"name": "n", "price": 1, "currency": "ZZZ"}, "currency"),
    ({"name": "n", "price": 1, "currency": None}, "currency"),
    ({"name": "n", "price": 1.5, "currency": "JPY"}, "price"),
    ({"name": "n", "price": 1, "images": "https://x"}, "images"),
    ({"name": "n", "price": 1, "images": ["https://x", "javascript:alert(1)"]}, "images[1]"),
    ({"name": "n", "price": 1, "sku": "a\tb"}, "sku"),
    ({"name": "n", "price": 1, "description": "x" * 10_001}, "description"),
    ({"name": "n\x00", "price": 1}, "name"),
    ({"name": "n", "price": 1, "vendorId": str(uuid4())}, "vendorId"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES)
async def test_bad_bodies_are_named_and_write_nothing(
    kit: Kit, body: dict[str, Any], field: str
) -> None:
    shop = await new_shop(kit)
    reply = await shop.call("POST", json=body)
    assert reply.status_code == 400, reply.text
    assert names(reply, field)
    assert shop.tenant is not None
    assert await kit.events(shop.tenant) == []


async def test_what_is_no_body_at_all(kit: Kit) -> None:
    shop = await new_shop(kit)
    headers = {"Content-Type": "application/json"}
    for content in (b"", b"{", b"[]", b"null", b'{"name": "\\ud800", "price": 1}', b"\xff"):
        for method, path in (("POST", ""), ("PUT", f"/{uuid7()}"), ("POST", "/import")):
            reply = await shop.call(method, path, content=content, headers=headers)
            assert reply.status_code == 400, (content, reply.text)
    for path in ("/none", "/" + "9" * 400):
        assert (await shop.call("GET", path)).status_code == 400
        assert (await shop.call("PUT", path, json={"name": "n"})).status_code == 400


async def test_exact_prices_survive_the_trip(kit: Kit) -> None:
    shop = await new_shop(kit)
    for raw, currency in (
        ("0.1", "USD"),
        ("99999999999.99", "USD"),
        ("1.005", "KWD"),
        ("7", "JPY"),
    ):
        body = f'{{"name": "n", "price": {raw}, "currency": "{currency}"}}'.encode()
        headers = {"Content-Type": "application/json"}
        made = await shop.call("POST", content=body, headers=headers)
        again = await shop.call("GET", f"/{made.json()['data']['id']}")
        for reply in (made, again):
            assert json.loads(reply.content, parse_float=str, parse_int=str)["data"]["price"] in (
                raw,
                f"{raw}.0",
            )


async def test_what_another_product_has_is_refused(shop: Shop) -> None:
    await shop.create(sku="A", barcode="1")
    other = await shop.create(sku="B", barcode="2")
    for fields, field in (({"sku": "A"}, "sku"), ({"barcode": "1"}, "barcode")):
        made = await shop.call("POST", json={"name": "n", "price": 1, **fields})
        changed = await shop.call("PUT", f"/{other['id']}", json=fields)
        assert (made.status_code, changed.status_code) == (409, 409)
        assert names(made, field) == names(changed, field)


async def test_tenants_are_walls(shop: Shop) -> None:
    mine = await shop.create(sku="A")
    path = f"/{mine['id']}"
    stranger = as_role(shop, Role.OWNER, await shop.kit.business())
    assert (await stranger.call("GET", path)).status_code == 200
    assert (await stranger.call("PUT", path, json={"name": "taken"})).status_code == 404
    assert (await stranger.call("DELETE", path)).status_code == 404
    rows = [{"sku": "A", "name": "taken", "price": 1}]
    imported = await stranger.call("POST", "/import", json={"rows": rows})
    assert imported.json()["data"]["rows"][0]["id"] != mine["id"]
    assert (await shop.call("GET", path)).json()["data"] == mine


async def test_roles(shop: Shop) -> None:
    mine = await shop.create()
    path = f"/{mine['id']}"
    row = {"sku": "A", "name": "n", "price": 1}
    calls: list[tuple[str, str, Any]] = [
        ("POST", "", {"name": "n", "price": 1}),
        ("POST", "/import", {"rows": [row]}),
        ("PUT", path, {"name": "n"}),
        ("DELETE", path, None),
    ]
    for role in [*Role, None]:
        if role is Role.ANONYMOUS or role in WRITERS:
            continue
        person = as_role(shop, role, None if role in (None, Role.CUSTOMER) else shop.tenant)
        for method, where, body in calls:
            if role is Role.ADMIN and where == path:
                continue
            reply = await person.call(method, where, json=body)
            assert reply.status_code == (403 if role else 401), (role, method, where)
        assert (await person.call("GET", path)).status_code == 200
    for role in MANAGEMENT:
        assert (
            await as_role(shop, role, shop.tenant).call(*calls[2][:2], json=calls[2][2])
        ).is_success


async def test_a_platform_admin_may_mend_and_take_down_any_product(shop: Shop) -> None:
    path = f"/{(await shop.create())['id']}"
    admin = as_role(shop, Role.ADMIN, None)
    assert (await admin.call("PUT", path, json={"name": "Mended"})).json()["data"][
        "name"
    ] == "Mended"
    gone = [(await admin.call("DELETE", path, key="once")).status_code for _ in range(2)]
    assert gone == [200, 200]
    assert (await admin.call("DELETE", path)).status_code == 404
    assert (await admin.call("DELETE", f"/{uuid7()}")).status_code == 404
    assert shop.tenant is not None
    assert [kind for kind, _, _ in await shop.kit.events(shop.tenant)][1:] == [
        "catalog.product.updated.v1",
        "catalog.product.deleted.v1",
    ]


async def test_an_import_answers_row_by_row(shop: Shop) -> None:
    kept = await shop.create(sku="K", name="Kept", price=1, barcode="1", category="Light")
    rows: list[dict[str, Any]] = [
        {"sku": "N", "name": "New", "price": 2.5},
        {"sku": "K", "name": "Kept", "price": 1},
        {"sku": "X", "name": "Bad", "price": 2.555},
        {"sku": "B", "name": "Bad", "price": 2, "barcode": "1"},
        {"name": "Bad", "price": 2},
    ]
    reply = await shop.call("POST", "/import", json={"rows": rows})
    result = reply.json()["data"]
    counts = {name: result[name] for name in ("created", "updated", "unchanged", "rejected")}
    assert counts == {"created": 1, "updated": 0, "unchanged": 1, "rejected": 3}
    assert [row["sku"] for row in result["rows"]] == ["N", "K", "X", "B", None]
    assert [row["errors"][0]["field"] for row in result["rows"][2:]] == ["price", "barcode", "sku"]
    assert result["rows"][1]["id"] == kept["id"]

    rows[1]["price"] = 9
    again = (await shop.call("POST", "/import", json={"rows": rows[:2]})).json()["data"]
    assert (again["updated"], again["unchanged"]) == (1, 1)
    after = (await shop.call("GET", f"/{kept['id']}")).json()["data"]
    assert (after["price"], after["barcode"], after["category"]) == (9, "1", "Light")
    assert shop.tenant is not None
    assert [kind.split(".")[2] for kind, _, _ in await shop.kit.events(shop.tenant)] == [
        "created",
        "created",
        "updated",
    ]


async def test_an_import_has_bounds(kit: Kit) -> None:
    shop = await new_shop(kit)
    row = {"name": "n", "price": 1}
    for rows in ([], [{**row, "sku": str(n)} for n in range(501)], ["row"], [None]):
        reply = await shop.call("POST", "/import", json={"rows": rows})
        assert reply.status_code == 400
    full = {"rows": [{**row, "sku": str(n)} for n in range(500)]}
    assert (await shop.call("POST", "/import", json=full)).json()["data"]["created"] == 500


async def test_concurrent_imports_and_creations_never_collide(kit: Kit) -> None:
    shop = await new_shop(kit)
    rows = [{"sku": f"S{n}", "name": "n", "price": 1, "barcode": str(n)} for n in range(50)]
    imports = [shop.call("POST", "/import", json={"rows": rows[n:] + rows[:n]}) for n in range(6)]
    creations = [shop.call("POST", json=row) for row in rows[:20]]
    replies = await asyncio.gather(*imports, *creations)
    assert {reply.status_code for reply in replies} <= {200, 201, 409}
    created = sum(reply.json()["data"]["created"] for reply in replies[:6])
    created += sum(reply.status_code == 201 for reply in replies[6:])
    assert created == 50
    listed = await shop.call("GET", params={"vendorId": str(shop.tenant)})
    assert listed.json()["pagination"]["total"] == 50
