"""Profiles, addresses, preferences; and what admins do."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text

from core.ids import uuid7
from core.principal import Role
from deployments.auth import service as accounts
from deployments.users.capability import capability as users
from store.kit.engine import Scope
from tests.api.harness import BASE, Served, serving
from tests.api.people import (
    PASSWORD,
    Session,
    login,
    me,
    new_address,
    refresh,
    session,
    session_of,
    turned_away,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = "/api/users"
ALL = (*BASE, users)
HOME = {"street": "1 High St", "city": "Leeds", "state": "W", "zip": "LS1", "country": "GB"}


@pytest_asyncio.fixture(loop_scope="module")
async def ann(served: Served) -> Session:
    return await session(served.http)


@pytest_asyncio.fixture(loop_scope="module")
async def admin(served: Served) -> Session:
    return await new_admin(served)


async def new_admin(served: Served) -> Session:
    email, shared = new_address(), served.resources
    await accounts.create_admin(shared.db, shared.edge, name="Root", email=email, password=PASSWORD)
    return await session_of(served.http, email)


async def call(
    served: Served, who: Session, method: str, path: str = "", body: Any = None, key: str = ""
) -> httpx2.Response:
    headers = who.auth | ({"Idempotency-Key": key} if key else {})
    return await served.http.request(method, URL + path, json=body, headers=headers)


async def add(served: Served, who: Session, **changes: Any) -> dict[str, Any]:
    answer = await call(served, who, "POST", "/address", HOME | changes)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def defaults(served: Served, who: Session) -> list[str]:
    listed = (await call(served, who, "GET", "/addresses")).json()["data"]
    assert [address["isDefault"] for address in listed] == [True] * bool(listed) + [False] * (
        len(listed) - 1
    )
    return [address["id"] for address in listed if address["isDefault"]]


async def test_a_profile_is_there_from_the_start(served: Served, ann: Session) -> None:
    found = (await call(served, ann, "GET", "/profile")).json()
    assert found == {
        "success": True,
        "data": {
            "userId": ann.user["id"],
            "phone": None,
            "addresses": [],
            "preferences": {"newsletter": True, "theme": "light"},
        },
    }


async def test_what_a_change_leaves_out_stays(served: Served, ann: Session) -> None:
    first = {"phone": "+44 113 496 0000", "preferences": {"theme": "dark"}}
    await call(served, ann, "PUT", "/profile", first)
    changed = await call(served, ann, "PUT", "/profile", {"preferences": {"newsletter": False}})
    found = changed.json()["data"]
    assert found["phone"] == "+44 113 496 0000"
    assert found["preferences"] == {"newsletter": False, "theme": "dark"}
    cleared = await call(served, ann, "PUT", "/profile", {"phone": None})
    assert cleared.json()["data"]["phone"] is None
    assert (await call(served, ann, "PUT", "/profile", {})).json() == cleared.json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phone": "none of yours"}, "phone"),
        ({"phone": 1}, "phone"),
        ({"preferences": {"theme": "pink"}}, "preferences.theme"),
        ({"preferences": {"newsletter": "yes"}}, "preferences.newsletter"),
        ({"preferences": None}, "preferences"),
        ({"userId": str(uuid7())}, "userId"),
        ({"role": "admin"}, "role"),
    ],
)
async def test_bad_profiles_are_named(
    served: Served, ann: Session, change: dict[str, Any], field: str
) -> None:
    answer = await call(served, ann, "PUT", "/profile", change)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_one_address_is_the_default(served: Served, ann: Session) -> None:
    first = await add(served, ann)
    assert first == {"id": first["id"], **HOME, "isDefault": True}
    second = await add(served, ann, street="2 Low St")
    assert await defaults(served, ann) == [first["id"]]
    third = await add(served, ann, isDefault=True)
    assert await defaults(served, ann) == [third["id"]]
    path = f"/address/{second['id']}"
    changed = await call(served, ann, "PUT", path, {"isDefault": True, "city": "York"})
    assert changed.json()["data"] == second | {"isDefault": True, "city": "York"}
    assert await defaults(served, ann) == [second["id"]]
    assert (await call(served, ann, "DELETE", path)).status_code == 200
    assert await defaults(served, ann) == [first["id"]]
    for method in ("PUT", "DELETE"):
        gone = await call(served, ann, method, path, HOME if method == "PUT" else None)
        assert gone.status_code == 404
    whole = (await call(served, ann, "GET", "/profile")).json()["data"]
    assert len(whole["addresses"]) == 2


async def test_many_defaults_at_once_are_one(served: Served, ann: Session) -> None:
    await asyncio.gather(*(add(served, ann, isDefault=True) for _ in range(12)))
    assert len(await defaults(served, ann)) == 1


async def test_the_database_itself_allows_one_default(served: Served, ann: Session) -> None:
    await add(served, ann)
    user = UUID(ann.user["id"])
    statement = "INSERT INTO addresses (id, user_id, is_default) VALUES (:id, :user, true)"
    with pytest.raises(Exception, match="uq_addresses_default"):
        async with served.resources.db.transaction(Scope(user_id=user)) as tx:
            await tx.execute(text(statement), {"id": uuid7(), "user": user})


async def test_addresses_are_bounded(
    served: Served, ann: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.people.profiles.MAX_ADDRESSES", 2)
    answers = await asyncio.gather(*(call(served, ann, "POST", "/address", HOME) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]


async def test_anothers_address_does_not_exist(served: Served, ann: Session) -> None:
    bob = await session(served.http)
    theirs = await add(served, bob)
    path = f"/address/{theirs['id']}"
    for method, body in (("PUT", {"street": "mine"}), ("DELETE", None)):
        assert (await call(served, ann, method, path, body)).status_code == 404
    assert (await call(served, ann, "GET", "/addresses")).json()["data"] == []
    (kept,) = (await call(served, bob, "GET", "/addresses")).json()["data"]
    assert kept == theirs
    async with served.resources.db.transaction(Scope(user_id=UUID(ann.user["id"]))) as tx:
        assert (await tx.execute(text("SELECT count(*) FROM addresses"))).scalar_one() == 0


async def test_a_repeat_adds_one_address(served: Served, ann: Session) -> None:
    answers = [await call(served, ann, "POST", "/address", HOME, key="k") for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert len(await defaults(served, ann)) == 1
    other = await call(served, ann, "POST", "/address", HOME | {"city": "York"}, key="k")
    assert other.status_code == 422


async def test_admins_list_and_find_people(served: Served, admin: Session, ann: Session) -> None:
    vendor = await session(served.http, role="vendor", name="Quentin Quirk")
    found = (await call(served, admin, "GET", "?q=TIN qui")).json()
    assert [person["id"] for person in found["data"]] == [vendor.user["id"]]
    assert found["pagination"]["total"] == 1
    by_mail = (await call(served, admin, "GET", f"?q={ann.user['email'][:20]}")).json()["data"]
    assert [person["id"] for person in by_mail] == [ann.user["id"]]
    admins = (await call(served, admin, "GET", "?role=admin&limit=100")).json()["data"]
    assert {person["role"] for person in admins} == {"admin"}
    assert (await call(served, admin, "GET", "?q=%25")).json()["data"] == []
    one = (await call(served, admin, "GET", f"/{ann.user['id']}")).json()["data"]
    assert (one["email"], one["role"], one["disabledAt"]) == (ann.user["email"], "customer", None)
    assert (await call(served, admin, "GET", f"/{uuid7()}")).status_code == 404
    assert "password" not in str(found)


async def test_nobody_but_admins_governs(served: Served, ann: Session) -> None:
    vendor = await session(served.http, role="vendor")
    path = f"/{ann.user['id']}"
    for who in (ann, vendor):
        for method, at, body in (
            ("GET", "", None),
            ("GET", path, None),
            ("POST", f"{path}/disable", None),
            ("POST", f"{path}/enable", None),
            ("PUT", f"{path}/role", {"role": "admin"}),
        ):
            assert (await call(served, who, method, at, body)).status_code == 403
    assert (await me(served.http, ann.token)).status_code == 200


async def test_admins_read_what_admins_did(served: Served, ann: Session) -> None:
    admin, other = await new_admin(served), await new_admin(served)
    for verb in ("disable", "enable"):
        done = await call(served, admin, "POST", f"/{ann.user['id']}/{verb}")
        assert done.status_code == 200, done.text

    async def read(who: Session, query: str = "") -> list[tuple[str, str]]:
        reply = await call(served, who, "GET", f"/audit-log{query}")
        assert reply.status_code == 200, reply.text
        return [(entry["action"], entry["subjectId"]) for entry in reply.json()["data"]]

    both = [("user.enabled", ann.user["id"]), ("user.disabled", ann.user["id"])]
    assert await read(admin) == both
    assert await read(other) == []
    assert await read(other, f"?actorId={admin.user['id']}") == both
    assert await read(admin, "?action=user.enabled") == both[:1]
    # What people do to their own accounts is theirs to know.
    assert await read(admin, f"?actorId={ann.user['id']}") == []
    assert (await call(served, ann, "GET", "/audit-log")).status_code in (401, 403)


async def test_a_disabled_person_is_out_everywhere_until_enabled(
    served: Served, admin: Session, ann: Session
) -> None:
    path, email = f"/{ann.user['id']}", ann.user["email"]
    async with serving(served.resources.settings, ALL) as elsewhere:
        assert (await me(elsewhere.http, ann.token)).status_code == 200
        disabled = await call(served, admin, "POST", f"{path}/disable")
        assert disabled.json()["data"]["disabledAt"] is not None
        assert (await me(served.http, ann.token)).status_code == 401
        await turned_away(elsewhere.http, ann.token)
    assert (await refresh(served.http, ann.refresh_token)).status_code == 401
    refused, unknown = await login(served.http, email), await login(served.http, new_address())
    assert (refused.status_code, refused.json()["code"]) == (401, unknown.json()["code"])
    listed = (await call(served, admin, "GET", f"?disabled=true&q={email}")).json()["data"]
    assert [person["id"] for person in listed] == [ann.user["id"]]
    again = await call(served, admin, "POST", f"{path}/disable")
    assert again.json() == disabled.json()
    enabled = await call(served, admin, "POST", f"{path}/enable")
    assert enabled.json()["data"]["disabledAt"] is None
    assert (await login(served.http, email)).status_code == 200
    assert (await me(served.http, ann.token)).status_code == 401


async def test_a_new_role_needs_a_new_session(served: Served, admin: Session, ann: Session) -> None:
    path = f"/{ann.user['id']}/role"
    assert (await call(served, admin, "PUT", path, {"role": "admin"})).status_code == 200
    assert (await me(served.http, ann.token)).status_code == 401
    promoted = await session_of(served.http, ann.user["email"])
    assert promoted.user["role"] == "admin"
    assert (await call(served, promoted, "GET")).status_code == 200
    assert (await call(served, admin, "PUT", path, {"role": "customer"})).status_code == 200
    assert (await me(served.http, promoted.token)).status_code == 401
    bad = await call(served, admin, "PUT", path, {"role": "owner"})
    assert bad.status_code == 400


async def test_an_admin_does_nothing_to_oneself(served: Served, admin: Session) -> None:
    path = f"/{admin.user['id']}"
    for method, at, body in (
        ("POST", f"{path}/disable", None),
        ("PUT", f"{path}/role", {"role": "customer"}),
    ):
        refused = await call(served, admin, method, at, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "not_yourself")


async def test_of_two_admins_who_demote_each_other_one_stays(
    served: Served, admin: Session
) -> None:
    other = await new_admin(served)
    answers = await asyncio.gather(
        call(served, admin, "PUT", f"/{other.user['id']}/role", {"role": "customer"}),
        call(served, other, "PUT", f"/{admin.user['id']}/role", {"role": "customer"}),
    )
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert sum(answer.status_code == 200 for answer in answers) == 1


async def test_a_token_that_says_admin_is_not_enough_to_govern(
    served: Served, ann: Session
) -> None:
    """A person that was an admin when the token was made must still be one."""
    token = served.resources.edge.tokens.issue(UUID(ann.user["id"]), Role.ADMIN, None, uuid7())
    victim = await session(served.http)
    stale = Session(token, "", {})
    refused = await call(served, stale, "POST", f"/{victim.user['id']}/disable")
    assert refused.status_code == 403
    assert (await me(served.http, victim.token)).status_code == 200
