"""Suppliers and purchase orders: in process, with shard hosts, on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text

from core.principal import Role
from core.settings import Settings
from store.kit.engine import Scope
from tests.api.in_process import InProcessStack
from tests.api.shop import Shop, done, open_till, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = "/api/inventory"


@pytest_asyncio.fixture(loop_scope="module")
async def shop(here: InProcessStack) -> AsyncIterator[Shop]:
    async with open_till(here) as opened:
        yield opened


async def supplier(shop: Shop, **fields: Any) -> dict[str, Any]:
    body = {"name": f"Tea {uuid4()}", "leadTimeDays": 3, "currency": "EUR", **fields}
    made: dict[str, Any] = done(await shop.owner.post(f"{BASE}/suppliers", body))
    return made


async def ordered(shop: Shop, *lines: tuple[str, int], place: bool = True) -> str:
    body = {
        "supplierId": (await supplier(shop))["id"],
        "lines": [{"productId": item, "quantity": n, "cost": 1.25} for item, n in lines],
    }
    order: str = done(await shop.owner.post(f"{BASE}/purchase-orders", body))["id"]
    if place:
        done(await shop.owner.post(f"{BASE}/purchase-orders/{order}/order"))
    return order


async def act(shop: Shop, order: str, action: str, body: Any = None, **rest: Any) -> Any:
    return await shop.owner.post(f"{BASE}/purchase-orders/{order}/{action}", body, **rest)


async def level(shop: Shop, item: str) -> tuple[int, int]:
    """On hand and incoming at the main location, as they were written."""
    query = text("SELECT on_hand, incoming FROM stock_levels WHERE product_id = :id")
    async with shop.served.resources.db.transaction(Scope(shop.tenant)) as tx:
        row = (await tx.execute(query, {"id": item})).one_or_none()
    return (0, 0) if row is None else (row.on_hand, row.incoming)


async def ledger(shop: Shop, item: str) -> tuple[int, int]:
    """What the lines of the ledger add up to."""
    query = text(
        "SELECT coalesce(sum(on_hand_delta), 0), coalesce(sum(incoming_delta), 0)"
        " FROM stock_movements WHERE product_id = :id"
    )
    async with shop.served.resources.db.transaction(Scope(shop.tenant)) as tx:
        on_hand, incoming = (await tx.execute(query, {"id": item})).one()
    return int(on_hand), int(incoming)


async def test_an_order_from_draft_to_delivery(shop: Shop) -> None:
    tea, cup = await shop.goods(stock=4), await shop.goods(stock=0)
    order = await ordered(shop, (tea, 10), (cup, 3), place=False)
    assert await level(shop, tea) == (4, 0)
    placed = done(await act(shop, order, "order"))
    assert (placed["status"], placed["total"]) == ("ordered", 16.25)
    assert (await level(shop, tea), await level(shop, cup)) == ((4, 10), (0, 3))
    problem(await act(shop, order, "order"), 409, "purchase_not_draft")

    some = {"lines": [{"productId": tea, "quantity": 6}]}
    first = await act(shop, order, "receive", some, key="lorry")
    again = await act(shop, order, "receive", some, key="lorry")
    assert first.json() == again.json()
    assert done(first)["status"] == "partly_received"
    assert await level(shop, tea) == (10, 4)
    too_many = {"lines": [{"productId": cup, "quantity": 1}, {"productId": tea, "quantity": 5}]}
    refused = problem(await act(shop, order, "receive", too_many), 409, "more_than_ordered")
    assert (refused["productId"], refused["outstanding"]) == (tea, 4)
    assert await level(shop, cup) == (0, 3)
    stray = {"lines": [{"productId": str(uuid4()), "quantity": 1}]}
    problem(await act(shop, order, "receive", stray), 409)
    rest = done(await act(shop, order, "receive", {}))
    assert rest["status"] == "received"
    assert (await level(shop, tea), await level(shop, cup)) == ((14, 0), (3, 0))
    problem(await act(shop, order, "receive", {}), 409, "purchase_not_open")
    problem(await act(shop, order, "cancel"), 409, "purchase_not_open")
    for item in (tea, cup):
        assert await ledger(shop, item) == await level(shop, item)
    listed = done(await shop.owner.get(f"{BASE}/purchase-orders?productId={tea}"))
    assert listed == [rest]


async def test_the_rest_may_be_cancelled_and_more_may_come(shop: Shop) -> None:
    tea, cup = await shop.goods(stock=0), await shop.goods(stock=0)
    order = await ordered(shop, (tea, 10), (cup, 2))
    excess = {"lines": [{"productId": tea, "quantity": 12}], "allowExcess": True}
    after = done(await act(shop, order, "receive", excess))
    assert [line["outstanding"] for line in after["lines"]] == [0, 2]
    assert (await level(shop, tea), await level(shop, cup)) == ((12, 0), (0, 2))
    ended = done(await act(shop, order, "cancel"))
    assert (ended["status"], ended["lines"][1]["cancelled"]) == ("closed", 2)
    for status, found in (("closed", [ended]), ("received", [])):
        path = f"{BASE}/purchase-orders?productId={cup}&status={status}"
        assert done(await shop.owner.get(path)) == found
    assert await level(shop, cup) == (0, 0)
    whole = await ordered(shop, (cup, 5))
    assert done(await act(shop, whole, "cancel"))["status"] == "cancelled"
    assert await level(shop, cup) == (0, 0)
    draft = await ordered(shop, (cup, 5), place=False)
    assert done(await act(shop, draft, "cancel"))["status"] == "cancelled"
    assert await ledger(shop, cup) == await level(shop, cup)


async def test_lorries_at_once_never_bring_more_than_was_ordered(shop: Shop) -> None:
    tea = await shop.goods(stock=0)
    order = await ordered(shop, (tea, 10))
    one = {"lines": [{"productId": tea, "quantity": 3}]}
    answers = await asyncio.gather(*(act(shop, order, "receive", one) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 5
    assert await level(shop, tea) == (9, 1)


async def test_only_a_draft_is_changed(shop: Shop) -> None:
    tea, cup = await shop.goods(stock=0), await shop.goods(stock=0)
    order = await ordered(shop, (tea, 10), place=False)
    path = f"{BASE}/purchase-orders/{order}"
    body = {
        "supplierId": (await supplier(shop))["id"],
        "lines": [{"productId": cup, "quantity": 2}],
    }
    changed = done(await shop.owner.call("PUT", path, body))
    assert [(line["productId"], line["quantity"]) for line in changed["lines"]] == [(cup, 2)]
    done(await act(shop, order, "order"))
    problem(await shop.owner.call("PUT", path, body), 409, "purchase_not_draft")
    assert (await level(shop, tea), await level(shop, cup)) == ((0, 0), (0, 2))
    problem(await shop.owner.call("PUT", f"{BASE}/purchase-orders/{uuid4()}", body), 404)


async def test_what_cannot_be_ordered(shop: Shop) -> None:
    tea = await shop.goods(stock=0)
    variants = [{"options": {"size": "M"}}]
    parent = done(
        await shop.owner.post("/api/products", {"name": "S", "price": 1, "variants": variants})
    )
    parts = [{"productId": tea, "quantity": 1}]
    bundle = await shop.goods(stock=0, kind="bundle", components=parts)
    of = (await supplier(shop))["id"]
    for item, status in ((parent["id"], 400), (bundle, 400), (str(uuid4()), 404)):
        body = {"supplierId": of, "lines": [{"productId": item, "quantity": 1}]}
        problem(await shop.owner.post(f"{BASE}/purchase-orders", body), status)
    line = {"productId": tea, "quantity": 1}
    for lines in ([], [line, line], [line | {"quantity": 0}], [line | {"cost": 1.005}]):
        body = {"supplierId": of, "lines": lines}
        problem(await shop.owner.post(f"{BASE}/purchase-orders", body), 400)
    body = {"supplierId": str(uuid4()), "lines": [line]}
    problem(await shop.owner.post(f"{BASE}/purchase-orders", body), 404)
    body = {"supplierId": of, "locationId": str(uuid4()), "lines": [line]}
    problem(await shop.owner.post(f"{BASE}/purchase-orders", body), 404)
    medium = parent["variants"][0]["id"]
    order = await ordered(shop, (medium, 4))
    assert await level(shop, medium) == (0, 4)
    assert done(await shop.owner.get(f"{BASE}/purchase-orders/{order}"))["status"] == "ordered"


async def test_a_barcode_in_place_of_a_cost_is_refused_and_no_list_suffers(shop: Shop) -> None:
    tea, cup = await shop.goods(stock=0), await shop.goods(stock=0)
    of = (await supplier(shop, currency="JPY"))["id"]
    good = {"productId": tea, "quantity": 3, "cost": 3_333_333_333_333}
    scanned = {"productId": cup, "quantity": 3, "cost": 4_006_381_333_931}
    body = {"supplierId": of, "lines": [good, scanned]}
    refused = problem(await shop.owner.post(f"{BASE}/purchase-orders", body), 400)
    assert [error["field"] for error in refused["errors"]] == ["lines[1].cost"]
    assert done(await shop.owner.get(f"{BASE}/purchase-orders?supplierId={of}")) == []
    body["lines"] = [good, good | {"productId": cup}]
    made = done(await shop.owner.post(f"{BASE}/purchase-orders", body))
    assert made["total"] == 2 * 3 * 3_333_333_333_333, "a sum has no bound"
    assert done(await shop.owner.get(f"{BASE}/purchase-orders?supplierId={of}")) == [made]


async def test_suppliers_and_what_they_sell(shop: Shop) -> None:
    tea = await shop.goods(stock=0)
    made = await supplier(shop, name="Ann's Teas", email="ann@tea.example.com")
    path = f"{BASE}/suppliers/{made['id']}"
    problem(await shop.owner.post(f"{BASE}/suppliers", {"name": "ANN'S TEAS"}), 409)
    changed = done(await shop.owner.call("PUT", path, {"leadTimeDays": 9, "version": 1}))
    assert (changed["leadTimeDays"], changed["version"], changed["email"]) == (
        9, 2, "ann@tea.example.com"
    )  # fmt: skip
    problem(await shop.owner.call("PUT", path, {"leadTimeDays": 1, "version": 1}), 409)
    items = [{"productId": tea, "supplierSku": "T-1", "cost": 0.75, "leadTimeDays": None}]
    assert done(await shop.owner.call("PUT", f"{path}/items", {"items": items})) == items
    assert done(await shop.owner.get(f"{path}/items")) == items
    problem(await shop.owner.call("PUT", path, {"currency": "JPY"}), 400)
    body = {"supplierId": made["id"], "lines": [{"productId": tea, "quantity": 2}]}
    order = done(await shop.owner.post(f"{BASE}/purchase-orders", body))
    assert (order["total"], order["currency"]) == (1.5, "EUR")
    assert order["expectedAt"] > order["createdAt"]
    assert (await shop.owner.call("DELETE", path)).status_code == 200
    problem(await shop.owner.get(path), 404)
    problem(await shop.owner.post(f"{BASE}/purchase-orders", body), 404)
    done(await act(shop, order["id"], "order"))


async def test_staff_takes_goods_in_and_sees_no_costs(shop: Shop) -> None:
    tea = await shop.goods(stock=0)
    order = await ordered(shop, (tea, 2))
    path = f"{BASE}/purchase-orders/{order}"
    staff, cashier = await shop.caller(Role.STAFF), await shop.caller(Role.CASHIER)
    for answer in (
        await staff.get(path),
        await staff.get(f"{BASE}/purchase-orders"),
        await staff.post(f"{path}/receive", {}),
    ):
        assert answer.status_code == 200, answer.text
        assert '"cost"' not in answer.text
        assert '"total":2' not in answer.text
    problem(await staff.post(f"{path}/cancel"), 403)
    problem(await staff.get(f"{BASE}/suppliers"), 403)
    problem(await cashier.get(path), 403)
    async with shop.served.resources.db.transaction(Scope(shop.tenant)) as tx:
        found = await tx.execute(
            text("SELECT type, data::text AS data FROM outbox WHERE subject = :id"), {"id": order}
        )
        events = [(row.type, row.data) for row in found]
    assert [kind for kind, _ in events] == [
        "inventory.purchase_order.ordered.v1", "inventory.purchase_order.received.v1"
    ]  # fmt: skip
    assert "cost" not in str(events)


async def test_nothing_comes_into_a_business_that_is_being_deleted(
    shop: Shop, embedded: Settings
) -> None:
    """A token that is not revoked yet is not enough: the record waits for the business's end."""
    path = f"{BASE}/suppliers/{(await supplier(shop))['id']}"
    body = {"name": f"Late {uuid4()}", "currency": "EUR"}
    owner = await asyncpg.connect(embedded.owner_database_url)
    try:
        async with owner.transaction():
            closed = "UPDATE businesses SET deleted_at = now() WHERE id = $1"
            await owner.execute(closed, shop.tenant)
            late = asyncio.gather(
                shop.owner.post(f"{BASE}/suppliers", body),
                shop.owner.call("PUT", path, {"name": "Other"}),
                shop.owner.call("DELETE", path),
                shop.owner.call("PUT", f"{path}/items", {"items": []}),
            )
            async with asyncio.timeout(20):
                while await owner.fetchval("SELECT count(*) < 4 FROM pg_locks WHERE NOT granted"):
                    await asyncio.sleep(0.02)
        for answer in await late:
            problem(answer, 404, "not_found")
        document = shop.served.app.openapi()
        assert "404" in document["paths"][f"{BASE}/suppliers"]["post"]["responses"]
    finally:
        await owner.close()
    names = await shop.sees("SELECT name FROM suppliers WHERE deleted_at IS NULL")
    assert {row["name"] for row in names}.isdisjoint({body["name"], "Other"})
