"""Holds on stock, from their opening to their end, on a running copy in both layouts."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from core.principal import Role
from tests.api.shop import Shop, done, problem

RESERVE, RELEASE = "/api/inventory/reserve", "/api/inventory/release"
RECEIPT = re.compile(r"([0-9a-f-]{36}); seq=(\d+); epoch=(\d+)")


def path(hold: dict[str, Any], action: str = "") -> str:
    return f"/api/inventory/reservations/{hold['id']}" + (action and f"/{action}")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def receipts(answer: httpx2.Response) -> dict[str, tuple[int, int]]:
    """Sequence and epoch by aggregate."""
    entries = answer.headers["x-holdfast-receipt"].split(", ")
    matches = [RECEIPT.fullmatch(entry) for entry in entries]
    assert all(matches), entries
    return {match[1]: (int(match[2]), int(match[3])) for match in matches if match}


async def test_a_hold_is_visible_at_once_and_leaves_when_confirmed(shop: Shop) -> None:
    product = await shop.product(5)
    hold = await shop.reserve(product, 2, ttlSeconds=60, reference="basket 9")
    assert UUID(hold["id"]).version == 7
    assert (hold["status"], hold["reference"], hold["available"]) == ("open", "basket 9", 3)
    assert (hold["productId"], hold["quantity"]) == (product, 2)
    assert hold["lines"] == [{"productId": product, "quantity": 2, "available": 3}]
    assert moment(hold["expiresAt"]) - moment(hold["createdAt"]) == timedelta(seconds=60)
    assert await shop.level(product) == (3, 5, 2)

    confirmed = done(await shop.owner.post(path(hold, "confirm")))
    assert confirmed == hold | {"status": "confirmed"}
    assert await shop.level(product) == (3, 3, 0)
    assert done(await shop.owner.get(path(hold)))["status"] == "confirmed"


async def test_a_confirmed_or_released_hold_stays_so(shop: Shop) -> None:
    product = await shop.product(5)
    sold, freed = await shop.reserve(product, 2), await shop.reserve(product, 1)
    done(await shop.owner.post(path(sold, "confirm")))
    done(await shop.owner.post(path(freed, "release")))
    # Once more is no harm, with or without a key; the other way is refused.
    assert done(await shop.owner.post(path(sold, "confirm")))["status"] == "confirmed"
    assert done(await shop.owner.post(path(freed, "release")))["status"] == "released"
    problem(await shop.owner.post(path(sold, "release")), 409, "reservation_not_open")
    problem(await shop.owner.post(path(freed, "confirm")), 409, "reservation_not_open")
    for hold in (sold, freed):
        refused = await shop.owner.post(path(hold, "extend"), {"ttlSeconds": 60})
        problem(refused, 409, "reservation_not_open")
    assert await shop.level(product) == (3, 3, 0)


async def test_many_lines_are_held_together_or_not_at_all(shop: Shop) -> None:
    one, two = await shop.product(5), await shop.product(1)

    def lines(*quantities: int) -> dict[str, Any]:
        pairs = zip((one, two, one), quantities, strict=False)
        return {"lines": [{"productId": product, "quantity": n} for product, n in pairs]}

    refused = problem(await shop.owner.post(RESERVE, lines(2, 2)), 409, "insufficient_stock")
    assert refused["shortages"] == [{"productId": two, "requested": 2, "available": 1}]
    assert await shop.level(one) == (5, 5, 0)

    hold = done(await shop.owner.post(RESERVE, lines(2, 1, 1)))
    assert hold["lines"] == [
        {"productId": one, "quantity": 3, "available": 2},
        {"productId": two, "quantity": 1, "available": 0},
    ]
    assert "productId" not in hold
    done(await shop.owner.post(path(hold, "confirm")))
    assert (await shop.level(one), await shop.level(two)) == ((2, 2, 0), (0, 0, 0))


async def test_a_line_of_another_business_spoils_the_whole(shop: Shop) -> None:
    mine, theirs = await shop.product(5), await (await shop.another()).product(5)
    body = {"lines": [{"productId": product, "quantity": 1} for product in (mine, theirs)]}
    problem(await shop.owner.post(RESERVE, body), 404, "not_found")
    assert await shop.level(mine) == (5, 5, 0)


async def test_the_bodies_two_forms_exclude_each_other(shop: Shop) -> None:
    product = await shop.product(5)
    line = {"productId": product, "quantity": 1}
    bad: list[dict[str, Any]] = [{}, {"productId": product}, {"quantity": 1}]
    bad.append({**line, "lines": [line]})
    for body in bad:
        problem(await shop.owner.post(RESERVE, body), 400, "validation_failed")
    problem(await shop.owner.post(RESERVE, {"lines": []}), 400, "validation_failed")
    assert await shop.level(product) == (5, 5, 0)


async def test_extending_counts_from_now(shop: Shop) -> None:
    hold = await shop.reserve(await shop.product(1), ttlSeconds=5)
    longer = done(await shop.owner.post(path(hold, "extend"), {"ttlSeconds": 600}))
    gained = moment(longer["expiresAt"]) - moment(hold["createdAt"])
    assert timedelta(seconds=600) <= gained < timedelta(seconds=660)


async def test_sold_out_is_told_with_what_there_is(shop: Shop) -> None:
    product = await shop.product(3)
    refused = await shop.owner.post(RESERVE, {"productId": product, "quantity": 4})
    document = problem(refused, 409, "insufficient_stock")
    assert document["shortages"] == [{"productId": product, "requested": 4, "available": 3}]
    assert "x-holdfast-receipt" not in refused.headers


async def test_the_last_unit_goes_to_one(shop: Shop) -> None:
    product = await shop.product(7)
    line = {"productId": product, "quantity": 1}
    answers = await asyncio.gather(*(shop.owner.post(RESERVE, line) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [409] * 33
    assert len({done(answer)["id"] for answer in answers if answer.status_code == 200}) == 7
    assert await shop.level(product) == (0, 7, 7)


async def test_release_without_an_id_frees_the_callers_own_oldest(shop: Shop) -> None:
    product, other = await shop.product(20), await shop.product(20)
    colleague = await shop.caller(Role.STAFF)
    theirs = done(await colleague.post(RESERVE, {"productId": product, "quantity": 4}))
    lines = [{"productId": product, "quantity": 3}, {"productId": other, "quantity": 1}]
    first = done(await shop.owner.post(RESERVE, {"lines": lines}))
    second = await shop.reserve(product, 3)

    freed = done(await shop.owner.post(RELEASE, {"productId": product, "quantity": 4}))
    assert (freed["released"], freed["quantity"]) == (4, 14)
    assert freed["reservationIds"] == [first["id"], second["id"]]
    kept = done(await shop.owner.get(path(first)))
    assert [(line["productId"], line["quantity"]) for line in kept["lines"]] == [(other, 1)]
    assert done(await shop.owner.get(path(second)))["quantity"] == 2
    assert done(await shop.owner.get(path(theirs)))["quantity"] == 4

    refused = await shop.owner.post(RELEASE, {"productId": product, "quantity": 3})
    problem(refused, 409, "no_open_hold")
    assert await shop.level(product) == (14, 20, 6)


async def test_receipts_grow_and_are_the_business_own(shop: Shop) -> None:
    product = await shop.product(9)
    line = {"productId": product, "quantity": 1}
    seen = []
    for _ in range(3):
        answer = await shop.owner.post(RESERVE, line)
        seen.append(receipts(answer)[product])
        assert receipts(answer)[done(answer)["id"]][0] == 1
    hold = done(answer)
    confirmed = receipts(await shop.owner.post(path(hold, "confirm")))
    assert confirmed[hold["id"]][0] == 2
    seen.append(confirmed[product])
    sequences = [sequence for sequence, _ in seen]
    assert sequences == list(range(sequences[0], sequences[0] + 4))
    machine = await shop.machine("inventory:write")
    assert receipts(await machine.post(RESERVE, line))[product][0] == sequences[-1] + 1
    # Who reads gets none: nobody shall count a shop's sales.
    for reader in (shop.owner, await shop.anyone()):
        assert "x-holdfast-receipt" not in (await reader.get(f"/api/inventory/{product}")).headers


async def test_a_receipt_names_at_most_twenty(shop: Shop) -> None:
    products = [await shop.product(1) for _ in range(25)]
    body = {"lines": [{"productId": product, "quantity": 1} for product in products]}
    assert len(receipts(await shop.owner.post(RESERVE, body))) == 20


async def test_reservations_are_listed_latest_first(shop: Shop) -> None:
    one, two = await shop.product(9), await shop.product(9)
    holds = [await shop.reserve(product) for product in (one, two, one)]
    done(await shop.owner.post(path(holds[0], "confirm")))
    foreign = await shop.another()
    await foreign.reserve(await foreign.product(1))

    async def ids(**query: Any) -> list[str]:
        found = await shop.owner.get("/api/inventory/reservations", params=query)
        return [row["id"] for row in done(found)]

    newest = [hold["id"] for hold in reversed(holds)]
    assert await ids() == newest
    assert await ids(status="open") == newest[:2]
    assert await ids(status="confirmed") == newest[2:]
    assert await ids(productId=one) == [newest[0], newest[2]]
    assert await ids(limit=1, page=2) == newest[1:2]
    row = done(await shop.owner.get("/api/inventory/reservations?status=confirmed"))[0]
    assert row["createdBy"] == str(shop.owner.id)
    assert row["lines"] == [{"productId": one, "quantity": 1}]
    for bad in ({"status": "lost"}, {"productId": "x"}):
        refused = await shop.owner.get("/api/inventory/reservations", params=bad)
        assert problem(refused, 400)["errors"][0]["field"] in bad


async def test_an_unknown_reservation_is_a_404(shop: Shop) -> None:
    nothing = {"id": str(uuid4())}
    problem(await shop.owner.get(path(nothing)), 404, "not_found")
    for action in ("confirm", "extend", "release"):
        body = {} if action == "extend" else None
        problem(await shop.owner.post(path(nothing, action), body), 404, "not_found")


async def test_a_deleted_product_takes_no_new_hold(shop: Shop) -> None:
    product = await shop.product(5)
    hold = await shop.reserve(product)
    assert (await shop.owner.call("DELETE", f"/api/products/{product}")).status_code == 200
    refused = await shop.owner.post(RESERVE, {"productId": product, "quantity": 1})
    assert refused.status_code in (404, 409), refused.text
    # A customer that had it already may still take it.
    assert done(await shop.owner.post(path(hold, "confirm")))["status"] == "confirmed"


async def test_a_hold_that_nobody_touches_comes_back(
    untouched_hold: tuple[str, dict[str, Any]], shop: Shop
) -> None:
    """Its grace of 30 s after the expiry is kept, and not much more."""
    token, hold = untouched_hold
    async with shop.stack.client(token) as http:
        due = moment(hold["expiresAt"]) + timedelta(seconds=30)
        while True:
            found = done(await http.get(path(hold)))
            now = datetime.now(due.tzinfo)
            if found["status"] == "expired":
                assert now >= due
                break
            assert found["status"] == "open"
            assert now < due + timedelta(seconds=20)
            await asyncio.sleep(0.2)
        level = done(await http.get(f"/api/inventory/{hold['productId']}"))
        assert (level["quantity"], level["reserved"]) == (3, 0)
        # Too late, but the goods are still there: they are taken again.
        assert done(await http.post(path(hold, "confirm")))["status"] == "confirmed"
        level = done(await http.get(f"/api/inventory/{hold['productId']}"))
        assert (level["quantity"], level["onHand"]) == (1, 1)
        refused = await http.post(path(hold, "extend"), json={})
        problem(refused, 409, "reservation_not_open")


@pytest.mark.parametrize("action", ["confirm", "extend"])
async def test_within_its_grace_a_hold_is_honoured(shop: Shop, action: str) -> None:
    hold = await shop.reserve(await shop.product(1), ttlSeconds=1)
    await asyncio.sleep(1.2)
    answer = await shop.owner.post(path(hold, action), {} if action == "extend" else None)
    assert done(answer)["status"] == ("confirmed" if action == "confirm" else "open")
