"""Levels, adjustments, the ledger and low stock, on a running copy in both layouts."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from core.principal import Role
from tests.api.shop import Shop, done, problem

ADD, ADJUST, RESERVE = (f"/api/inventory/{name}" for name in ("add", "adjustments", "reserve"))
MAX_ON_HAND = 2_000_000_000


async def events(shop: Shop, kind: str, product: str) -> list[dict[str, Any]]:
    found = await shop.rows(
        "SELECT data FROM outbox WHERE tenant_id = $1 AND type = $2 AND subject = $3 ORDER BY id",
        shop.tenant,
        kind,
        product,
    )
    return [row["data"] for row in found]


async def test_stock_comes_in_and_its_level_is_public(shop: Shop) -> None:
    product = await shop.product()
    assert await shop.level(product) == (0, 0, 0)
    body = {"productId": product, "quantity": 12, "lowStockThreshold": 5, "reference": "PO-1"}
    added = done(await shop.owner.post(ADD, body))
    expected = {
        "productId": product,
        "quantity": 12,
        "onHand": 12,
        "reserved": 0,
        "incoming": 0,
        "lowStockThreshold": 5,
        "isLowStock": False,
    }
    there = {"locationId": str(shop.tenant), "sequence": 2}
    assert added == expected | there
    await shop.reserve(product, 8)
    seen = done(await (await shop.anyone()).get(f"/api/inventory/{product}"))
    expected |= {"quantity": 4, "reserved": 8, "isLowStock": True}
    at_it = expected | {"locationId": there["locationId"]}
    assert seen == expected | {"backorderLimit": 0, "locations": [at_it]}


async def test_an_unknown_product_is_a_404_everywhere(shop: Shop) -> None:
    nothing = str(uuid4())
    line = {"productId": nothing, "quantity": 1}
    problem(await shop.owner.get(f"/api/inventory/{nothing}"), 404, "not_found")
    problem(await shop.owner.get(f"/api/inventory/{nothing}/movements"), 404, "not_found")
    for path in ("add", "reserve", "release"):
        problem(await shop.owner.post(f"/api/inventory/{path}", line), 404, "not_found")
    body = {"lines": [{"productId": nothing, "delta": 1}], "reason": "found"}
    problem(await shop.owner.post(ADJUST, body), 404, "not_found")


async def test_adjustments_happen_together_or_not_at_all(shop: Shop) -> None:
    one, two = await shop.product(10), await shop.product(3)

    def body(first: int, second: int) -> dict[str, Any]:
        lines = [{"productId": one, "delta": first}, {"productId": two, "delta": second}]
        return {"lines": lines, "reason": "recount", "reference": "count 7"}

    levels = done(await shop.owner.post(ADJUST, body(-4, 2)))
    assert [(level["productId"], level["onHand"]) for level in levels] == [(one, 6), (two, 5)]

    refused = problem(await shop.owner.post(ADJUST, body(1, -6)), 409, "insufficient_stock")
    assert refused["shortages"] == [{"productId": two, "requested": 6, "available": 5}]
    assert await shop.level(one) == (6, 6, 0)

    await shop.reserve(two, 4)
    problem(await shop.owner.post(ADJUST, body(1, -2)), 409, "insufficient_stock")
    done(await shop.owner.post(ADJUST, body(1, -1)))
    assert await shop.level(two) == (0, 4, 4)


async def test_the_deltas_of_one_product_count_together(shop: Shop) -> None:
    product = await shop.product(5)
    lines = [{"productId": product, "delta": delta} for delta in (-5, -3, 4)]
    done(await shop.owner.post(ADJUST, {"lines": lines, "reason": "correction"}))
    assert await shop.level(product) == (1, 1, 0)


async def test_stock_has_an_upper_bound(shop: Shop) -> None:
    product = await shop.product()
    steps = [{"productId": product, "delta": 1_000_000}] * 1_000
    for _ in range(2):
        done(await shop.owner.post(ADJUST, {"lines": steps, "reason": "received"}))
    assert await shop.level(product) == (MAX_ON_HAND, MAX_ON_HAND, 0)
    problem(await shop.owner.post(ADD, {"productId": product, "quantity": 1}), 409, "stock_limit")


async def test_the_ledger_adds_up_to_the_level(shop: Shop) -> None:
    product = await shop.product(20)
    held = [await shop.reserve(product, 3, reference=f"order {n}") for n in range(4)]
    for hold, action in zip(held, ("confirm", "release", "extend", "confirm"), strict=True):
        path = f"/api/inventory/reservations/{hold['id']}/{action}"
        done(await shop.owner.post(path, {} if action == "extend" else None))
    body = {"lines": [{"productId": product, "delta": -2}], "reason": "damaged"}
    done(await shop.owner.post(ADJUST, body))
    done(await shop.owner.post("/api/inventory/release", {"productId": product, "quantity": 1}))

    answer = await shop.owner.get(f"/api/inventory/{product}/movements", params={"limit": 100})
    ledger = done(answer)
    available, on_hand, reserved = await shop.level(product)
    assert (available, on_hand, reserved) == (10, 12, 2)
    assert sum(line["onHandDelta"] for line in ledger) == on_hand
    assert sum(line["reservedDelta"] for line in ledger) == reserved
    assert (ledger[0]["onHandAfter"], ledger[0]["reservedAfter"]) == (on_hand, reserved)
    sequences = [line["sequence"] for line in ledger]
    assert sequences == sorted(sequences, reverse=True)
    assert len(set(sequences)) == len(sequences) == answer.json()["pagination"]["total"]
    assert [line["kind"] for line in reversed(ledger)] == [
        "received",
        *["reserved"] * 4,
        "confirmed",
        "released",
        "confirmed",
        "adjusted",
        "released",
    ]
    damaged = ledger[1]
    assert (damaged["reason"], damaged["createdBy"]) == ("damaged", str(shop.owner.id))
    assert ledger[-2]["reference"] == "order 0"
    assert ledger[-2]["reservationId"] == held[0]["id"]


async def test_the_ledger_comes_in_pages(shop: Shop) -> None:
    product = await shop.product(1)
    for _ in range(6):
        done(await shop.owner.post(ADD, {"productId": product, "quantity": 1}))
    path = f"/api/inventory/{product}/movements"
    pages = [await shop.owner.get(path, params={"page": n, "limit": 3}) for n in (1, 2, 3, 4)]
    found = [[line["onHandAfter"] for line in done(page)] for page in pages]
    assert found == [[7, 6, 5], [4, 3, 2], [1], []]
    body = pages[1].json()["pagination"]
    following = body.pop("nextCursor")
    assert body == {"page": 2, "limit": 3, "total": 7}
    assert pages[2].json()["pagination"] == {"page": 3, "limit": 3, "total": 7}
    rest = await shop.owner.get(path, params={"cursor": following, "limit": 3})
    assert rest.json() == pages[2].json()
    for bad in (
        {"page": 0},
        {"limit": 101},
        {"page": 10_001},
        {"limit": "x"},
        {"size": 3},
        {"page": 101, "limit": 100},
        {"cursor": "x"},
        {"cursor": following, "sort": "-occurredAt"},
    ):
        refused = problem(await shop.owner.get(path, params=bad), 400, "validation_failed")
        assert refused["errors"][0]["field"] in bad


async def test_low_stock_is_told_once_per_crossing(shop: Shop) -> None:
    product = await shop.product(10, threshold=5)
    low = "inventory.stock.low.v1"
    hold = await shop.reserve(product, 5)
    assert await events(shop, low, product) == []
    await shop.reserve(product, 1)
    await shop.reserve(product, 2)
    assert len(await events(shop, low, product)) == 1
    done(await shop.owner.post(f"/api/inventory/reservations/{hold['id']}/release"))
    done(await shop.owner.post(ADJUST, adjust(product, -3)))
    assert len(await events(shop, low, product)) == 2
    # Selling what is held changes nothing about what is available.
    other = await shop.reserve(product, 1)
    done(await shop.owner.post(f"/api/inventory/reservations/{other['id']}/confirm"))
    assert len(await events(shop, low, product)) == 2


async def test_a_crossing_by_many_at_once_is_told_once(shop: Shop) -> None:
    product = await shop.product(60, threshold=30)
    await asyncio.gather(*(shop.reserve(product) for _ in range(60)))
    assert await shop.level(product) == (0, 60, 60)
    assert len(await events(shop, "inventory.stock.low.v1", product)) == 1


async def test_a_new_threshold_may_cross_too(shop: Shop) -> None:
    product = await shop.product(10, threshold=5)
    body = {"productId": product, "quantity": 0, "lowStockThreshold": 11}
    assert done(await shop.owner.post(ADD, body))["isLowStock"] is True
    assert len(await events(shop, "inventory.stock.low.v1", product)) == 1


async def test_events_tell_every_level_in_order(shop: Shop) -> None:
    product = await shop.product(5)
    for quantity in (1, 2):
        await shop.reserve(product, quantity)
    told = await shop.rows(
        "SELECT data->>'available' AS available, data->>'sequence' AS sequence, subject"
        " FROM outbox WHERE tenant_id = $1 AND type = 'inventory.stock.updated.v1' ORDER BY id",
        shop.tenant,
    )
    assert [int(row["available"]) for row in told] == [5, 4, 2]
    assert [int(row["sequence"]) for row in told] == [1, 2, 3]


async def test_low_stock_lists_the_own_business_scarcest_first(shop: Shop) -> None:
    levels = {await shop.product(n, threshold=5): n for n in (4, 0, 2, 9)}
    other = await shop.another()
    foreign = await other.product(1, threshold=5)
    listed = await shop.owner.get("/api/inventory/status/low-stock")
    expected = sorted((n, product) for product, n in levels.items() if n < 5)
    found = [(line["quantity"], line["productId"]) for line in done(listed)]
    assert found == expected
    assert {line["lowStockThreshold"] for line in done(listed)} == {5}
    assert listed.json()["pagination"] == {"page": 1, "limit": 20, "total": 3}

    page = await shop.owner.get("/api/inventory/status/low-stock?page=2&limit=2")
    assert [line["productId"] for line in done(page)] == [expected[2][1]]

    # Others see what everybody may see of each product: of all businesses.
    for public in (await shop.anyone(), await shop.caller(Role.CUSTOMER)):
        seen = set()
        for number in range(1, 100):
            path = f"/api/inventory/status/low-stock?limit=100&page={number}"
            lines = done(await public.get(path))
            seen |= {line["productId"] for line in lines}
            if not lines:
                break
        assert foreign in seen


async def test_a_service_key_acts_within_its_scopes(shop: Shop) -> None:
    product = await shop.product(5)
    line = {"productId": product, "quantity": 1}
    writer, reader = await shop.machine("inventory:write"), await shop.machine("inventory:read")
    stranger = await shop.machine("catalog:write")
    hold = done(await writer.post(RESERVE, line))
    path = f"/api/inventory/reservations/{hold['id']}"
    for caller in (writer, reader):
        assert done(await caller.get(path))["status"] == "open"
    problem(await reader.post(RESERVE, line), 403, "forbidden")
    problem(await stranger.post(RESERVE, line), 403, "forbidden")
    problem(await stranger.get(path), 403, "forbidden")
    # Managing stock is for people who manage.
    problem(await writer.post(ADD, line), 403, "forbidden")


async def test_an_api_key_does_what_its_person_may_within_its_scopes(shop: Shop) -> None:
    product = await shop.product(5)
    line = {"productId": product, "quantity": 1}
    manager, cashier = await shop.caller(Role.MANAGER), await shop.caller(Role.CASHIER)
    for person, adds in ((manager, 200), (cashier, 403)):
        writer = await shop.script(person, "inventory:write")
        answer = await writer.post(RESERVE, line)
        hold = done(answer)
        assert answer.headers["x-holdfast-receipt"]
        path = f"/api/inventory/reservations/{hold['id']}"
        reader, stranger = [
            await shop.script(person, scope) for scope in ("inventory:read", "catalog:write")
        ]
        assert done(await reader.get(path))["status"] == "open"
        problem(await reader.post(RESERVE, line), 403, "forbidden")
        problem(await stranger.get(path), 403, "forbidden")
        assert (await writer.post(ADD, line)).status_code == adds
        assert (await writer.post("/api/products", {"name": "x", "price": 1})).status_code == 403
    (first,) = await shop.rows(
        "SELECT created_by FROM reservations WHERE tenant_id = $1 ORDER BY created_at LIMIT 1",
        shop.tenant,
    )
    assert first["created_by"] == str(manager.id)


def adjust(product: str, delta: int) -> dict[str, Any]:
    return {"lines": [{"productId": product, "delta": delta}], "reason": "correction"}


async def test_strangers_do_not_get_to_count_what_a_shop_moves(shop: Shop) -> None:
    path = f"/api/inventory/{await shop.product(5)}"
    other = await shop.another()
    for stranger in (await shop.anyone(), await shop.caller(Role.CUSTOMER), other.owner):
        [place] = done(await stranger.get(path))["locations"]
        assert "sequence" not in place
        assert place["quantity"] == 5
    [place] = done(await shop.owner.get(path))["locations"]
    assert place["sequence"] > 0
