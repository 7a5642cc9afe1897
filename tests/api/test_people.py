"""People come to a business by invitation, change what they are there, and leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from deployments.business.routes import capability as business
from gateway.links import parse
from store.engine import Scope
from tests.api.harness import BASE, Served, serving
from tests.api.people import PASSWORD, Session, login, me, new_address, refresh, register, session

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = (*BASE, business)
ROLES = ("manager", "staff", "cashier")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(embedded: Settings) -> AsyncIterator[Served]:
    async with serving(embedded.model_copy(update={"rate_limit": "off"}), ALL) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def owner(served: Served) -> Session:
    return await session(served.http, role="vendor", businessName="Ada Teas")


async def call(
    served: Served, who: Session | None, method: str, path: str, body: Any = None, key: str = ""
) -> httpx.Response:
    headers = (who.auth if who else {}) | ({"Idempotency-Key": key} if key else {})
    return await served.http.request(method, f"/api/auth{path}", json=body, headers=headers)


async def invite(
    served: Served, who: Session, email: str, role: str = "staff", key: str = ""
) -> httpx.Response:
    return await call(served, who, "POST", "/invitations", {"email": email, "role": role}, key)


async def invited(served: Served, who: Session, email: str, role: str = "staff") -> dict[str, Any]:
    answer = await invite(served, who, email, role)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def accept(
    served: Served, token: str, password: str = PASSWORD, **rest: Any
) -> httpx.Response:
    body = {"token": token, "password": password, **rest}
    return await call(served, None, "POST", "/invitations/accept", body)


async def member(served: Served, owner: Session, role: str) -> Session:
    """Somebody new who works for the owner's business, signed in."""
    email = new_address()
    made = await invited(served, owner, email, "manager" if role == "owner" else role)
    assert (await accept(served, made["token"])).status_code == 200
    joined = await signed_in(served, email)
    if role == "owner":
        path = f"/members/{joined.user['id']}"
        assert (await call(served, owner, "PUT", path, {"role": "owner"})).status_code == 200
        joined = await signed_in(served, email)
    return joined


