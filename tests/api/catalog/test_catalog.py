"""The routes of the catalogue, through the gateway, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core.ids import uuid7
from core.principal import MANAGEMENT, Role
from core.settings import Settings
from deployments.catalog.access import WRITERS
from deployments.catalog.capability import capability as catalog
from tests.api.catalog.catalog_kit import call, create, events, names
from tests.api.in_process import InProcessStack, in_process
from tests.api.shop import Shop, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[None, catalog], ids=["single", "mounted"]
)
async def here(request: pytest.FixtureRequest, embedded: Settings) -> AsyncIterator[InProcessStack]:
    """In both layouts."""
    async with in_process(embedded, (catalog,), mounted=request.param) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


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
    reply = await call(shop.owner, "POST", json=body)
    assert reply.status_code == 201
    made = reply.json()["data"]
    assert {**made, **body, "name": "Lamp"} == made
    assert (made["vendorId"], made["currency"], made["version"]) == (str(shop.tenant), "GBP", 1)
    assert UUID(made["id"]).version == 7

    path = f"/{made['id']}"
    public = await shop.anyone()
    assert (await call(public, "GET", path)).json() == {"success": True, "data": made}

    reply = await call(shop.owner, "PUT", path, json={"price": 18, "barcode": None, "version": 1})
    after = reply.json()["data"]
    assert (after["price"], after["barcode"], after["name"], after["version"]) == (
        18,
        None,
        "Lamp",
        2,
    )
    stale = await call(shop.owner, "PUT", path, json={"price": 17, "version": 1})
    assert stale.status_code == 409
    assert stale.json()["currentVersion"] == 2
    assert "2" in names(stale, "version")

    assert (await call(shop.owner, "DELETE", path)).json()["success"] is True
    for method in ("GET", "PUT", "DELETE"):
        options = {"json": {"name": "x"}} if method == "PUT" else {}
        assert (await call(shop.owner, method, path, **options)).status_code == 404
    assert (await call(public, "GET", path)).status_code == 404
    assert (await create(shop.owner, sku="L-1"))["sku"] == "L-1"

    told = await events(shop)
    assert [(kind, data["sku"]) for kind, _, data in told] == [
        ("catalog.product.created.v1", "L-1"),
        ("catalog.product.updated.v1", "L-1"),
        ("catalog.product.deleted.v1", "L-1"),
        ("catalog.product.created.v1", "L-1"),
    ]
    assert told[1][1] == made["id"]
    assert told[1][2]["changed"] == ["barcode", "price"]


async def test_a_mutation_happens_once_per_key(shop: Shop) -> None:
    body = {"name": "Lamp", "price": 1}
    first, again = [await call(shop.owner, "POST", json=body, key="k") for _ in range(2)]
    assert (
        (first.status_code, first.json())
        == (again.status_code, again.json())
        == (201, first.json())
    )
    assert (await call(shop.owner, "POST", json={**body, "price": 2}, key="k")).status_code == 422
    racing = await asyncio.gather(*(call(shop.owner, "POST", json=body, key="r") for _ in range(5)))
    assert len({reply.json()["data"]["id"] for reply in racing}) == 1
    path = f"/{first.json()['data']['id']}"
    gone = [(await call(shop.owner, "DELETE", path, key="d")).status_code for _ in range(2)]
    assert gone == [200, 200]
    assert (await call(replace(shop.owner, keyed=False), "DELETE", path)).status_code == 404


async def test_lists(shop: Shop) -> None:
    for price, name, category in ((3, "b", "Toys"), (1.5, "a", "Toys"), (2, "c lamp", None)):
        await create(shop.owner, price=price, name=name, category=category, sku=f"S{price}")

    async def listed(**query: Any) -> list[str]:
        params = {"vendorId": str(shop.tenant), **query}
        reply = await call(await shop.anyone(), "GET", params=params)
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
    page = await call(
        await shop.anyone(), "GET", params={"vendorId": str(shop.tenant), "page": 2, "limit": 2}
    )
    assert page.json()["pagination"] == {"page": 2, "limit": 2, "total": 3}
    assert len(page.json()["data"]) == 1
    found = await call(
        await shop.anyone(), "GET", "/categories", params={"vendorId": str(shop.tenant)}
    )
    assert found.json()["data"] == [{"category": "Toys", "products": 2}]


async def test_what_another_product_has_is_refused(shop: Shop) -> None:
    await create(shop.owner, sku="A", barcode="1")
    other = await create(shop.owner, sku="B", barcode="2")
    for fields, field in (({"sku": "A"}, "sku"), ({"barcode": "1"}, "barcode")):
        made = await call(shop.owner, "POST", json={"name": "n", "price": 1, **fields})
        changed = await call(shop.owner, "PUT", f"/{other['id']}", json=fields)
        assert (made.status_code, changed.status_code) == (409, 409)
        assert names(made, field) == names(changed, field)


async def test_tenants_are_walls(shop: Shop) -> None:
    mine = await create(shop.owner, sku="A")
    path = f"/{mine['id']}"
    stranger = (await shop.another()).owner
    assert (await call(stranger, "GET", path)).status_code == 200
    assert (await call(stranger, "PUT", path, json={"name": "taken"})).status_code == 404
    assert (await call(stranger, "DELETE", path)).status_code == 404
    rows = [{"sku": "A", "name": "taken", "price": 1}]
    imported = await call(stranger, "POST", "/import", json={"rows": rows})
    assert imported.json()["data"]["rows"][0]["id"] != mine["id"]
    assert (await call(shop.owner, "GET", path)).json()["data"] == mine


async def test_roles(shop: Shop) -> None:
    mine = await create(shop.owner)
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
        person = await shop.caller(role) if role else await shop.anyone()
        for method, where, body in calls:
            if role is Role.ADMIN and where == path:
                continue
            reply = await call(person, method, where, json=body)
            assert reply.status_code == (403 if role else 401), (role, method, where)
        assert (await call(person, "GET", path)).status_code == 200
    for role in MANAGEMENT:
        assert (await call(await shop.caller(role), *calls[2][:2], json=calls[2][2])).is_success


async def test_a_platform_admin_may_mend_and_take_down_any_product(shop: Shop) -> None:
    path = f"/{(await create(shop.owner))['id']}"
    admin = await shop.caller(Role.ADMIN)
    assert (await call(admin, "PUT", path, json={"name": "Mended"})).json()["data"][
        "name"
    ] == "Mended"
    gone = [(await call(admin, "DELETE", path, key="once")).status_code for _ in range(2)]
    assert gone == [200, 200]
    assert (await call(admin, "DELETE", path)).status_code == 404
    assert (await call(admin, "DELETE", f"/{uuid7()}")).status_code == 404
    assert [kind for kind, _, _ in await events(shop)][1:] == [
        "catalog.product.updated.v1",
        "catalog.product.deleted.v1",
    ]


async def test_an_import_answers_row_by_row(shop: Shop) -> None:
    kept = await create(shop.owner, sku="K", name="Kept", price=1, barcode="1", category="Light")
    rows: list[dict[str, Any]] = [
        {"sku": "N", "name": "New", "price": 2.5},
        {"sku": "K", "name": "Kept", "price": 1},
        {"sku": "X", "name": "Bad", "price": 2.555},
        {"sku": "B", "name": "Bad", "price": 2, "barcode": "1"},
        {"name": "Bad", "price": 2},
    ]
    reply = await call(shop.owner, "POST", "/import", json={"rows": rows})
    result = reply.json()["data"]
    counts = {name: result[name] for name in ("created", "updated", "unchanged", "rejected")}
    assert counts == {"created": 1, "updated": 0, "unchanged": 1, "rejected": 3}
    assert [row["sku"] for row in result["rows"]] == ["N", "K", "X", "B", None]
    assert [row["errors"][0]["field"] for row in result["rows"][2:]] == ["price", "barcode", "sku"]
    assert result["rows"][1]["id"] == kept["id"]

    rows[1]["price"] = 9
    again = (await call(shop.owner, "POST", "/import", json={"rows": rows[:2]})).json()["data"]
    assert (again["updated"], again["unchanged"]) == (1, 1)
    after = (await call(shop.owner, "GET", f"/{kept['id']}")).json()["data"]
    assert (after["price"], after["barcode"], after["category"]) == (9, "1", "Light")
    assert [kind.split(".")[2] for kind, _, _ in await events(shop)] == [
        "created",
        "created",
        "updated",
    ]
