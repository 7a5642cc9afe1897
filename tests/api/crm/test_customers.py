"""Customers are made and found at a till, by whatever is known of them."""

from __future__ import annotations

from typing import Any

import pytest

from core.principal import Role
from store.crm import customers as stored
from tests.api.crm.cases import URL
from tests.api.shop import Shop, done, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
CUSTOMERS = f"{URL}/customers"


async def made(shop: Shop, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = done(await shop.owner.post(CUSTOMERS, fields))
    return found


async def found(shop: Shop, typed: str, **query: Any) -> list[str]:
    answer = done(await shop.owner.get(CUSTOMERS, params={"q": typed, **query}))
    return [customer["id"] for customer in answer]


async def test_a_customer_is_found_by_what_one_knows_of_them(shop: Shop) -> None:
    ann = (await made(shop, name="Ann-Sofie Müller", email="Sofie.M@Shop.test"))["id"]
    bo = (await made(shop, name="Bo Muller", phone="+41 79 123 45 67"))["id"]
    cy = (await made(shop, name="Öçe Çelik", phone="079 123 45 67"))["id"]
    di = (await made(shop, name="Søren Jean-Luc 24"))["id"]
    for typed, expected in {
        "soren": [di],
        "jeanluc": [di],
        "jean-luc SØR": [di],
        "24": [di],
        "ann": [ann],
        "sofie": [ann],
        "MULL sof": [ann],
        "müll": [ann, bo],
        "oce": [cy],
        "çel": [cy],
        "sofie.m@shop.test": [ann],
        "SOFIE.M@": [ann],
        "mul cel": [],
        "uller": [],
        "+41 79 123 45 67": [bo, cy],
        "0041791234567": [bo, cy],
        "079/123.45.67": [bo, cy],
        "(079) 1234567": [bo, cy],
        "34567": [bo, cy],
        "+49 79 123 45 67": [cy],
        "0791234568": [],
        "%": [],
    }.items():
        assert await found(shop, typed) == expected, typed


async def test_two_may_have_one_address_and_both_are_found(shop: Shop) -> None:
    twins = [await made(shop, name=name, email="one@shop.test") for name in ("Di", "Ed")]
    assert await found(shop, "one@shop.test") == [twin["id"] for twin in twins]


async def test_what_is_changed_is_found_as_it_is_now(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = (await made(shop, name="Before", phone="020 7946 0000"))["id"]
    done(await shop.owner.call("PUT", f"{CUSTOMERS}/{one}", {"name": "After", "phone": None}))
    assert await found(shop, "before") == await found(shop, "79460000") == []
    assert await found(shop, "after") == [one]
    # So common a word is sought along the list.
    monkeypatch.setattr(stored, "_FEW", 0)
    assert await found(shop, "after") == [one]
    assert (await shop.owner.call("DELETE", f"{CUSTOMERS}/{one}")).status_code == 200
    assert await found(shop, "after") == []
    problem(await shop.owner.get(f"{CUSTOMERS}/{one}"), 404)


async def test_a_cashier_makes_and_finds_and_neither_lists_nor_takes_away(shop: Shop) -> None:
    cashier = await shop.caller(Role.CASHIER)
    one = done(await cashier.post(CUSTOMERS, {"name": "Walks In", "phone": "+1 212 555 0100"}))
    assert one["phone"] == "+12125550100"
    seen = (await cashier.get(CUSTOMERS, params={"q": "walks"})).json()
    assert [customer["id"] for customer in seen["data"]] == [one["id"]]
    for query in ({}, {"q": "wa"}, {"q": "walks", "page": 2}, {"groupId": one["id"]}):
        problem(await cashier.get(CUSTOMERS, params=query), 403)
    problem(await cashier.call("DELETE", f"{CUSTOMERS}/{one['id']}"), 403)
    problem(await cashier.call("PUT", f"{CUSTOMERS}/{one['id']}", {"name": "X"}), 403)
    assert (await shop.rows("SELECT type FROM outbox WHERE subject = $1", one["id"]))[0][
        "type"
    ] == "crm.customer.created.v1"


async def test_an_exemption_merges_and_ends(shop: Shop) -> None:
    given = {"reason": "Embassy", "certificateNumber": "E-7", "validUntil": "2030-01-31"}
    one = await made(shop, name="Exempt", taxExemption=given)
    assert one["taxExemption"] == given
    place = f"{CUSTOMERS}/{one['id']}"
    body = {"taxExemption": {"validUntil": None}}
    changed = done(await shop.owner.call("PUT", place, body))
    assert changed["taxExemption"] == given | {"validUntil": None}
    same = done(await shop.owner.call("PUT", place, {"notes": "n"}))
    assert same["taxExemption"] == changed["taxExemption"]
    ended = done(await shop.owner.call("PUT", place, {"taxExemption": None}))
    assert ended["taxExemption"] is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "name"),
        ({"notes": "n"}, "name"),
        ({"name": " "}, "name"),
        ({"name": "A", "phone": "+0 12345678"}, "phone"),
        ({"name": "A", "phone": "+1234567890123456"}, "phone"),
        ({"name": "A", "email": "a@"}, "email"),
        ({"name": "A", "tags": [""]}, "tags[0]"),
        ({"name": "A", "metadata": {"": "x"}}, "metadata"),
    ],
)
async def test_what_is_wrong_is_named(shop: Shop, fields: dict[str, Any], field: str) -> None:
    wrong = problem(await shop.owner.post(CUSTOMERS, fields), 400)
    assert any(error["field"].startswith(field) for error in wrong["errors"]), wrong


async def test_names_of_yours_are_unique_and_groups_in_use_stay(shop: Shop) -> None:
    group = done(await shop.owner.post(f"{URL}/customer-groups", {"name": "Regulars"}))["id"]
    one = await made(shop, name="Own", externalId="x-1", groupId=group)
    again = problem(await shop.owner.post(CUSTOMERS, {"name": "B", "externalId": "x-1"}), 409)
    assert again["errors"][0]["field"] == "externalId"
    assert await found(shop, "own", groupId=group) == [one["id"]]
    answer = await shop.owner.get(CUSTOMERS, params={"externalId": "x-1"})
    assert [customer["id"] for customer in done(answer)] == [one["id"]]
    problem(await shop.owner.call("DELETE", f"{URL}/customer-groups/{group}"), 409)
    assert (await shop.owner.call("DELETE", f"{CUSTOMERS}/{one['id']}")).status_code == 200
    assert (await shop.owner.call("DELETE", f"{URL}/customer-groups/{group}")).status_code == 200
    gone = problem(await shop.owner.post(CUSTOMERS, {"name": "C", "groupId": group}), 404)
    assert gone["errors"][0]["field"] == "groupId"


async def test_another_business_finds_nobody(shop: Shop) -> None:
    one = await made(shop, name="Mine Alone", phone="+44 20 7946 0999")
    other = await shop.another()
    for typed in ("mine", "79460999"):
        assert done(await other.owner.get(CUSTOMERS, params={"q": typed})) == []
    problem(await other.owner.get(f"{CUSTOMERS}/{one['id']}"), 404)
