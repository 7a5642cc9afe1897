"""People come to a business by invitation, and a link gives away nothing."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from core.settings import Settings
from gateway.links import parse
from tests.api.auth.members_kit import (
    ALL,
    ROLES,
    accept,
    call,
    invite,
    invited,
    mailed,
    member,
    names,
    rows,
    signed_in,
)
from tests.api.harness import Served, serving
from tests.api.people import Session, login, new_address, session
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_newcomer_joins_by_the_link(served: Served, owner: Session) -> None:
    email = new_address()
    made = await invited(served, owner, email, "cashier")
    assert made["token"].startswith("hfi_")
    assert made["link"].endswith(f"/invitation#{made['token']}")
    assert made["status"] == "open"
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
    assert [(membership["businessName"], membership["role"]) for membership in where] == [
        ("Bob's", "owner"),
        ("Ada Teas", "manager"),
    ]
    there = await signed_in(served, other.user["email"], owner.user["tenantId"])
    assert (there.user["role"], there.user["tenantId"]) == ("manager", owner.user["tenantId"])
    at_home = await signed_in(served, other.user["email"])
    assert (at_home.user["role"], at_home.user["tenantId"]) == ("vendor", other.user["tenantId"])


async def test_a_link_is_good_for_one_use(served: Served, owner: Session) -> None:
    made = await invited(served, owner, new_address())
    answers = await asyncio.gather(*(accept(served, made["token"]) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert (await accept(served, made["token"])).status_code == 404


async def test_a_link_that_is_no_more_tells_nothing(served: Served, owner: Session) -> None:
    """Used, revoked, replaced, expired, forged, unknown: one answer, whether there is an account or
    not."""
    known = (await session(served.http)).user["email"]
    used = await invited(served, owner, new_address())
    await accept(served, used["token"])
    revoked = await invited(served, owner, new_address())
    await call(served, owner, "DELETE", f"/invitations/{revoked['id']}")
    replaced = await invited(served, owner, known)
    forged = await invited(served, owner, known)
    expired = await invited(served, owner, new_address())
    past = "UPDATE invitations SET expires_at = now() - interval '1 s' WHERE id = '{}' RETURNING id"
    await rows(served, owner, past.format(expired["id"]))
    token = forged["token"]
    letter = "A" if token[60] != "A" else "B"
    tokens = [invitation["token"] for invitation in (used, revoked, replaced, expired)]
    tokens += [token[:60] + letter + token[61:], "hfi_" + "A" * 86, "x", "hfp_" + token[4:]]
    answers = [await accept(served, tried) for tried in tokens]
    answers += [
        await call(served, None, "POST", "/invitations/preview", {"token": tried})
        for tried in tokens
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({(answer.json()["detail"], answer.json()["code"]) for answer in answers}) == 1
    statuses = (await call(served, owner, "GET", "/invitations")).json()["data"]
    assert [invitation["status"] for invitation in statuses] == [
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
    made = [await invited(served, owner, email) for email in (known, new_address())]
    for answered in made:
        answered |= {"id": 0, "email": 0, "createdAt": 0, "expiresAt": 0, "token": 0, "link": 0}
    assert made[0] == made[1]


async def test_the_link_goes_to_the_invited_address_alone(served: Served, owner: Session) -> None:
    """A person that invites cannot make an account of somebody else's address."""
    email = new_address()
    answers = [await invite(served, owner, email, key="same") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert not {"token", "link"} & answers[0].json()["data"].keys()
    link = await mailed(served, owner, answers[0].json()["data"]["id"])
    token = link.partition("#")[2]
    seen = [await call(served, owner, "GET", "/invitations"), *answers]
    for answer in seen:
        assert "hfi_" not in answer.text
        assert token[47:] not in answer.text
    assert (await accept(served, token)).status_code == 200
    assert (await signed_in(served, email)).user["emailVerified"] is True


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
        "id": made["id"],
        "businessId": owner.user["tenantId"],
        "role": "staff",
    }
    links = served.resources.edge.links
    (row,) = await rows(
        served,
        owner,
        f"SELECT tenant_id, id, nonce FROM invitations WHERE id = '{made['id']}'",
    )
    assert links.token("invitation", *row) == made["token"]


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


async def test_a_wrong_password_at_a_link_counts_as_a_sign_in(embedded: Settings) -> None:
    async with serving(embedded, ALL, peer="203.0.113.99", clock=StandingClock()) as limited:
        owner = await session(limited.http, role="vendor")
        email = (await session(limited.http)).user["email"]
        made = await invited(limited, owner, email)
        statuses = [
            (await accept(limited, made["token"], "wrong horse")).status_code for _ in range(12)
        ]
        assert statuses[:10] == [401] * 10
        assert statuses[10:] == [429] * 2
        assert (await login(limited.http, email)).status_code == 429
