"""One good request for each route of suppliers and purchase orders. See `tests.api.cases`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from core.ids import uuid7
from core.principal import MANAGEMENT, Role
from tests.api.case import Call, Case, RouteId, plain
from tests.api.shop import Shop, done

BUYERS = MANAGEMENT | {Role.SERVICE}
HANDLERS = BUYERS | {Role.STAFF}
OF_SUPPLIERS = frozenset({"contactName", "email", "phone", "notes"})
OF_ITEMS = frozenset({"supplierSku", "cost", "leadTimeDays"})
OF_ORDERS = frozenset({"locationId", "cost", "expectedAt"})


def _supplier_body() -> dict[str, Any]:
    return {
        "name": f"Tea {uuid4()}",
        "contactName": "Ann",
        "email": "ann@tea.example.com",
        "phone": "+44 1",
        "leadTimeDays": 5,
        "currency": "GBP",
        "notes": "Mondays",
    }


async def _new_supplier(_: Shop | None) -> Call:
    return Call(body=_supplier_body())


async def _supplier(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    path = "/api/inventory/suppliers"
    return Call(done(await shop.owner.post(path, _supplier_body()))["id"])


async def _change_supplier(shop: Shop | None) -> Call:
    return Call((await _supplier(shop)).id, {**_supplier_body(), "version": 1})


async def _product(shop: Shop | None) -> str:
    return str(uuid4()) if shop is None else await shop.product()


async def _items(shop: Shop | None) -> Call:
    item = {"productId": await _product(shop), "supplierSku": "T-1", "cost": 1.5, "leadTimeDays": 3}
    return Call((await _supplier(shop)).id, {"items": [item]})


async def _new_order(shop: Shop | None) -> Call:
    line = {"productId": await _product(shop), "quantity": 5, "cost": 1.25}
    supplier = (await _supplier(shop)).id
    moment = "2100-01-01T00:00:00Z"
    place = str(uuid4()) if shop is None else str(shop.tenant)
    body = {"supplierId": supplier, "locationId": place, "lines": [line]}
    return Call(body=body | {"reference": "PO 1", "expectedAt": moment})


async def _draft(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    body = (await _new_order(shop)).body
    return Call(done(await shop.owner.post("/api/inventory/purchase-orders", body))["id"])


async def _change_order(shop: Shop | None) -> Call:
    return Call((await _draft(shop)).id, (await _new_order(shop)).body)


async def _receive(shop: Shop | None) -> Call:
    if shop is None:
        lines = [{"productId": str(uuid4()), "quantity": 1}]
        return Call(str(uuid7()), {"lines": lines, "allowExcess": False})
    draft = (await _draft(shop)).id
    path = f"/api/inventory/purchase-orders/{draft}"
    order = done(await shop.owner.post(f"{path}/order"))
    lines = [{"productId": order["lines"][0]["productId"], "quantity": 1}]
    return Call(draft, {"lines": lines, "allowExcess": False})


CASES: dict[RouteId, Case] = {
    ("GET", "/api/inventory/suppliers"): Case(BUYERS, plain(), about_a_thing=False),
    ("POST", "/api/inventory/suppliers"): Case(
        BUYERS, _new_supplier, about_a_thing=False, nullable=OF_SUPPLIERS
    ),
    ("GET", "/api/inventory/suppliers/{id}"): Case(BUYERS, _supplier),
    ("PUT", "/api/inventory/suppliers/{id}"): Case(BUYERS, _change_supplier, nullable=OF_SUPPLIERS),
    ("DELETE", "/api/inventory/suppliers/{id}"): Case(BUYERS, _supplier),
    ("GET", "/api/inventory/suppliers/{id}/items"): Case(BUYERS, _supplier),
    ("PUT", "/api/inventory/suppliers/{id}/items"): Case(
        BUYERS, _items, nullable=OF_ITEMS | {"items"}
    ),
    ("GET", "/api/inventory/purchase-orders"): Case(HANDLERS, plain(), about_a_thing=False),
    ("POST", "/api/inventory/purchase-orders"): Case(BUYERS, _new_order, nullable=OF_ORDERS),
    ("GET", "/api/inventory/purchase-orders/{id}"): Case(HANDLERS, _draft),
    ("PUT", "/api/inventory/purchase-orders/{id}"): Case(BUYERS, _change_order, nullable=OF_ORDERS),
    ("POST", "/api/inventory/purchase-orders/{id}/order"): Case(BUYERS, _draft),
    ("POST", "/api/inventory/purchase-orders/{id}/receive"): Case(HANDLERS, _receive),
    ("POST", "/api/inventory/purchase-orders/{id}/cancel"): Case(BUYERS, _draft),
}
