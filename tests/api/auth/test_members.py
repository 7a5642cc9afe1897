"""Who works for a business: roles, changes of them, and how people leave."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from core.ids import uuid7
from core.principal import Role
from tests.api.auth.members_kit import (
    ALL,
    ROLES,
    accept,
    call,
    invite,
    invited,
    member,
    names,
    rows,
    signed_in,
)
from tests.api.harness import Served, serving
from tests.api.people import PASSWORD, Session, me, new_address, refresh, register, session

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_business_named_at_sign_in_is_looked_for_not_believed(
    served: Served, owner: Session
) -> None:
    other = await session(served.http, role="vendor")
    for wanted in (owner.user["tenantId"], str(uuid7())):
        body = {"email": other.user["email"], "password": PASSWORD, "tenantId": wanted}
        assert (await call(served, None, "POST", "/login", body)).status_code == 404


async def test_a_tenants_id_is_never_taken_from_a_body(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    for field in ("tenantId", "businessId", "tenant_id"):
        body = {"email": new_address(), "role": "staff", field: owner.user["tenantId"]}
        answer = await call(served, other, "POST", "/invitations", body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field


async def test_nobody_registers_as_an_admin_or_into_a_business(served: Served) -> None:
    for change in (
        {"role": "admin"},
        {"role": "owner"},
        {"role": "vendor", "tenantId": str(uuid7())},
        {"isAdmin": True},
    ):
        answer = await register(served.http, **change)
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("actor", ["owner", "manager", "staff", "cashier"])
@pytest.mark.parametrize("subject", ["owner", "manager", "staff", "cashier"])
async def test_who_may_change_whom(
    served: Served, owner: Session, actor: str, subject: str
) -> None:
    ranks = {"cashier": 1, "staff": 2, "manager": 3, "owner": 4}
    who, whom = await member(served, owner, actor), await member(served, owner, subject)
    path = f"/members/{whom.user['id']}"
    touches = actor == "owner" or (actor == "manager" and ranks[subject] < ranks[actor])
    for role in ("owner", *ROLES):
        answer = await call(served, who, "PUT", path, {"role": role})
        may = touches and ranks[role] <= ranks[actor]
        if actor == "manager" and role == "manager" and may:
            may = True
            touches = False  # the subject now stands as high as the manager
        assert answer.status_code == (200 if may else 403), (role, answer.text)
    removed = await call(served, who, "DELETE", path)
    assert removed.status_code == (200 if touches else 403)


async def test_nobody_raises_oneself(served: Served, owner: Session) -> None:
    manager = await member(served, owner, "manager")
    path = f"/members/{manager.user['id']}"
    assert (await call(served, manager, "PUT", path, {"role": "owner"})).status_code == 403
    assert (await names(served, owner))[manager.user["email"]] == "manager"


async def test_a_demoted_managers_token_does_nothing_any_more(
    served: Served, owner: Session
) -> None:
    """Not even on a replica that has not heard of it: what counts is what is written."""
    manager = await member(served, owner, "manager")
    path = f"/members/{manager.user['id']}"
    pending = await invited(served, manager, new_address(), "manager")
    async with serving(served.resources.settings, ALL) as other:
        assert (await me(other.http, manager.token)).status_code == 200
        assert (await call(served, owner, "PUT", path, {"role": "cashier"})).status_code == 200
        stale = await invite(other, manager, new_address(), "cashier")
        assert stale.status_code in (401, 403)
        assert (await me(served.http, manager.token)).status_code == 401
    assert (await refresh(served.http, manager.refresh_token)).status_code == 401
    assert (await accept(served, pending["token"])).status_code == 404
    again = await signed_in(served, manager.user["email"])
    assert again.user["role"] == "cashier"


async def test_a_removed_member_is_out_and_can_be_invited_again(
    served: Served, owner: Session
) -> None:
    staff = await member(served, owner, "staff")
    path = f"/members/{staff.user['id']}"
    assert (await call(served, owner, "DELETE", path)).status_code == 200
    assert (await me(served.http, staff.token)).status_code == 401
    assert (await refresh(served.http, staff.refresh_token)).status_code == 401
    alone = await signed_in(served, staff.user["email"])
    assert (alone.user["role"], alone.user["tenantId"]) == ("customer", None)
    assert (await call(served, owner, "DELETE", path)).status_code == 404
    made = await invited(served, owner, staff.user["email"], "manager")
    assert (await accept(served, made["token"])).status_code == 200
    taken = await invite(served, owner, staff.user["email"])
    assert (taken.status_code, taken.json()["code"]) == (409, "already_member")


async def test_the_last_owner_stays(served: Served, owner: Session) -> None:
    mine, tenant = f"/members/{owner.user['id']}", owner.user["tenantId"]
    for method, path, body in (
        ("PUT", mine, {"role": "staff"}),
        ("DELETE", mine, None),
        ("DELETE", f"/memberships/{tenant}", None),
    ):
        refused = await call(served, owner, method, path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")


async def test_of_two_owners_who_leave_at_once_one_stays(served: Served, owner: Session) -> None:
    tenant = owner.user["tenantId"]
    for _ in range(3):
        second = await member(served, owner, "owner")
        answers = await asyncio.gather(
            *(call(served, who, "DELETE", f"/memberships/{tenant}") for who in (owner, second))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        left = owner if answers[0].status_code == 409 else second
        assert list((await names(served, left)).values()) == ["owner"]
        owner = left


async def test_who_leaves_is_out(served: Served, owner: Session) -> None:
    staff = await member(served, owner, "staff")
    tenant = owner.user["tenantId"]
    assert (await call(served, staff, "DELETE", f"/memberships/{tenant}")).status_code == 200
    assert (await me(served.http, staff.token)).status_code == 401
    assert staff.user["email"] not in await names(served, owner)
    elsewhere = await session(served.http)
    assert (await call(served, elsewhere, "DELETE", f"/memberships/{tenant}")).status_code == 404


async def test_who_has_left_hears_so_again(served: Served, owner: Session) -> None:
    """Also from another business, where they sign in next; a key names one of those left."""
    staff, second = await member(served, owner, "staff"), await session(served.http, role="vendor")
    made = await invited(served, second, staff.user["email"])
    assert (await accept(served, made["token"])).status_code == 200
    path, key = f"/memberships/{owner.user['tenantId']}", str(uuid4())
    first = await call(served, staff, "DELETE", path, key=key)
    assert first.status_code == 200, first.text
    assert (await me(served.http, staff.token)).status_code == 401
    elsewhere = await signed_in(served, staff.user["email"])
    assert elsewhere.user["tenantId"] == second.user["tenantId"]
    again = await call(served, elsewhere, "DELETE", path, key=key)
    assert (again.status_code, again.json()) == (200, first.json())
    other = f"/memberships/{second.user['tenantId']}"
    refused = await call(served, elsewhere, "DELETE", other, key=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert staff.user["email"] in await names(served, second)


async def test_who_has_ended_a_session_hears_so_again(served: Served, owner: Session) -> None:
    """Also if it was the one that asked, and the next one is in another business."""
    staff, second = await member(served, owner, "staff"), await session(served.http, role="vendor")
    made = await invited(served, second, staff.user["email"])
    assert (await accept(served, made["token"])).status_code == 200
    listed = (await call(served, staff, "GET", "/sessions")).json()["data"]
    path, key = f"/sessions/{next(row['id'] for row in listed if row['isCurrent'])}", str(uuid4())
    first = await call(served, staff, "DELETE", path, key=key)
    assert first.status_code == 200, first.text
    elsewhere = await signed_in(served, staff.user["email"], second.user["tenantId"])
    again = await call(served, elsewhere, "DELETE", path, key=key)
    assert (again.status_code, again.json()) == (200, first.json())
    refused = await call(served, elsewhere, "DELETE", f"/sessions/{uuid4()}", key=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


async def test_anothers_people_do_not_exist(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    staff = await member(served, other, "staff")
    pending = await invited(served, other, new_address())
    for method, path, body in (
        ("PUT", f"/members/{staff.user['id']}", {"role": "cashier"}),
        ("DELETE", f"/members/{staff.user['id']}", None),
        ("DELETE", f"/invitations/{pending['id']}", None),
    ):
        assert (await call(served, owner, method, path, body)).status_code == 404
    assert staff.user["email"] not in await names(served, owner)
    assert (await accept(served, pending["token"])).status_code == 200


async def test_a_person_in_two_businesses_shows_each_only_itself(
    served: Served, owner: Session
) -> None:
    """Row-level security lets people read their own memberships; a business must not see them."""
    other = await session(served.http, role="vendor")
    both = await member(served, owner, "manager")
    made = await invited(served, other, both.user["email"], "staff")
    assert (await accept(served, made["token"])).status_code == 200
    assert (await names(served, both)).keys() == {owner.user["email"], both.user["email"]}
    path = f"/members/{other.user['id']}"
    assert (await call(served, both, "DELETE", path)).status_code == 404


async def test_what_happens_to_people_is_in_the_audit_log_without_secrets(
    served: Served, owner: Session
) -> None:
    staff = await member(served, owner, "staff")
    path = f"/members/{staff.user['id']}"
    await call(served, owner, "PUT", path, {"role": "cashier"})
    await call(served, owner, "DELETE", path)
    url = f"/api/business/audit-log?subjectId={staff.user['id']}"
    found = (await served.http.get(url, headers=owner.auth)).json()["data"]
    assert [(entry["action"], entry["changes"].get("role")) for entry in found] == [
        ("member.removed", ["cashier", None]),
        ("member.role_changed", ["staff", "cashier"]),
        ("member.joined", [None, "staff"]),
    ]
    everything = str(await rows(served, owner, "SELECT t::text FROM audit_log t"))
    for secret in ("argon2", "hfi_", PASSWORD, staff.user["email"]):
        assert secret not in everything


async def test_people_below_managers_see_no_list(served: Served, owner: Session) -> None:
    for role in ("staff", "cashier"):
        who = await member(served, owner, role)
        for path in ("/members", "/invitations"):
            assert (await call(served, who, "GET", path)).status_code == 403
    token = served.resources.edge.tokens.issue(
        uuid7(), Role.MANAGER, UUID(owner.user["tenantId"]), uuid7()
    )
    stranger = Session(token, "", {})
    assert (await invite(served, stranger, new_address())).status_code == 403
