"""What the routes of the catalogue are asked that makes no sense, or too much at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from core.ids import uuid7
from deployments.catalog.capability import capability as catalog
from tests.api.catalog.catalog_kit import call, events, names
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, open_shop

ALL = (catalog,)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_shop(here, keyed=True) as opened:
        yield opened


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
async def test_bad_queries_are_named(shop: Shop, query: dict[str, str], field: str) -> None:
    reply = await call(await shop.anyone(), "GET", params=query)
    assert reply.status_code == 400
    assert names(reply, field)


async def test_strange_queries_find_nothing(shop: Shop) -> None:
    public = await shop.anyone()
    for words in ("'", "\\", "&|!", "<->", ":*", "a:b", "\u202e", "\U0001f4a9", " ", "--", "%"):
        reply = await call(public, "GET", params={"q": words, "vendorId": str(uuid7())})
        assert (reply.status_code, reply.json()["data"]) == (200, []), words
    assert (await call(public, "GET", params={"minPrice": "1E-99999"})).status_code == 200


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
    ({"name": "n", "price": 1, "sku": "SKU-123\u200b"}, "sku"),
    ({"name": "n", "price": 1, "sku": "SKU-123 "}, "sku"),
    ({"name": "n", "price": 1, "barcode": "12\u00ad3"}, "barcode"),
    ({"name": "n\u202e", "price": 1}, "name"),
    ({"name": "n", "price": 1, "category": "Toys > C\u200bars"}, "category"),
    ({"name": "n", "price": 1, "description": "x" * 10_001}, "description"),
    ({"name": "n\x00", "price": 1}, "name"),
    ({"name": "n", "price": 1, "vendorId": str(uuid4())}, "vendorId"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES)
async def test_bad_bodies_are_named_and_write_nothing(
    shop: Shop, body: dict[str, Any], field: str
) -> None:
    reply = await call(shop.owner, "POST", json=body)
    assert reply.status_code == 400, reply.text
    assert names(reply, field)
    assert await events(shop) == []


async def test_what_is_no_body_at_all(shop: Shop) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b"", b"{", b"[]", b"null", b'{"name": "\\ud800", "price": 1}', b"\xff"):
        for method, path in (("POST", ""), ("PUT", f"/{uuid7()}"), ("POST", "/import")):
            reply = await call(shop.owner, method, path, content=content, headers=headers)
            assert reply.status_code == 400, (content, reply.text)
    for path in ("/none", "/" + "9" * 400):
        assert (await call(shop.owner, "GET", path)).status_code == 400
        assert (await call(shop.owner, "PUT", path, json={"name": "n"})).status_code == 400


async def test_exact_prices_survive_the_trip(shop: Shop) -> None:
    for raw, currency in (
        ("0.1", "USD"),
        ("99999999999.99", "USD"),
        ("1.005", "KWD"),
        ("7", "JPY"),
    ):
        body = f'{{"name": "n", "price": {raw}, "currency": "{currency}"}}'.encode()
        headers = {"Content-Type": "application/json"}
        made = await call(shop.owner, "POST", content=body, headers=headers)
        again = await call(shop.owner, "GET", f"/{made.json()['data']['id']}")
        for reply in (made, again):
            assert json.loads(reply.content, parse_float=str, parse_int=str)["data"]["price"] in (
                raw,
                f"{raw}.0",
            )


async def test_an_import_has_bounds(shop: Shop) -> None:
    row = {"name": "n", "price": 1}
    for rows in ([], [{**row, "sku": str(n)} for n in range(501)], ["row"], [None]):
        reply = await call(shop.owner, "POST", "/import", json={"rows": rows})
        assert reply.status_code == 400
    full = {"rows": [{**row, "sku": str(n)} for n in range(500)]}
    assert (await call(shop.owner, "POST", "/import", json=full)).json()["data"]["created"] == 500


async def test_concurrent_imports_and_creations_never_collide(shop: Shop) -> None:
    rows = [{"sku": f"S{n}", "name": "n", "price": 1, "barcode": str(n)} for n in range(50)]
    imports = [
        call(shop.owner, "POST", "/import", json={"rows": rows[n:] + rows[:n]}) for n in range(6)
    ]
    creations = [call(shop.owner, "POST", json=row) for row in rows[:20]]
    replies = await asyncio.gather(*imports, *creations)
    assert {reply.status_code for reply in replies} <= {200, 201, 409}
    created = sum(reply.json()["data"]["created"] for reply in replies[:6])
    created += sum(reply.status_code == 201 for reply in replies[6:])
    assert created == 50
    listed = await call(shop.owner, "GET", params={"vendorId": str(shop.tenant)})
    assert listed.json()["pagination"]["total"] == 50
