"""Stock per location over HTTP: levels, transfers, counts, batches, expectations, backorder."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cli.operator.drift import look, look_and_repair
from core.principal import Role
from tests.api.shop import Shop, done, problem

BASE = "/api/inventory"
ADD, ADJUST, RESERVE = f"{BASE}/add", f"{BASE}/adjustments", f"{BASE}/reserve"
BATCH, COUNTS, TRANSFERS = f"{BASE}/batch", f"{BASE}/counts", f"{BASE}/transfers"


def line(product: str, quantity: int, **rest: Any) -> dict[str, Any]:
    return {"productId": product, "quantity": quantity, **rest}


def ago(**parts: float) -> str:
    return (datetime.now(UTC) - timedelta(**parts)).isoformat()


async def at(shop: Shop, product: str, location: UUID | None = None) -> tuple[int, int, int, int]:
    """Available, on hand, reserved, incoming at a location; everywhere without one."""
    query = {} if location is None else {"locationId": str(location)}
    level = done(await shop.owner.get(f"{BASE}/{product}", params=query))
    return level["quantity"], level["onHand"], level["reserved"], level["incoming"]


async def test_levels_are_told_per_location_and_over_all(shop: Shop) -> None:
    product, barn = await shop.product(3), await shop.location()
    added = done(await shop.owner.post(ADD, line(product, 4, locationId=str(barn))))
    assert (added["locationId"], added["onHand"]) == (str(barn), 4)
    done(await shop.owner.post(RESERVE, line(product, 1, locationId=str(barn))))
    assert await at(shop, product) == (6, 7, 1, 0)
    assert await at(shop, product, barn) == (3, 4, 1, 0)
    assert await at(shop, product, shop.tenant) == (3, 3, 0, 0)
    level = done(await shop.owner.get(f"{BASE}/{product}"))
    assert [row["locationId"] for row in level["locations"]] == [str(shop.tenant), str(barn)]
    refused = await shop.owner.post(RESERVE, line(product, 4))
    assert problem(refused, 409, "insufficient_stock")["shortages"][0]["available"] == 3


async def test_a_location_of_nobody_or_of_others_is_a_404(shop: Shop) -> None:
    product = await shop.product(3)
    foreign = await (await shop.another()).location()
    for where in (str(uuid4()), str(foreign)):
        for path in (ADD, RESERVE, f"{BASE}/release"):
            body = line(product, 1, locationId=where)
            problem(await shop.owner.post(path, body), 404, "not_found")
        change = {"lines": [{"productId": product, "delta": 1, "locationId": where}]}
        problem(await shop.owner.post(ADJUST, change | {"reason": "found"}), 404, "not_found")
        problem(await shop.owner.get(f"{BASE}/{product}?locationId={where}"), 404, "not_found")
        path = f"{BASE}/{product}/movements?locationId={where}"
        problem(await shop.owner.get(path), 404, "not_found")
        move = {"toLocationId": where, "lines": [line(product, 1)]}
        problem(await shop.owner.post(TRANSFERS, move), 404, "not_found")
    assert await at(shop, product) == (3, 3, 0, 0)


async def test_holds_are_released_where_they_are(shop: Shop) -> None:
    product, barn = await shop.product(3), await shop.location()
    done(await shop.owner.post(ADD, line(product, 4, locationId=str(barn))))
    hold = done(await shop.owner.post(RESERVE, line(product, 2, locationId=str(barn))))
    assert hold["locationId"] == str(barn)
    problem(await shop.owner.post(f"{BASE}/release", line(product, 1)), 409, "no_open_hold")
    body = line(product, 1, locationId=str(barn))
    assert done(await shop.owner.post(f"{BASE}/release", body))["quantity"] == 3
    done(await shop.owner.post(f"{BASE}/reservations/{hold['id']}/confirm"))
    assert await at(shop, product, barn) == (3, 3, 0, 0)
    listed = done(await shop.owner.get(f"{BASE}/reservations?locationId={barn}"))
    assert [row["id"] for row in listed] == [hold["id"]]
    assert done(await shop.owner.get(f"{BASE}/reservations?locationId={shop.tenant}")) == []


# --- transfers -------------------------------------------------------------------------------


async def test_a_transfer_moves_all_lines_or_none(shop: Shop) -> None:
    one, two, barn = await shop.product(5), await shop.product(1), await shop.location()
    body = {"toLocationId": str(barn), "lines": [line(one, 2), line(two, 2)]}
    refused = problem(await shop.owner.post(TRANSFERS, body), 409, "insufficient_stock")
    assert refused["shortages"] == [{"productId": two, "requested": 2, "available": 1}]
    assert await at(shop, one) == (5, 5, 0, 0)
    body["lines"] = [line(one, 2), line(two, 1)]
    moved = done(await shop.owner.post(TRANSFERS, body, key="van-1"))
    assert (moved["status"], moved["fromLocationId"]) == ("received", str(shop.tenant))
    assert done(await shop.owner.post(TRANSFERS, body, key="van-1")) == moved
    assert await at(shop, one, barn) == (2, 2, 0, 0)
    assert await at(shop, one, shop.tenant) == (3, 3, 0, 0)
    kinds = await shop.rows(
        "SELECT DISTINCT kind, command_id FROM stock_movements WHERE tenant_id = $1"
        " AND kind LIKE 'transferred%'",
        shop.tenant,
    )
    assert {row["kind"] for row in kinds} == {"transferred_in", "transferred_out"}
    assert len({row["command_id"] for row in kinds}) == 1


async def test_a_transfer_to_itself_is_bad_input(shop: Shop) -> None:
    product = await shop.product(5)
    for ends in ({}, {"toLocationId": str(shop.tenant)}, {"fromLocationId": str(shop.tenant)}):
        refused = await shop.owner.post(TRANSFERS, {**ends, "lines": [line(product, 1)]})
        assert problem(refused, 400)["errors"][0]["field"] == "toLocationId"
    assert await at(shop, product) == (5, 5, 0, 0)


async def test_what_is_shipped_arrives_once(shop: Shop) -> None:
    product, barn = await shop.product(5), await shop.location()
    body = {"toLocationId": str(barn), "lines": [line(product, 2)], "ship": True}
    first, second = [done(await shop.owner.post(TRANSFERS, body)) for _ in range(2)]
    assert first["status"] == "in_transit"
    assert await at(shop, product, barn) == (0, 0, 0, 4)
    path = f"{TRANSFERS}/{first['id']}"
    answers = await asyncio.gather(*(shop.owner.post(f"{path}/receive", {}) for _ in range(5)))
    assert {done(answer)["status"] for answer in answers} == {"received"}
    assert await at(shop, product, barn) == (2, 2, 0, 2)
    problem(await shop.owner.post(f"{path}/cancel"), 409, "transfer_closed")
    back = done(await shop.owner.post(f"{TRANSFERS}/{second['id']}/cancel"))
    assert (back["status"], back["closedAt"] is not None) == ("cancelled", True)
    assert await at(shop, product) == (5, 5, 0, 0)
    assert done(await shop.owner.get(path))["status"] == "received"
    listed = done(await shop.owner.get(f"{TRANSFERS}?locationId={barn}"))
    assert [row["id"] for row in listed] == [second["id"], first["id"]]
    assert done(await shop.owner.get(f"{TRANSFERS}?status=in_transit")) == []
    other = await shop.another()
    problem(await other.owner.get(path), 404, "not_found")
    problem(await (await shop.caller(Role.CASHIER)).get(path), 403, "forbidden")


async def test_a_transfer_comes_in_parts(shop: Shop) -> None:
    one, two, barn = await shop.product(10), await shop.product(4), await shop.location()
    body = {"toLocationId": str(barn), "lines": [line(one, 10), line(two, 4)], "ship": True}
    sent = done(await shop.owner.post(TRANSFERS, body))
    path = f"{TRANSFERS}/{sent['id']}"
    part = {"lines": [line(one, 3)]}
    came = done(await shop.owner.post(f"{path}/receive", part, key="part-1"))
    assert done(await shop.owner.post(f"{path}/receive", part, key="part-1")) == came
    assert [(x["received"], x["outstanding"]) for x in came["lines"]] == [(3, 7), (0, 4)]
    assert (came["status"], came["closedAt"]) == ("in_transit", None)
    assert await at(shop, one, barn) == (3, 3, 0, 7)
    more = await shop.owner.post(f"{path}/receive", {"lines": [line(two, 1), line(one, 8)]})
    refused = problem(more, 409, "more_than_shipped")
    assert (refused["productId"], refused["outstanding"]) == (one, 7)
    stranger = {"lines": [line(await shop.product(), 1)]}
    problem(await shop.owner.post(f"{path}/receive", stranger), 409, "conflict")
    assert done(await shop.owner.get(path)) == came
    assert done(await shop.owner.get(TRANSFERS)) == [came]
    back = done(await shop.owner.post(f"{path}/cancel"))
    assert [(x["received"], x["outstanding"]) for x in back["lines"]] == [(3, 0), (0, 0)]
    assert (await at(shop, one, barn))[:2] == (3, 3)
    assert await at(shop, one) == (10, 10, 0, 0)
    assert await at(shop, two) == (4, 4, 0, 0)
    problem(await shop.owner.post(f"{path}/receive", part), 409, "transfer_closed")


async def test_the_last_part_of_a_transfer_closes_it(shop: Shop) -> None:
    product, barn = await shop.product(5), await shop.location()
    body = {"toLocationId": str(barn), "lines": [line(product, 5)], "ship": True}
    path = f"{TRANSFERS}/{done(await shop.owner.post(TRANSFERS, body))['id']}/receive"
    done(await shop.owner.post(path, {"lines": [line(product, 2)]}))
    last = done(await shop.owner.post(path, {}))
    assert (last["status"], last["lines"][0]["received"]) == ("received", 5)
    assert last["closedAt"] is not None
    assert await at(shop, product, barn) == (5, 5, 0, 0)


# --- counts ----------------------------------------------------------------------------------


async def test_a_count_keeps_what_moved_after_it(shop: Shop) -> None:
    product = await shop.product(10)
    await asyncio.sleep(0.05)
    counted_at = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.05)
    hold = await shop.reserve(product, 3)
    done(await shop.owner.post(f"{BASE}/reservations/{hold['id']}/confirm"))
    lines = [{"productId": product, "counted": 9, "countedAt": counted_at}]
    counted = done(await shop.owner.post(COUNTS, {"lines": lines, "reference": "night"}))
    assert counted[0]["onHand"] == 6

    # Offline since before the count: it was not on the shelf when that was counted.
    late = {"productId": product, "delta": -2, "occurredAt": ago(hours=1)}
    body = {"lines": [late], "reason": "damaged"}
    assert done(await shop.owner.post(ADJUST, body))[0]["onHand"] == 6
    recorded = done(await shop.owner.get(f"{BASE}/{product}/movements"))
    assert sum(movement["onHandDelta"] for movement in recorded) == 6
    assert [movement["onHandDelta"] for movement in recorded[:2]] == [2, -2]
    assert recorded[1]["occurredAt"] < recorded[1]["recordedAt"]
    happened = done(await shop.owner.get(f"{BASE}/{product}/movements?sort=-occurredAt"))
    assert happened[0]["kind"] == "confirmed"
    assert happened[-1]["onHandDelta"] == -2

    older = [{"productId": product, "counted": 99, "countedAt": ago(minutes=30)}]
    assert done(await shop.owner.post(COUNTS, {"lines": older}))[0]["onHand"] == 6


async def test_moments_are_bounded(shop: Shop) -> None:
    product = await shop.product(1)
    for moment in (ago(days=31), ago(minutes=-5)):
        count = {"lines": [{"productId": product, "counted": 1, "countedAt": moment}]}
        field = problem(await shop.owner.post(COUNTS, count), 400)["errors"][0]["field"]
        assert field == "lines[0].countedAt"
        change = {"lines": [{"productId": product, "delta": 1, "occurredAt": moment}]}
        refused = await shop.owner.post(ADJUST, change | {"reason": "found"})
        assert problem(refused, 400)["errors"][0]["field"] == "lines[0].occurredAt"
    twice = {"lines": [{"productId": product, "counted": 1}] * 2}
    assert problem(await shop.owner.post(COUNTS, twice), 400)["errors"][0]["field"] == "lines"


async def test_an_over_counted_location_blocks_nobody(shop: Shop) -> None:
    product, barn = await shop.product(5), await shop.location()
    done(await shop.owner.post(ADD, line(product, 5, locationId=str(barn))))
    await shop.reserve(product, 5)
    done(await shop.owner.post(COUNTS, {"lines": [{"productId": product, "counted": 2}]}))
    assert await at(shop, product, shop.tenant) == (0, 2, 5, 0)
    problem(await shop.owner.post(RESERVE, line(product, 1)), 409, "insufficient_stock")
    done(await shop.owner.post(RESERVE, line(product, 5, locationId=str(barn))))
    done(await shop.owner.post(ADD, line(product, 1)))


# --- batches, expectations -------------------------------------------------------------------


async def test_a_batch_is_one_command(shop: Shop) -> None:
    one, two, barn = await shop.product(5), await shop.product(1), await shop.location()
    body = {
        "lines": [
            line(one, 9, action="set"),
            line(two, 4, action="add", locationId=str(barn), lowStockThreshold=2),
            line(two, -1, action="adjust"),
        ],
        "reason": "recount",
    }
    first = await shop.owner.post(BATCH, body, key="night")
    assert [level["onHand"] for level in done(first)] == [9, 4, 0]
    assert (await shop.owner.post(BATCH, body, key="night")).text == first.text
    body["lines"][2]["quantity"] = -2
    problem(await shop.owner.post(BATCH, body), 409, "insufficient_stock")
    assert await at(shop, one) == (9, 9, 0, 0)
    for wrong in (line(one, -1, action="set"), line(one, -1, action="add"), {"action": "drop"}):
        problem(await shop.owner.post(BATCH, {"lines": [line(one, 1) | wrong]}), 400)


async def test_a_thousand_lines_are_taken_and_no_more(shop: Shop) -> None:
    product = await shop.product(0)
    lines = [line(product, 1, action="add")] * 1_000
    assert done(await shop.owner.post(BATCH, {"lines": lines}))[0]["onHand"] == 1_000
    problem(await shop.owner.post(BATCH, {"lines": [*lines, lines[0]]}), 400)


async def test_of_many_who_expect_the_same_level_exactly_one_wins(shop: Shop) -> None:
    product = await shop.product(5)
    level = done(await shop.owner.get(f"{BASE}/{product}"))["locations"][0]

    def change(expected: dict[str, int]) -> dict[str, Any]:
        lines = [{"productId": product, "delta": 1, **expected}]
        return {"lines": lines, "reason": "found"}

    for expected in ({"expectedSequence": level["sequence"]}, {"expectedOnHand": 6}):
        answers = await asyncio.gather(
            *(shop.owner.post(ADJUST, change(expected)) for _ in range(20))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
        lost = problem(next(answer for answer in answers if answer.status_code == 409), 409)
        assert lost["code"] == "stock_changed"
        assert lost["onHand"] in (6, 7)
    assert await at(shop, product) == (7, 7, 0, 0)


# --- backorder, low stock --------------------------------------------------------------------


async def test_backorder_is_per_item_and_per_location(shop: Shop) -> None:
    product = await shop.product(1)
    terms = f"{BASE}/{product}/terms"
    told = done(await shop.owner.call("PUT", terms, json={"backorderLimit": 2}))
    assert told == {"productId": product, "backorderLimit": 2}
    refused = problem(await shop.owner.post(RESERVE, line(product, 4)), 409, "insufficient_stock")
    assert refused["shortages"][0]["available"] == 3
    hold = await shop.reserve(product, 3)
    assert await at(shop, product) == (0, 1, 3, 0)
    done(await shop.owner.post(f"{BASE}/reservations/{hold['id']}/confirm"))
    assert await at(shop, product) == (0, -2, 0, 0)
    done(await shop.owner.post(ADD, line(product, 5)))
    assert await at(shop, product) == (3, 3, 0, 0)


async def test_many_at_once_never_go_below_the_limit(shop: Shop) -> None:
    product = await shop.product(5)
    body = {"backorderLimit": 3}
    done(await shop.owner.call("PUT", f"{BASE}/{product}/terms", json=body))
    lines = [line(product, 1), line(product, 1)]  # two lines of one order, for the sum
    answers = await asyncio.gather(*(shop.owner.post(RESERVE, {"lines": lines}) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [409] * 8
    assert await at(shop, product) == (0, 5, 8, 0)


async def test_low_stock_is_per_location(shop: Shop) -> None:
    product, barn = await shop.product(20, threshold=5), await shop.location()
    body = line(product, 6, locationId=str(barn), lowStockThreshold=6)
    done(await shop.owner.post(ADD, body))
    for _ in range(2):
        done(await shop.owner.post(RESERVE, line(product, 1, locationId=str(barn))))
    told = await shop.rows(
        "SELECT data->>'locationId' AS place FROM outbox"
        " WHERE tenant_id = $1 AND type = 'inventory.stock.low.v1'",
        shop.tenant,
    )
    assert [row["place"] for row in told] == [str(barn)]
    path = f"{BASE}/status/low-stock"
    listed = done(await shop.owner.get(path))
    assert [(level["productId"], level["locationId"]) for level in listed] == [(product, str(barn))]
    assert done(await shop.owner.get(f"{path}?locationId={shop.tenant}")) == []


# --- bundles and variants --------------------------------------------------------------------


async def bundle_of(shop: Shop, *parts: tuple[str, int]) -> str:
    """A product that is made of others. Its row is turned before anybody looks at it."""
    bundle = await shop.product()
    await shop.rows("UPDATE products SET kind = 'bundle' WHERE id = $1", UUID(bundle))
    for position, (part, quantity) in enumerate(parts):
        await shop.rows(
            "INSERT INTO bundle_components VALUES ($1, $2, $3, $4, $5)",
            UUID(bundle),
            UUID(part),
            shop.tenant,
            quantity,
            position,
        )
    return bundle


async def test_a_bundle_is_held_by_its_parts(shop: Shop) -> None:
    tea, cup, barn = await shop.product(10), await shop.product(3), await shop.location()
    done(await shop.owner.post(ADD, line(cup, 2, locationId=str(barn))))
    bundle = await bundle_of(shop, (tea, 3), (cup, 1))
    assert await at(shop, bundle) == (3, 3, 0, 0)  # the barn has cups and no tea
    hold = await shop.reserve(bundle, 2)
    assert {part["productId"]: part["quantity"] for part in hold["lines"]} == {tea: 6, cup: 2}
    assert await at(shop, bundle) == (1, 3, 2, 0)
    refused = problem(await shop.owner.post(RESERVE, line(bundle, 2)), 409, "insufficient_stock")
    assert {shortage["productId"] for shortage in refused["shortages"]} == {tea, cup}
    # A bundle and one of its parts in one order are judged together.
    lines = [line(bundle, 1), line(tea, 2)]
    refused = problem(await shop.owner.post(RESERVE, {"lines": lines}), 409, "insufficient_stock")
    assert refused["shortages"] == [{"productId": tea, "requested": 5, "available": 4}]
    for path in (ADD, f"{BASE}/release"):
        problem(await shop.owner.post(path, line(bundle, 1)), 409, "bundle_has_no_stock")
    counted = {"lines": [{"productId": bundle, "counted": 1}]}
    problem(await shop.owner.post(COUNTS, counted), 409, "bundle_has_no_stock")
    done(await shop.owner.post(f"{BASE}/reservations/{hold['id']}/confirm"))
    assert await at(shop, tea) == (4, 4, 0, 0)


# --- drift -----------------------------------------------------------------------------------


async def test_drift_is_found_and_repaired_while_the_shop_is_open(shop: Shop) -> None:
    sound, drifted, barn = await shop.product(5), await shop.product(9), await shop.location()
    done(await shop.owner.post(ADD, line(drifted, 4, locationId=str(barn))))
    await shop.reserve(drifted, 2)
    settings, tenant = shop.stack.settings, shop.tenant
    assert (await look(settings, tenant)).lines == ["Levels, ledgers and open holds agree."]

    # Behind the owner's back, as no code of ours does.
    await shop.rows(
        "UPDATE stock_levels SET on_hand = 7, reserved = 3 WHERE product_id = $1"
        " AND location_id = $2",
        UUID(drifted),
        tenant,
    )
    found = await look(settings, tenant)
    assert [(drift.product_id, drift.location_id) for drift in found.left] == [
        (UUID(drifted), tenant)
    ]

    async def sell() -> None:
        for _ in range(20):
            await shop.reserve(sound, 1)

    done(await shop.owner.post(ADD, line(sound, 30)))
    report, _ = await asyncio.gather(look_and_repair(settings, tenant, shop.stack.url), sell())
    assert report.left == [], report.lines
    assert len(report.done) == 1
    assert await at(shop, drifted, tenant) == (7, 9, 2, 0)
    rows = await shop.rows(
        "SELECT on_hand, reserved FROM stock_levels WHERE product_id = $1 AND location_id = $2",
        UUID(drifted),
        tenant,
    )
    assert rows == [{"on_hand": 9, "reserved": 2}]
    told = done(await shop.owner.get(f"{BASE}/{drifted}/movements"))[0]
    assert (told["kind"], told["reason"]) == ("repaired", "holdfast drift")


async def test_reserved_by_nobody_is_freed(shop: Shop) -> None:
    product = await shop.product(5)
    hold = await shop.reserve(product, 4)
    await shop.rows("DELETE FROM reservations WHERE id = $1", UUID(hold["id"]))
    report = await look_and_repair(shop.stack.settings, shop.tenant, shop.stack.url)
    assert report.left == [], report.lines
    assert await at(shop, product) == (5, 5, 0, 0)