async def signed_in(served: Served, email: str, business: str | None = None) -> Session:
    body = {"email": email, "password": PASSWORD} | ({"businessId": business} if business else {})
    answer = await call(served, None, "POST", "/login", body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return Session(found["token"], found["refreshToken"], found["user"])


async def rows(served: Served, who: Session, query: str) -> list[Any]:
    """As the business sees them."""
    async with served.resources.db.transaction(Scope(UUID(who.user["tenantId"]))) as tx:
        return [tuple(row) for row in await tx.execute(text(query))]


async def names(served: Served, who: Session) -> dict[str, str]:
    listed = await call(served, who, "GET", "/members?limit=100")
    return {one["email"]: one["role"] for one in listed.json()["data"]}


async def test_a_newcomer_joins_by_the_link(served: Served, owner: Session) -> None:
    email = new_address()
    made = await invited(served, owner, email, "cashier")
    assert made["token"].startswith("hfi_")
    assert made["link"].endswith(f"/invitation#{made['token']}")
    assert made["invitation"]["status"] == "open"
    shown = await call(served, None, "POST", "/invitations/preview", {"token": made["token"]})
    assert shown.json()["data"] | {"expiresAt": None} == {
        "businessName": "Ada Teas",
        "email": email,
        "role": "cashier",
        "expiresAt": None,
    }
    joined = await accept(served, made["token"], name="Bob")
    tenant = owner.user["tenantId"]
    assert joined.json()["data"] == {
        "tenantId": tenant,
        "businessName": "Ada Teas",
        "role": "cashier",
    }
    bob = await signed_in(served, email)
    assert (bob.user["name"], bob.user["role"], bob.user["tenantId"]) == ("Bob", "cashier", tenant)
    assert (await names(served, owner))[email] == "cashier"
    (listed,) = (await call(served, owner, "GET", "/invitations")).json()["data"]
    assert listed["status"] == "accepted"


async def test_somebody_with_an_account_joins_with_its_password(
    served: Served, owner: Session
) -> None:
    other = await session(served.http, role="vendor", businessName="Bob's")
    made = await invited(served, owner, other.user["email"], "manager")
    assert (await accept(served, made["token"], "wrong horse")).status_code == 401
    assert (await accept(served, made["token"])).status_code == 200
    where = (await call(served, other, "GET", "/memberships")).json()["data"]
    assert [(one["businessName"], one["role"]) for one in where] == [
        ("Bob's", "owner"),
        ("Ada Teas", "manager"),
    ]
    there = await signed_in(served, other.user["email"], owner.user["tenantId"])
    assert (there.user["role"], there.user["tenantId"]) == ("manager", owner.user["tenantId"])
    at_home = await signed_in(served, other.user["email"])
    assert (at_home.user["role"], at_home.user["tenantId"]) == ("vendor", other.user["tenantId"])


async def test_a_business_named_at_sign_in_is_looked_for_not_believed(
    served: Served, owner: Session
) -> None:
    other = await session(served.http, role="vendor")
    for wanted in (owner.user["tenantId"], str(uuid7())):
        body = {"email": other.user["email"], "password": PASSWORD, "businessId": wanted}
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


async def test_a_link_is_good_for_one_use(served: Served, owner: Session) -> None:
    made = await invited(served, owner, new_address())
    answers = await asyncio.gather(*(accept(served, made["token"]) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert (await accept(served, made["token"])).status_code == 404


async def test_a_link_that_is_no_more_tells_nothing(served: Served, owner: Session) -> None:
    """Used, revoked, replaced, expired, forged, unknown: one answer, whoever has an account."""
    known = (await session(served.http)).user["email"]
    used = await invited(served, owner, new_address())
    await accept(served, used["token"])
    revoked = await invited(served, owner, new_address())
    await call(served, owner, "DELETE", f"/invitations/{revoked['invitation']['id']}")
    replaced = await invited(served, owner, known)
    forged = await invited(served, owner, known)
    expired = await invited(served, owner, new_address())
    past = "UPDATE invitations SET expires_at = now() - interval '1 s' WHERE id = '{}' RETURNING id"
    await rows(served, owner, past.format(expired["invitation"]["id"]))
    token = forged["token"]
    letter = "A" if token[60] != "A" else "B"
    tokens = [one["token"] for one in (used, revoked, replaced, expired)]
    tokens += [token[:60] + letter + token[61:], "hfi_" + "A" * 86, "x", "hfp_" + token[4:]]
    answers = [await accept(served, one) for one in tokens]
    answers += [
        await call(served, None, "POST", "/invitations/preview", {"token": one}) for one in tokens
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({(one.json()["detail"], one.json()["code"]) for one in answers}) == 1
    statuses = (await call(served, owner, "GET", "/invitations")).json()["data"]
    assert [one["status"] for one in statuses] == [
        "expired",
        "open",
        "revoked",
        "revoked",
        "accepted",
    ]


async def test_an_invitation_counts_while_who_made_it_might_make_it(
    served: Served, owner: Session
) -> None:
    """However the inviter came to be less: here nothing has ended the invitation itself."""
    manager = await member(served, owner, "manager")
    pending = await invited(served, manager, new_address(), "manager")
    for role, status in (("staff", 404), ("manager", 200)):
        change = "UPDATE memberships SET role = '{}' WHERE user_id = '{}' RETURNING role"
        await rows(served, owner, change.format(role, manager.user["id"]))
        assert (await accept(served, pending["token"])).status_code == status


async def test_inviting_tells_nothing_about_accounts(served: Served, owner: Session) -> None:
    known = (await session(served.http)).user["email"]
    answers = [await invited(served, owner, email) for email in (known, new_address())]
    for answer in answers:
        answer["invitation"] |= {"id": 0, "email": 0, "createdAt": 0, "expiresAt": 0}
        answer |= {"token": 0, "link": 0}
    assert answers[0] == answers[1]


async def test_a_forged_scope_does_not_open_anothers_invitation(
    served: Served, owner: Session
) -> None:
    """The business that a token names is under its seal."""
    other = await session(served.http, role="vendor")
    made = await invited(served, owner, new_address())
    text_of = parse("invitation", made["token"])
    assert text_of is not None
    links = served.resources.edge.links
    moved = text_of._replace(scope_id=UUID(other.user["tenantId"]))
    nonce = (await rows(served, owner, "SELECT nonce FROM invitations"))[0][0]
    assert links.holds("invitation", text_of, nonce)
    assert not links.holds("invitation", moved, nonce)
    assert not links.holds("password-reset", text_of, nonce)


async def test_the_secret_of_a_link_is_nowhere(served: Served, owner: Session) -> None:
    made = await invited(served, owner, new_address())
    secret = made["token"][47:]
    for table in ("invitations", "outbox", "audit_log", "command_log"):
        found = await rows(served, owner, f"SELECT t::text FROM {table} t")
        assert secret not in str(found)
    (event,) = await rows(
        served, owner, "SELECT data FROM outbox WHERE type = 'auth.invitation.created.v1'"
    )
    assert event[0] == {
        "id": made["invitation"]["id"],
        "businessId": owner.user["tenantId"],
        "role": "staff",
    }
    again = await invite(served, owner, new_address(), key="k")
    assert again.json()["data"]["token"] is not None
    links = served.resources.edge.links
    (row,) = await rows(
        served,
        owner,
        f"SELECT tenant_id, id, nonce FROM invitations WHERE id = '{made['invitation']['id']}'",
    )
    assert links.token("invitation", *row) == made["token"]


async def test_a_repeat_shows_the_invitation_without_its_token(
    served: Served, owner: Session
) -> None:
    email = new_address()
    first, second = [await invite(served, owner, email, key="same") for _ in range(2)]
    one, two = first.json()["data"], second.json()["data"]
    assert one["invitation"] == two["invitation"]
    assert (two["token"], two["link"]) == (None, None)
    assert (await accept(served, one["token"])).status_code == 200


@pytest.mark.parametrize(
    ("actor", "may"),
    [
        ("owner", {"manager", "staff", "cashier"}),
        ("manager", {"manager", "staff", "cashier"}),
        ("staff", set()),
        ("cashier", set()),
    ],
)
async def test_nobody_invites_above_the_own_role(
    served: Served, owner: Session, actor: str, may: set[str]
) -> None:
    who = await member(served, owner, actor)
    for role in ROLES:
        answer = await invite(served, who, new_address(), role)
        assert answer.status_code == (201 if role in may else 403), answer.text
    for role in ("owner", "admin", "vendor", "service"):
        refused = await invite(served, who, new_address(), role)
        assert refused.status_code == (400 if may else 403)


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


async def test_anothers_people_do_not_exist(served: Served, owner: Session) -> None:
    other = await session(served.http, role="vendor")
    staff = await member(served, other, "staff")
    pending = await invited(served, other, new_address())
    for method, path, body in (
        ("PUT", f"/members/{staff.user['id']}", {"role": "cashier"}),
        ("DELETE", f"/members/{staff.user['id']}", None),
        ("DELETE", f"/invitations/{pending['invitation']['id']}", None),
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
    assert [(one["action"], one["changes"].get("role")) for one in found] == [
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


async def test_a_wrong_password_at_a_link_counts_as_a_sign_in(embedded: Settings) -> None:
    async with serving(embedded, ALL, peer="203.0.113.99") as limited:
        owner = await session(limited.http, role="vendor")
        email = (await session(limited.http)).user["email"]
        made = await invited(limited, owner, email)
        statuses = [
            (await accept(limited, made["token"], "wrong horse")).status_code for _ in range(12)
        ]
        assert statuses[:10] == [401] * 10
        assert statuses[10:] == [429] * 2
        assert (await login(limited.http, email)).status_code == 429
