"""API keys of people: they act as the person, never for longer nor with more than the person may,
and nothing that comes with a key changes who has access."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core.ids import uuid7
from store.people import access_keys, sessions
from tests.api.auth.key_endings import (
    ENDINGS,
    Ending,
    disabled,
    named,
    password_reset,
    removed,
    role_lowered,
)
from tests.api.auth.keys_kit import (
    ALL,
    API,
    SERVICE,
    create,
    new_key,
    rotate,
    use,
)
from tests.api.auth.members_kit import (
    accept,
    call,
    invited,
    member,
    rows,
    signed_in,
)
from tests.api.cases import ROUTES
from tests.api.harness import Served, serving
from tests.api.people import PASSWORD, Session, bearer, me, session
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = API.url
# Of all routes about access these alone are for keys, too, or ask for no proof at all.
OPEN_TO_KEYS = {("GET", "/api/auth/me")}
ABOUT_ACCESS = [
    route
    for route, placed in ROUTES.items()
    if placed.capability in ("auth", "users") and placed.access and not placed.access.is_public
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(served: Served) -> AsyncIterator[Served]:
    """Another replica of the same copy."""
    async with serving(served.resources.settings, ALL) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def owner(served: Served) -> Session:
    return await session(served.http, role="vendor")


def of(person: Session, **query: str) -> str:
    rest = "".join(f"&{name}={value}" for name, value in query.items())
    return f"{URL}?userId={person.user['id']}{rest}"


# As whom --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "manager", "staff", "cashier"])
async def test_a_key_acts_as_its_person(served: Served, owner: Session, role: str) -> None:
    who = await member(served, owner, role)
    _, secret = await new_key(served, who, API)
    answer = await use(served, secret)
    assert answer.json()["message"] == f"{owner.user['tenantId']} {who.user['id']} {role}"
    may = (await served.http.get("/api/business/audit-log", headers=who.auth)).status_code
    _, wide = await new_key(served, who, API, scopes=["*"])
    answer = await served.http.get("/api/business/audit-log", headers=bearer(wide))
    assert answer.status_code == may == (200 if role == "owner" else 403)
    assert (await served.http.get("/api/business/audit-log", headers=bearer(secret))).is_error


async def test_it_acts_in_one_business_alone(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    both = await member(served, owner, "manager")
    made = await invited(served, other, both.user["email"], "staff")
    assert (await accept(served, made["token"])).status_code == 200
    there = await signed_in(served, both.user["email"], other.user["tenantId"])
    _, secret = await new_key(served, both, API, scopes=["*"])
    assert (await use(served, secret)).json()["message"].endswith("manager")
    headers = bearer(secret) | {"X-Tenant-Id": other.user["tenantId"]}
    found = await served.http.get("/api/business", headers=headers)
    assert found.json()["data"]["id"] == owner.user["tenantId"]
    elsewhere = (await served.http.get(URL, headers=there.auth)).json()
    assert elsewhere["pagination"]["total"] == 0


async def test_what_it_does_is_its_persons_doing_and_names_the_key(
    served: Served, owner: Session
) -> None:
    key_id, secret = await new_key(served, owner, API, scopes=["business:write"])
    body = {"name": "Teas by key"}
    answer = await served.http.put("/api/business", json=body, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    url = "/api/business/audit-log?action=business.updated"
    (line,) = (await served.http.get(url, headers=owner.auth)).json()["data"]
    assert (line["actorId"], line["actorRole"]) == (owner.user["id"], "vendor")
    assert line["keyId"] == key_id


# What no key may ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [API, SERVICE], ids=["api", "service"])
@pytest.mark.parametrize("route", ABOUT_ACCESS, ids=" ".join)
async def test_a_key_changes_nothing_about_who_has_access(
    served: Served, owner: Session, route: tuple[str, str], kind: Any
) -> None:
    _, secret = await new_key(served, owner, kind, scopes=["*", "auth:write", "users:write"])
    method, path = route
    answer = await served.http.request(
        method, path.replace("{id}", str(uuid7())), headers=bearer(secret)
    )
    assert answer.status_code == (200 if route in OPEN_TO_KEYS else 403), answer.text
    assert (await me(served.http, secret)).status_code == 200


async def test_a_key_does_not_close_the_business(served: Served, owner: Session) -> None:
    _, secret = await new_key(served, owner, API, scopes=["*"])
    answer = await served.http.delete("/api/business", headers=bearer(secret))
    assert answer.status_code == 403
    assert (await me(served.http, owner.token)).status_code == 200


# Until when -----------------------------------------------------------------------------------


async def test_it_always_expires(served: Served, owner: Session) -> None:
    answer = await create(served, owner, API, expiresAt=None)
    expires_at = datetime.fromisoformat(answer.json()["data"]["expiresAt"])
    made_at = datetime.fromisoformat(answer.json()["data"]["createdAt"])
    assert abs(expires_at - made_at - timedelta(days=90)) < timedelta(hours=1)
    now = datetime.now(UTC)
    for days, status in ((365, 201), (368, 400)):
        wanted = (now + timedelta(days=days)).isoformat()
        answer = await create(served, owner, API, expiresAt=wanted)
        assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["expiresAt"]


async def test_its_own_limit_is_at_most_a_persons(served: Served, owner: Session) -> None:
    assert (await create(served, owner, API, rateLimitPerSecond=100)).status_code == 201
    answer = await create(served, owner, API, rateLimitPerSecond=101)
    assert [error["field"] for error in answer.json()["errors"]] == ["rateLimitPerSecond"]


@pytest.mark.parametrize("ending", ENDINGS, ids=named)
async def test_it_ends_with_what_its_person_may_here_at_once_and_elsewhere_soon(
    served: Served, other: Served, owner: Session, ending: Ending
) -> None:
    who = await member(served, owner, "staff")
    _, known = await new_key(served, who, API)
    _, unknown = await new_key(served, who, API)
    for replica in (served, other):
        assert (await use(replica, known)).status_code == 200
    await ending(served, owner, who)
    assert (await use(served, known)).status_code == 401
    # On a replica that has not seen it before, nor perhaps heard of what happened.
    assert (await use(other, unknown)).status_code == 401

    async def refused() -> bool:
        return (await use(other, known)).status_code == 401

    await eventually(refused)


@pytest.mark.parametrize("ending", [disabled, password_reset], ids=named)
async def test_what_ends_an_account_ends_its_keys_in_all_businesses(
    served: Served, owner: Session, ending: Ending
) -> None:
    other = await session(served.http, role="vendor")
    both = await member(served, owner, "staff")
    made = await invited(served, other, both.user["email"], "staff")
    assert (await accept(served, made["token"])).status_code == 200
    there = await signed_in(served, both.user["email"], other.user["tenantId"])
    secrets = [(await new_key(served, who, API))[1] for who in (both, there)]
    machine = await new_key(served, owner, SERVICE)
    for secret in secrets:
        assert (await use(served, secret)).status_code == 200
    await ending(served, owner, both)
    for secret in secrets:
        assert (await use(served, secret)).status_code == 401
    assert (await use(served, machine[1])).status_code == 200
    again = "SELECT revoked_at IS NOT NULL FROM access_keys WHERE user_id IS NOT NULL"
    for business in (owner, other):
        assert await rows(served, business, again) == [(True,)]


async def test_a_key_of_one_who_left_stays_ended_when_they_come_back(
    served: Served, owner: Session
) -> None:
    staff = await member(served, owner, "staff")
    _, secret = await new_key(served, staff, API)
    await removed(served, owner, staff)
    made = await invited(served, owner, staff.user["email"], "staff")
    assert (await accept(served, made["token"])).status_code == 200
    assert (await use(served, secret)).status_code == 401


@pytest.mark.parametrize("ending", [removed, disabled], ids=named)
async def test_a_key_that_nobody_ended_does_nothing_without_its_person(
    served: Served, owner: Session, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lock: a look-up asks what the person is now."""

    async def none(*_: Any) -> list[UUID]:
        return []

    monkeypatch.setattr(access_keys, "end_of", none)
    staff = await member(served, owner, "staff")
    _, secret = await new_key(served, staff, API)
    await ending(served, owner, staff)
    async with serving(served.resources.settings, ALL) as fresh:
        assert (await use(fresh, secret)).status_code == 401


