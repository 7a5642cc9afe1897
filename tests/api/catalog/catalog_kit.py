"""What the tests of the catalogue share: calls of its routes, and the events that they write."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.api.shop import Caller, Shop, done

PRODUCTS = "/api/products"
SMALL = {"options": {"size": "S"}}


async def call(who: Caller, method: str, path: str = "", **options: Any) -> httpx2.Response:
    return await who.call(method, PRODUCTS + path, **options)


async def ok(who: Caller, method: str, path: str, **options: Any) -> Any:
    reply = await call(who, method, path, **options)
    assert reply.is_success, reply.text
    return reply.json().get("data")


async def create(who: Caller, **fields: Any) -> dict[str, Any]:
    body = {"name": "Lamp", "price": 2.55, **fields}
    made: dict[str, Any] = done(await call(who, "POST", json=body))
    return made


def names(reply: Any, field: str) -> str:
    """The message about one field of a problem document."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    problem = reply.json()
    assert problem["success"] is False
    found = [e["message"] for e in problem["errors"] if e["field"] == field]
    assert found, problem
    return str(found[0])


async def events(shop: Shop) -> list[tuple[str, str, dict[str, Any]]]:
    """Type, subject and data of the business' events of the catalogue, in order."""
    query = "SELECT type, subject, data FROM outbox WHERE type LIKE 'catalog.%' ORDER BY id"
    return [(row["type"], row["subject"], row["data"]) for row in await shop.sees(query)]


async def add(shop: Shop, product: str, quantity: int = 1) -> httpx2.Response:
    return await shop.owner.post("/api/inventory/add", {"productId": product, "quantity": quantity})


async def adjust(shop: Shop, product: str, delta: int, place: str | None = None) -> httpx2.Response:
    line = {"productId": product, "delta": delta} | ({"locationId": place} if place else {})
    return await shop.owner.post(
        "/api/inventory/adjustments", {"lines": [line], "reason": "correction"}
    )


async def vary(shop: Shop, product: str, **fields: Any) -> httpx2.Response:
    """Gives a product a variant."""
    return await call(shop.owner, "POST", f"/{product}/variants", json={**SMALL, **fields})
