"""A business says what it is: profile, locations, taxes, opening hours; and it can end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.errors import NotFound
from core.ids import uuid7
from core.principal import Role
from deployments.business.places import PLACES
from store.kit.engine import Scope
from tests.api.business.business_kit import ALL, URL, call, events, fields, made, member
from tests.api.harness import Served, serving
from tests.api.people import Session, bearer, login, me, refresh, session, turned_away

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_field_that_is_an_object_is_merged(served: Served, owner: Session) -> None:
    for given in ({"language": "de"}, {"weekStartsOn": "sunday"}):
        settings = (await call(served, owner, "PUT", "", {"settings": given})).json()["data"]
    assert settings["settings"] == {"language": "de", "weekStartsOn": "sunday"}
    for given in ({"city": "Bath"}, {"zip": "BA1"}):
        changed = (await call(served, owner, "PUT", "", {"address": given})).json()["data"]
    assert (changed["address"]["city"], changed["address"]["zip"]) == ("Bath", "BA1")
    assert changed["settings"] == settings["settings"], "what is left out stays"


async def test_a_new_business_has_a_profile_a_plan_and_a_main_location(
    served: Served, owner: Session
) -> None:
    tenant = owner.user["tenantId"]
    found = (await call(served, owner, "GET")).json()["data"]
    assert (found["id"], found["name"], found["currency"]) == (tenant, "Ada Teas", "GBP")
    assert (found["plan"], found["version"], found["pricesIncludeTax"]) == ("free", 1, False)
    assert found["settings"] == {"language": "en", "weekStartsOn": "monday"}
    (main,) = (await call(served, owner, "GET", "/locations")).json()["data"]
    assert (main["id"], main["isMain"], main["currency"]) == (tenant, True, "GBP")
    assert await events(served, owner) == ["business.profile.created.v1"]


async def test_what_a_change_leaves_out_stays(served: Served, owner: Session) -> None:
    address = {"street": "1 High St", "city": "Leeds", "zip": "LS1", "country": "GB"}
    body = {"address": address, "legalName": "Ada Teas Ltd", "pricesIncludeTax": True, "version": 1}
    first = (await call(served, owner, "PUT", "", body)).json()["data"]
    assert first["version"] == 2
    body = {"phone": "+44 113 496 0000", "website": "https://ada.example"}
    second = (await call(served, owner, "PUT", "", body)).json()["data"]
    assert second["address"] == {**address, "state": None}
    assert (second["legalName"], second["pricesIncludeTax"]) == ("Ada Teas Ltd", True)
    assert (second["phone"], second["version"]) == ("+44 113 496 0000", 3)
    same = (await call(served, owner, "PUT", "", body)).json()["data"]
    assert same == second
    wanted = ["business.profile.created.v1"] + ["business.profile.updated.v1"] * 2
    assert await events(served, owner) == wanted


@pytest.mark.parametrize("path", ["", "/locations/{tenant}"])
async def test_a_stale_version_is_refused(served: Served, owner: Session, path: str) -> None:
    path = path.format(tenant=owner.user["tenantId"])
    body = {"name": "One", "version": 1}
    assert (await call(served, owner, "PUT", path, body)).status_code == 200
    stale = await call(served, owner, "PUT", path, {"name": "Two", "version": 1})
    assert fields(stale, 409) == ["version"]
    assert stale.json()["currentVersion"] == 2
    assert (await call(served, owner, "GET", path)).json()["data"]["name"] == "One"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currency": "XXX"}, "currency"),
        ({"currency": "gbp"}, "currency"),
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"email": "x"}, "email"),
        ({"phone": "call me"}, "phone"),
        ({"website": "javascript:alert(1)"}, "website"),
        ({"settings": {"language": "??"}}, "settings.language"),
        ({"settings": {"color": "red"}}, "settings.color"),
        ({"address": {"street": "x" * 256}}, "address.street"),
        ({"id": str(uuid7())}, "id"),
        ({"tenantId": str(uuid7())}, "tenantId"),
        ({"plan": "enterprise"}, "plan"),
    ],
)
async def test_bad_profiles_are_named(
    served: Served, owner: Session, change: dict[str, Any], field: str
) -> None:
    before = (await call(served, owner, "GET")).json()
    assert fields(await call(served, owner, "PUT", "", change)) == [field]
    assert (await call(served, owner, "GET")).json() == before


async def test_the_currency_is_fixed_once_there_is_a_product(
    served: Served, owner: Session
) -> None:
    assert (await call(served, owner, "PUT", "", {"currency": "EUR"})).status_code == 200
    (main,) = (await call(served, owner, "GET", "/locations")).json()["data"]
    assert main["currency"] == "EUR"
    branch = await made(served, owner, "/locations", {"name": "Branch"})
    assert branch["currency"] == "EUR"
    product = {"name": "Assam", "price": 4.25}
    sold = await served.http.post("/api/products", json=product, headers=owner.auth)
    url = f"/api/products/{sold.json()['data']['id']}"
    assert (await served.http.delete(url, headers=owner.auth)).status_code in (200, 503)
    for path in ("", f"/locations/{branch['id']}"):
        refused = await call(served, owner, "PUT", path, {"currency": "GBP"})
        assert fields(refused, 409) == ["currency"]
        assert refused.json()["code"] == "currency_fixed"
        kept = await call(served, owner, "PUT", path, {"currency": "EUR", "phone": "01 23 45"})
        assert kept.status_code == 200


async def test_locations_come_change_and_go(served: Served, owner: Session) -> None:
    tenant = UUID(owner.user["tenantId"])
    body = {
        "name": "Lisbon",
        "timeZone": "Europe/Lisbon",
        "currency": "EUR",
        "receiptFooter": "Obrigado",
        "address": {"city": "Lisboa"},
    }
    branch = await made(served, owner, "/locations", body)
    assert branch == branch | body | {"address": {**branch["address"], "city": "Lisboa"}}
    places = PLACES.of(served.resources)
    assert await places.check(tenant, UUID(branch["id"])) == UUID(branch["id"])
    path = f"/locations/{branch['id']}"
    taken = await call(served, owner, "POST", "/locations", {"name": "LISBON"})
    assert fields(taken, 409) == ["name"]
    changed = await call(served, owner, "PUT", path, {"name": "Porto", "phone": "+351 22 1"})
    assert changed.json()["data"]["name"] == "Porto"
    assert (await call(served, owner, "DELETE", path)).status_code == 200
    for method in ("GET", "PUT", "DELETE"):
        gone = await call(served, owner, method, path, {} if method == "PUT" else None)
        assert gone.status_code == 404
    with pytest.raises(NotFound):
        await places.check(tenant, UUID(branch["id"]))
    await made(served, owner, "/locations", {"name": "Porto"})
    assert (await events(served, owner))[1:] == [
        "business.location.created.v1",
        "business.location.updated.v1",
        "business.location.deleted.v1",
        "business.location.created.v1",
    ]


async def test_the_main_location_stays(served: Served, owner: Session) -> None:
    refused = await call(served, owner, "DELETE", f"/locations/{owner.user['tenantId']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "main_location")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "localtime"}, "timeZone"),
        ({"timeZone": "../etc/passwd"}, "timeZone"),
        ({"currency": "ABC"}, "currency"),
        ({"receiptHeader": "x" * 1001}, "receiptHeader"),
        ({"openingHours": {"week": {"someday": []}}}, "openingHours.week.someday"),
        (
            {"openingHours": {"week": {"monday": [{"opens": "9:00", "closes": "10:00"}]}}},
            "openingHours.week.monday[0].opens",
        ),
        (
            {"openingHours": {"week": {"monday": [{"opens": "10:00", "closes": "09:00"}]}}},
            "openingHours.week.monday",
        ),
        ({"openingHours": {"exceptions": [{"on": "2026-02-30"}]}}, "openingHours.exceptions[0].on"),
        ({"openingHours": {"exceptions": [{"on": 1}]}}, "openingHours.exceptions[0].on"),
        (
            {"openingHours": {"exceptions": [{"on": "2026-12-25"}, {"on": "2026-12-25"}]}},
            "openingHours.exceptions",
        ),
    ],
)
async def test_bad_locations_are_named(
    served: Served, owner: Session, change: dict[str, Any], field: str
) -> None:
    answer = await call(served, owner, "POST", "/locations", {"name": "Branch", **change})
    assert [name.removesuffix(".[key]") for name in fields(answer)] == [field], answer.text


async def test_opening_hours_may_touch_and_not_overlap(served: Served, owner: Session) -> None:
    path = f"/locations/{owner.user['tenantId']}"
    late = {"opens": "13:00", "closes": "24:00"}
    early = {"opens": "09:00", "closes": "13:00"}
    hours = {
        "week": {"friday": [late, early], "saturday": [{"opens": "00:00", "closes": "02:00"}]},
        "exceptions": [{"on": "2026-12-25", "name": "Christmas"}],
    }
    changed = await call(served, owner, "PUT", path, {"openingHours": hours})
    found = changed.json()["data"]["openingHours"]
    assert found["week"]["friday"] == [early, late]
    assert found["exceptions"] == [{"on": "2026-12-25", "name": "Christmas", "intervals": []}]
    early["closes"] = "13:01"
    refused = await call(served, owner, "PUT", path, {"openingHours": hours})
    assert fields(refused) == ["openingHours.week.friday"]


async def test_what_changes_along_with_another_record_emits_and_is_audited(
    served: Served, owner: Session
) -> None:
    main = owner.user["tenantId"]
    food = await made(served, owner, "/tax-classes", {"name": "Food", "isDefault": True})
    rest = await made(served, owner, "/tax-classes", {"name": "Rest", "isDefault": True})
    path = f"/tax-classes/{food['id']}"
    assert (await call(served, owner, "PUT", path, {"isDefault": True})).status_code == 200
    assert (await call(served, owner, "PUT", "", {"currency": "EUR"})).status_code == 200
    by_kind = {"tax_class": "tax_classes", "location": "locations"}
    async with served.resources.db.transaction(Scope(tenant_id=UUID(main))) as tx:
        stored = {
            (str(row.id), row.version)
            for table in by_kind.values()
            for row in await tx.execute(text(f"SELECT id, version FROM {table}"))
        }
        found = await tx.execute(text("SELECT subject, data->>'version' AS version FROM outbox"))
        emitted = {(row.subject, int(row.version)) for row in found if row.version}
        found = await tx.execute(text("SELECT subject::text, action, changes FROM audit_log"))
        audited = [(row.subject, row.action, row.changes) for row in found]
    assert {(food["id"], 3), (rest["id"], 2), (main, 2)} == stored
    assert stored <= emitted
    for subject in (food["id"], rest["id"]):
        assert (subject, "tax_class.updated", {"is_default": [True, False]}) in audited
    assert (main, "location.updated", {"currency": ["GBP", "EUR"]}) in audited


async def test_tax_classes_and_rates(served: Served, owner: Session) -> None:
    food = await made(served, owner, "/tax-classes", {"name": "Food", "isDefault": True})
    rest = await made(served, owner, "/tax-classes", {"name": "Rest", "isDefault": True})
    listed = (await call(served, owner, "GET", "/tax-classes")).json()["data"]
    assert [(row["name"], row["isDefault"]) for row in listed] == [("Food", False), ("Rest", True)]
    body = {"taxClassId": food["id"], "name": "VAT 5%", "taxPercent": 5}
    rate = await made(served, owner, "/tax-rates", body)
    old = {**body, "validFrom": "2020-01-01T00:00:00Z"}
    await made(served, owner, "/tax-rates", old)
    assert fields(await call(served, owner, "POST", "/tax-rates", old), 409) == ["validFrom"]
    found = (await call(served, owner, "GET", f"/tax-rates?taxClassId={food['id']}")).json()
    assert found["data"][0]["id"] == rate["id"]
    assert found["pagination"]["total"] == 2
    other = f"/tax-rates?taxClassId={rest['id']}"
    assert (await call(served, owner, "GET", other)).json()["data"] == []
    path = f"/tax-rates/{rate['id']}"
    fixed = await call(served, owner, "PUT", path, {"taxPercent": 5.5, "version": 1})
    assert fixed.json()["data"]["taxPercent"] == 5.5
    assert (await call(served, owner, "DELETE", path)).status_code == 200
    default = f"/tax-classes/{rest['id']}"
    for method, change in (("DELETE", None), ("PUT", {"isDefault": False})):
        refused = await call(served, owner, method, default, change)
        assert (refused.status_code, refused.json()["code"]) == (409, "default_stays")
    instead = await call(served, owner, "PUT", f"/tax-classes/{food['id']}", {"isDefault": True})
    assert instead.status_code == 200
    assert (await call(served, owner, "DELETE", default)).status_code == 200
    gone = {**body, "taxClassId": rest["id"]}
    assert (await call(served, owner, "POST", "/tax-rates", gone)).status_code == 404


async def test_a_rate_of_anothers_class_or_location_is_none(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    mine = await made(served, owner, "/tax-classes", {"name": "Food"})
    theirs = await made(served, other, "/tax-classes", {"name": "Food"})
    body = {"name": "VAT", "taxPercent": 0.0001}
    for change in (
        {"taxClassId": theirs["id"]},
        {"taxClassId": mine["id"], "locationId": other.user["tenantId"]},
    ):
        refused = await call(served, owner, "POST", "/tax-rates", body | change)
        assert refused.status_code == 404, refused.text


async def test_anothers_things_do_not_exist(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    branch = await made(served, other, "/locations", {"name": "Branch"})
    klass = await made(served, other, "/tax-classes", {"name": "Food"})
    for path in (f"/locations/{branch['id']}", f"/tax-classes/{klass['id']}"):
        for method in ("PUT", "DELETE"):
            body = {"name": "Mine"} if method == "PUT" else None
            assert (await call(served, owner, method, path, body)).status_code == 404
    assert (await call(served, other, "GET", f"/locations/{branch['id']}")).status_code == 200


async def test_who_may(served: Served, owner: Session) -> None:
    branch = await made(served, owner, "/locations", {"name": "Branch"})
    path = f"/locations/{branch['id']}"
    for role, reads, writes, ends in (
        (Role.MANAGER, 200, 200, 403),
        (Role.STAFF, 200, 403, 403),
        (Role.CASHIER, 200, 403, 403),
        (Role.CUSTOMER, 403, 403, 403),
    ):
        who = await member(served, owner, role)
        assert (await call(served, who, "GET", path)).status_code == reads
        assert (await call(served, who, "PUT", path, {"phone": "12 34"})).status_code == writes
        assert (await call(served, who, "PUT", "", {"phone": "12 34"})).status_code == writes
        assert (await call(served, who, "DELETE")).status_code == ends
        assert (await call(served, who, "GET", "/audit-log")).status_code == 403


async def test_a_repeat_is_one_change(served: Served, owner: Session) -> None:
    body = {"name": "Branch"}
    answers = [await call(served, owner, "POST", "/locations", body, key="k") for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert (await call(served, owner, "GET", "/locations")).json()["pagination"]["total"] == 2
    other = await call(served, owner, "POST", "/locations", {"name": "B"}, key="k")
    assert other.status_code == 422


async def test_a_deleted_business_is_closed_to_everyone(served: Served, owner: Session) -> None:
    email = owner.user["email"]
    product = await served.http.post(
        "/api/products", json={"name": "Oolong", "price": 1}, headers=owner.auth
    )
    url = f"/api/products/{product.json()['data']['id']}"
    key = await served.http.post(
        "/api/auth/service-keys", json={"name": "till", "scopes": ["*"]}, headers=owner.auth
    )
    secret = key.json()["data"]["secret"]
    async with serving(served.resources.settings, ALL) as other:
        assert (await me(other.http, secret)).status_code == 200
        assert (await me(other.http, owner.token)).status_code == 200
        assert (await call(served, owner, "DELETE")).status_code == 200
        for token in (secret, owner.token):
            assert (await me(served.http, token)).status_code == 401
        for token in (secret, owner.token):
            await turned_away(other.http, token)
    assert (await refresh(served.http, owner.refresh_token)).status_code == 401
    assert (await served.http.get(url)).status_code == 404
    found = (await served.http.get("/api/products", params={"q": "Oolong"})).json()["data"]
    assert url.rpartition("/")[2] not in [product["id"] for product in found]
    again = await login(served.http, email)
    assert again.json()["user"] == again.json()["user"] | {"role": "customer", "tenantId": None}
    stale = served.resources.edge.tokens.issue(
        uuid7(), Role.OWNER, UUID(owner.user["tenantId"]), uuid7()
    )
    for method in ("GET", "DELETE"):
        answer = await served.http.request(method, URL, headers=bearer(stale))
        assert answer.status_code == 404