async def test_a_change_of_password_leaves_keys_as_they_are(served: Served, owner: Session) -> None:
    _, secret = await new_key(served, owner, API)
    body = {"currentPassword": PASSWORD, "newPassword": "another horse"}
    assert (await call(served, owner, "POST", "/password/change", body)).status_code == 200
    assert (await use(served, secret)).status_code == 200


@pytest.mark.parametrize("kind", [API, SERVICE], ids=["api", "service"])
async def test_a_session_that_has_ended_makes_no_key_where_nobody_has_heard(
    served: Served, owner: Session, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise who stole a session could keep what it may, in a key made in those seconds."""
    async with serving(served.resources.settings, ALL) as deaf:

        async def nothing(*_: Any, **__: Any) -> list[Any]:
            return []

        monkeypatch.setattr(sessions, "revoked_since", nothing)
        key_id, _ = await new_key(served, owner, kind)
        assert (await me(deaf.http, owner.token)).status_code == 200
        assert (await call(served, owner, "POST", "/logout")).status_code == 200
        assert (await me(deaf.http, owner.token)).status_code == 200
        for answer in (
            await create(deaf, owner, kind),
            await rotate(deaf, owner, kind, key_id),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_keys_that_are_made_while_a_role_changes_end_with_it(
    served: Served, owner: Session
) -> None:
    manager = await member(served, owner, "manager")
    lowered = asyncio.create_task(role_lowered(served, owner, manager))
    answers = await asyncio.gather(*(create(served, manager, API) for _ in range(6)))
    await lowered
    assert {answer.status_code for answer in answers} <= {201, 401}
    alive = "SELECT count(*) FROM access_keys WHERE user_id IS NOT NULL AND revoked_at IS NULL"
    assert await rows(served, owner, alive) == [(0,)]


# Whose ----------------------------------------------------------------------------------------


async def test_another_persons_key_does_not_exist(served: Served, owner: Session) -> None:
    staff, cashier = [await member(served, owner, role) for role in ("staff", "cashier")]
    key_id, secret = await new_key(served, staff, API)
    for who in (cashier, owner):
        assert (await rotate(served, who, API, key_id)).status_code == 404
        listed = (await served.http.get(URL, headers=who.auth)).json()
        assert listed["pagination"]["total"] == 0
    assert (await served.http.delete(f"{URL}/{key_id}", headers=cashier.auth)).status_code == 404
    assert (await use(served, secret)).status_code == 200
    unknown = await served.http.delete(f"{URL}/{uuid7()}", headers=staff.auth)
    assert unknown.status_code == 404


@pytest.mark.parametrize("actor", ["owner", "manager", "staff", "cashier"])
@pytest.mark.parametrize("subject", ["owner", "manager", "staff", "cashier"])
async def test_who_may_see_and_end_whose(
    served: Served, owner: Session, actor: str, subject: str
) -> None:
    who, whom = await member(served, owner, actor), await member(served, owner, subject)
    key_id, secret = await new_key(served, whom, API)
    below = actor == "owner" or (actor == "manager" and subject in ("staff", "cashier"))
    listed = await served.http.get(of(whom), headers=who.auth)
    assert listed.status_code == (200 if below else 403), listed.text
    if below:
        assert [row["id"] for row in listed.json()["data"]] == [key_id]
        assert secret not in listed.text
    revoked = await served.http.delete(f"{URL}/{key_id}", headers=who.auth)
    assert revoked.status_code == (200 if below else 404), revoked.text
    assert (await use(served, secret)).status_code == (401 if below else 200)


async def test_another_businesss_people_have_no_keys_here(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    staff = await member(served, other, "staff")
    key_id, secret = await new_key(served, staff, API)
    assert (await served.http.get(of(staff), headers=owner.auth)).status_code == 404
    assert (await served.http.delete(f"{URL}/{key_id}", headers=owner.auth)).status_code == 404
    assert (await use(served, secret)).status_code == 200


async def test_lists_are_paged(served: Served, owner: Session) -> None:
    made = [(await new_key(served, owner, API))[0] for _ in range(3)]
    first = (await served.http.get(of(owner, limit="2"), headers=owner.auth)).json()
    rest = (await served.http.get(of(owner, limit="2", page="2"), headers=owner.auth)).json()
    assert [row["id"] for row in first["data"] + rest["data"]] == made[::-1]
    following = first["pagination"].pop("nextCursor")
    assert first["pagination"] == {"page": 1, "limit": 2, "total": 3}
    after = await served.http.get(of(owner, limit="2", cursor=following), headers=owner.auth)
    assert after.json() == rest


async def test_one_person_has_a_bounded_number(
    served: Served, owner: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_keys, "MAX_API_KEYS", 2)
    staff = await member(served, owner, "staff")
    answers = await asyncio.gather(*(create(served, staff, API) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] == "too_many_keys"
    assert (await create(served, owner, API)).status_code == 201
    assert (await create(served, owner, SERVICE)).status_code == 201
