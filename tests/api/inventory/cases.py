"""One good request for each route of inventory. See `tests.api.cases`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from core.ids import uuid7
from core.principal import MANAGEMENT, STAFF, Role
from tests.api.case import Call, Case, RouteId, plain
from tests.api.shop import Shop, done

EVERYONE = frozenset(Role)
HANDLERS = MANAGEMENT | {Role.STAFF, Role.SERVICE}


async def _product(shop: Shop | None) -> str:
    return str(uuid4()) if shop is None else await shop.product(5)


async def _location(shop: Shop | None) -> str:
    return str(uuid4()) if shop is None else str(await shop.location())


async def _item(shop: Shop | None) -> Call:
    return Call(await _product(shop))


async def _line(shop: Shop | None) -> Call:
    return Call(body={"productId": await _product(shop), "quantity": 2})


async def _add(shop: Shop | None) -> Call:
    body = (await _line(shop)).body or {}
    return Call(body=body | {"lowStockThreshold": 4, "reference": "PO-7"})


async def _reserve(shop: Shop | None) -> Call:
    line = (await _line(shop)).body
    return Call(body={"lines": [line], "ttlSeconds": 60, "reference": "basket 9"})


async def _reserve_one(shop: Shop | None) -> Call:
    line: dict[str, Any] = (await _line(shop)).body or {}
    return Call(body=line | {"ttlSeconds": 60, "reference": "basket 9"})


async def _adjust(shop: Shop | None) -> Call:
    lines = [{"productId": await _product(shop), "delta": 3}]
    return Call(body={"lines": lines, "reason": "found", "reference": "count 7"})


async def _batch(shop: Shop | None) -> Call:
    line: dict[str, Any] = {"action": "set", "productId": await _product(shop), "quantity": 9}
    return Call(body={"lines": [line | {"lowStockThreshold": 3}], "reason": "recount"})


async def _count(shop: Shop | None) -> Call:
    lines = [{"productId": await _product(shop), "counted": 4}]
    return Call(body={"lines": lines, "reference": "night"})


async def _repair(shop: Shop | None) -> Call:
    return Call(body={"productId": await _product(shop), "reason": "drift"})


async def _terms(shop: Shop | None) -> Call:
    return Call(await _product(shop), {"backorderLimit": 5})


async def _transfer(shop: Shop | None) -> Call:
    lines = [{"productId": await _product(shop), "quantity": 2}]
    goal = await _location(shop)
    return Call(body={"toLocationId": goal, "lines": lines, "ship": True, "reference": "van"})


async def _shipped(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    body = (await _transfer(shop)).body
    return Call(done(await shop.owner.post("/api/inventory/transfers", body))["id"])


async def _arrival(shop: Shop | None) -> Call:
    call, item = await _shipped(shop), str(uuid4())
    if shop is not None:
        found = done(await shop.owner.get(f"/api/inventory/transfers/{call.id}"))
        item = found["lines"][0]["productId"]
    return Call(call.id, {"lines": [{"productId": item, "quantity": 1}]})


async def _hold(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    hold = await shop.reserve(await shop.product(5), 2)
    return Call(hold["id"])


async def _extend(shop: Shop | None) -> Call:
    return Call((await _hold(shop)).id, {"ttlSeconds": 60})


CASES: dict[RouteId, Case] = {
    ("GET", "/api/inventory/status/low-stock"): Case(
        EVERYONE, plain(), about_a_thing=False, own=False
    ),
    ("POST", "/api/inventory/add"): Case(MANAGEMENT, _add),
    ("POST", "/api/inventory/reserve"): Case(STAFF, _reserve, lean=_reserve_one),
    ("POST", "/api/inventory/release"): Case(STAFF, _line, statuses=frozenset({200, 409})),
    ("POST", "/api/inventory/adjustments"): Case(MANAGEMENT, _adjust),
    ("POST", "/api/inventory/batch"): Case(MANAGEMENT, _batch),
    ("POST", "/api/inventory/counts"): Case(MANAGEMENT, _count),
    ("POST", "/api/inventory/repairs"): Case(
        MANAGEMENT | {Role.ADMIN}, _repair, across=frozenset({Role.ADMIN})
    ),
    ("POST", "/api/inventory/transfers"): Case(
        HANDLERS, _transfer, nullable=frozenset({"toLocationId"})
    ),
    ("GET", "/api/inventory/transfers"): Case(HANDLERS, plain(), about_a_thing=False),
    ("GET", "/api/inventory/transfers/{id}"): Case(HANDLERS, _shipped),
    ("POST", "/api/inventory/transfers/{id}/receive"): Case(HANDLERS, _arrival),
    ("POST", "/api/inventory/transfers/{id}/cancel"): Case(HANDLERS, _shipped),
    ("GET", "/api/inventory/reservations"): Case(STAFF, plain(), about_a_thing=False),
    ("GET", "/api/inventory/reservations/{id}"): Case(STAFF, _hold),
    ("POST", "/api/inventory/reservations/{id}/confirm"): Case(STAFF, _hold),
    ("POST", "/api/inventory/reservations/{id}/extend"): Case(STAFF, _extend),
    ("POST", "/api/inventory/reservations/{id}/release"): Case(STAFF, _hold),
    ("GET", "/api/inventory/{id}"): Case(EVERYONE, _item, own=False),
    ("PUT", "/api/inventory/{id}/terms"): Case(MANAGEMENT, _terms),
    ("GET", "/api/inventory/{id}/movements"): Case(STAFF, _item),
}
