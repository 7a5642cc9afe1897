"""Owners read who changed what."""

from __future__ import annotations

from typing import Any

import pytest

from core.principal import Role
from tests.api.business.business_kit import ALL as ALL
from tests.api.business.business_kit import call, made, member
from tests.api.harness import Served
from tests.api.people import Session, session

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_owners_read_who_changed_what(served: Served, owner: Session) -> None:
    branch = await made(served, owner, "/locations", {"name": "Branch"})
    manager = await member(served, owner, Role.MANAGER)
    path = f"/locations/{branch['id']}"
    await call(served, manager, "PUT", path, {"name": "Annex", "phone": "12 34"})
    await call(served, manager, "PUT", path, {"name": "Annex"})  # changes nothing
    found = (await call(served, owner, "GET", f"/audit-log?subjectId={branch['id']}")).json()
    updated, created = found["data"]
    assert (created["action"], created["actorId"]) == ("location.created", owner.user["id"])
    assert (updated["action"], updated["actorRole"]) == ("location.updated", "manager")
    assert updated["changes"] == {"name": ["Branch", "Annex"], "phone": [None, "12 34"]}
    since = f"/audit-log?action=location.updated&since={updated['createdAt'].replace('+', '%2B')}"
    assert len((await call(served, owner, "GET", since)).json()["data"]) == 1
    until = since.replace("since=", "until=")
    assert (await call(served, owner, "GET", until)).json()["data"] == []
    other = await session(served.http, role="vendor")
    assert branch["id"] not in (await call(served, other, "GET", "/audit-log")).text


async def test_products_are_in_the_audit_log(served: Served, owner: Session) -> None:
    body = {"name": "Assam", "price": 4.25}
    made = await served.http.post("/api/products", json=body, headers=owner.auth)
    product = made.json()["data"]["id"]
    url = f"/api/products/{product}"
    for body in ({"price": 4.5}, {"price": 4.5}):
        await served.http.put(url, json=body, headers=owner.auth)
    rows = {"rows": [{"sku": "I-1", "name": "Mug", "price": 4.5}]}
    done = await served.http.post("/api/products/import", json=rows, headers=owner.auth)
    assert done.status_code == 200, done.text
    found = (await call(served, owner, "GET", f"/audit-log?subjectId={product}")).json()["data"]
    assert [entry["action"] for entry in found] == ["product.updated", "product.created"]
    assert found[0]["changes"] == {"price_minor": [425, 450]}
    path = "/audit-log?action=catalog.imported"
    (imported,) = (await call(served, owner, "GET", path)).json()["data"]
    assert imported["changes"] == {"created": [None, 1], "updated": [None, 0]}


async def test_the_catalogue_and_suppliers_are_in_the_audit_log(
    served: Served, owner: Session
) -> None:
    async def done(method: str, path: str, body: Any = None) -> Any:
        reply = await served.http.request(method, f"/api/{path}", json=body, headers=owner.auth)
        assert reply.is_success, reply.text
        return reply.json().get("data")

    async def lines(subject: str) -> list[tuple[str, dict[str, Any]]]:
        found = (await call(served, owner, "GET", f"/audit-log?subjectId={subject}")).json()["data"]
        assert {entry["actorId"] for entry in found} == {owner.user["id"]}
        return [(entry["action"], entry["changes"]) for entry in reversed(found)]

    variants = [{"options": {"size": "S"}, "sku": "A-S"}]
    shirt = await done("POST", "products", {"name": "Shirt", "price": 1, "variants": variants})
    body = {"options": {"size": "M"}, "sku": "A-M"}
    medium = (await done("POST", f"products/{shirt['id']}/variants", body))["id"]
    await done("PUT", f"products/variants/{medium}", {"price": 2.5})
    await done("PUT", f"products/variants/{medium}", {"price": 2.5})  # changes nothing
    await done("DELETE", f"products/variants/{medium}")
    created, *rest = await lines(medium)
    assert (created[0], created[1]["sku"]) == ("variant.created", [None, "A-M"])
    assert rest == [("variant.updated", {"price_minor": [None, 250]}), ("variant.deleted", {})]

    pen = (await done("POST", "products", {"name": "Pen", "price": 1}))["id"]
    parts = [{"productId": pen, "quantity": 2}]
    box = {"name": "Box", "price": 1, "kind": "bundle", "components": parts}
    made = (await done("POST", "products", box))["id"]
    parts[0]["quantity"] = 3
    await done("PUT", f"products/{made}", {"components": parts})
    created, updated = await lines(made)
    assert created[1]["components"] == [[], [f"2 x {pen}"]]
    assert updated == ("product.updated", {"components": [[f"2 x {pen}"], [f"3 x {pen}"]]})

    toys = (await done("POST", "products/categories", {"name": "Toys"}))["id"]
    await done("PUT", f"products/categories/{toys}", {"name": "Games"})
    await done("DELETE", f"products/categories/{toys}")
    created, *rest = await lines(toys)
    assert created[1]["path"] == [None, "Toys"]
    assert rest == [
        ("category.updated", {"path": ["Toys", "Games"]}),
        ("category.deleted", {"path": ["Games", None]}),
    ]

    person = {"name": "Acme", "email": "joe@acme.example"}
    acme = (await done("POST", "inventory/suppliers", person))["id"]
    await done("PUT", f"inventory/suppliers/{acme}", {"leadTimeDays": 9})
    path = f"inventory/suppliers/{acme}/items"
    await done("PUT", path, {"items": [{"productId": pen, "cost": 1.5}]})
    await done("DELETE", f"inventory/suppliers/{acme}")
    found = await lines(acme)
    assert [action for action, _ in found] == [
        "supplier.created", "supplier.updated", "supplier.items_replaced", "supplier.deleted"
    ]  # fmt: skip
    assert found[1][1]["lead_time_days"][1] == 9
    assert found[2][1] == {pen: [None, "sku None, cost 150, days None"]}
    assert "joe" not in str(found)
