"""A person's own account: sessions, passwords, and the mails that ask for a new one."""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text

from cli.operator.outbox import lines
from core.ids import uuid7
from core.settings import Settings
from deployments.auth.sessions import passwords
from gateway import keys
from gateway.links import Links, parse
from store.kit.engine import Database, Scope
from store.people import password_resets, sessions, users
from tests.api.auth.members_kit import mailed as mailed_link
from tests.api.harness import Served, serving
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
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEW = "battery staple"


@pytest_asyncio.fixture(loop_scope="module")
async def ann(served: Served) -> Session:
    return await session(served.http)


async def call(
    served: Served, who: Session | None, method: str, path: str, body: Any = None
) -> httpx2.Response:
    headers = who.auth if who else {}
    return await served.http.request(method, f"/api/auth{path}", json=body, headers=headers)


async def change(served: Served, who: Session, current: str, new: str) -> httpx2.Response:
    body = {"currentPassword": current, "newPassword": new}
    return await call(served, who, "POST", "/password/change", body)


async def forgot(served: Served, email: str) -> httpx2.Response:
    return await call(served, None, "POST", "/password/forgot", {"email": email})


async def reset(served: Served, token: str, password: str = NEW) -> httpx2.Response:
    return await call(
        served, None, "POST", "/password/reset", {"token": token, "password": password}
    )


async def mailed(served: Served, email: str) -> list[str]:
    """The tokens for a new password that mails to an address would carry, oldest first."""
    shown = [line async for line in lines(served.resources.settings, 10_000)]
    found = [line.strip() for line in shown if f" to {email}: " in line and "#hfp_" in line]
    return [line.rpartition("#")[2] for line in found]


async def token_for(served: Served, email: str) -> str:
    assert (await forgot(served, email)).status_code == 202
    return (await mailed(served, email))[-1]


async def test_sessions_are_listed_and_ended_one_by_one(served: Served, ann: Session) -> None:
    other = await session_of(served.http, ann.user["email"])
    listed = (await call(served, ann, "GET", "/sessions")).json()["data"]
    assert [row["isCurrent"] for row in listed] == [False, True]
    assert all(row["userAgent"] and row["refreshedAt"] for row in listed)
    path = f"/sessions/{listed[0]['id']}"
    stranger = await session(served.http)
    assert (await call(served, stranger, "DELETE", path)).status_code == 404
    assert (await me(served.http, other.token)).status_code == 200
    assert (await call(served, ann, "DELETE", path)).status_code == 200
    assert (await me(served.http, other.token)).status_code == 401
    assert (await refresh(served.http, other.refresh_token)).status_code == 401
    assert (await call(served, ann, "DELETE", path)).status_code == 404
    assert len((await call(served, ann, "GET", "/sessions")).json()["data"]) == 1


async def test_all_other_sessions_end_everywhere(served: Served, ann: Session) -> None:
    others = [await session_of(served.http, ann.user["email"]) for _ in range(3)]
    stranger = await session(served.http)
    async with serving(served.resources.settings) as elsewhere:
        for person in (ann, *others):
            assert (await me(elsewhere.http, person.token)).status_code == 200
        assert (await call(served, ann, "DELETE", "/sessions")).status_code == 200
        for person in others:
            await turned_away(elsewhere.http, person.token)
        for person in (ann, stranger):
            assert (await me(elsewhere.http, person.token)).status_code == 200


async def test_a_new_password_ends_the_other_sessions(served: Served, ann: Session) -> None:
    email = ann.user["email"]
    other = await session_of(served.http, email)
    assert (await change(served, ann, "wrong horse", NEW)).status_code == 401
    assert (await change(served, ann, PASSWORD, PASSWORD)).status_code == 400
    assert (await change(served, ann, PASSWORD, "short")).status_code == 400
    assert (await me(served.http, other.token)).status_code == 200
    assert (await change(served, ann, PASSWORD, NEW)).status_code == 200
    assert (await me(served.http, ann.token)).status_code == 200
    assert (await me(served.http, other.token)).status_code == 401
    assert (await refresh(served.http, other.refresh_token)).status_code == 401
    assert (await login(served.http, email)).status_code == 401
    assert (await login(served.http, email, NEW)).status_code == 200


async def test_guessing_at_the_present_password_is_slowed_down(embedded: Settings) -> None:
    async with serving(embedded, peer="203.0.113.98", clock=StandingClock()) as limited:
        who = await session(limited.http)
        statuses = [(await change(limited, who, f"x{n}", NEW)).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2


async def test_a_session_that_opens_while_the_password_changes_is_none(
    served: Served, ann: Session
) -> None:
    """Sign-in and change meet: whichever comes first, no session of the old password lives on."""
    email = ann.user["email"]
    for turn in range(4):
        old, new = (PASSWORD, NEW) if turn % 2 == 0 else (NEW, PASSWORD)
        answers = await asyncio.gather(
            change(served, ann, old, new), *(login(served.http, email, old) for _ in range(6))
        )
        assert answers[0].status_code == 200
        for opened in answers[1:]:
            if opened.status_code == 200:
                assert (await me(served.http, opened.json()["token"])).status_code == 401


async def test_sign_in_waits_for_a_change_under_way(served: Served, ann: Session) -> None:
    """The same in slow motion: the change has not committed when the sign-in comes to its end."""
    email, db = ann.user["email"], served.resources.db
    async with db.transaction(Scope()) as tx:
        user = await users.user_by_email(tx, email)
        assert user is not None
        await users.set_password_hash(tx, user.id, user.password_hash + "x")
        await sessions.end_where(tx, user_id=user.id)
        pending = asyncio.create_task(login(served.http, email))
        await asyncio.sleep(0.7)
        assert not pending.done()
    assert (await pending).status_code == 401


async def test_a_forgotten_password_is_set_by_the_link(served: Served, ann: Session) -> None:
    email = ann.user["email"]
    token = await token_for(served, email)
    assert token.startswith("hfp_")
    assert (await reset(served, token)).status_code == 200
    assert (await me(served.http, ann.token)).status_code == 401
    assert (await refresh(served.http, ann.refresh_token)).status_code == 401
    assert (await login(served.http, email)).status_code == 401
    assert (await login(served.http, email, NEW)).status_code == 200


async def test_a_reset_link_is_good_for_one_use(served: Served, ann: Session) -> None:
    token = await token_for(served, ann.user["email"])
    answers = await asyncio.gather(*(reset(served, token, f"{NEW} {n}") for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 5
    assert (await reset(served, token)).status_code == 404
    assert await mailed(served, ann.user["email"]) == []


async def test_of_two_who_bring_one_link_at_once_one_sets_a_password(
    served: Served, ann: Session
) -> None:
    """In slow motion: both have come as far as the account's row, which somebody holds."""
    token, hold = await token_for(served, ann.user["email"]), "SELECT FROM users WHERE id = :u"
    async with served.resources.db.transaction(Scope()) as tx:
        await tx.execute(text(f"{hold} FOR UPDATE"), {"u": UUID(ann.user["id"])})
        pending = [asyncio.create_task(reset(served, token, f"{NEW} {n}")) for n in range(2)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in pending)
    statuses = [(await task).status_code for task in pending]
    assert sorted(statuses) == [200, 404]


async def test_reset_links_that_are_no_more_all_answer_alike(served: Served, ann: Session) -> None:
    email = ann.user["email"]
    used = await token_for(served, email)
    also = await token_for(served, email)
    assert (await reset(served, used)).status_code == 200
    expired = await token_for(served, email)
    async with served.resources.db.transaction(Scope()) as tx:
        await tx.execute(
            text("UPDATE password_resets SET expires_at = now() WHERE user_id = :u"),
            {"u": UUID(ann.user["id"])},
        )
    other = await token_for(served, (await session(served.http)).user["email"])
    letter = "A" if other[70] != "A" else "B"
    tokens = [used, also, expired, other[:70] + letter + other[71:], "hfp_" + "A" * 86, "x"]
    tokens.append("hfi_" + other[4:])
    answers = [await reset(served, token) for token in tokens]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert (await reset(served, other)).status_code == 200


async def test_asking_tells_nothing_about_accounts(
    served: Served, ann: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by what it says nor by how long it takes, also where the database is slow."""
    add = password_resets.add

    async def add_slowly(*arguments: Any) -> None:
        await asyncio.sleep(0.2)
        await add(*arguments)

    monkeypatch.setattr(password_resets, "add", add_slowly)

    async def asked(email: str) -> tuple[float, httpx2.Response]:
        began = time.monotonic()
        answer = await forgot(served, email)
        return time.monotonic() - began, answer

    known = [await asked(ann.user["email"]) for _ in range(3)]
    unknown = [await asked(new_address()) for _ in range(3)]
    assert len({(answer.status_code, answer.content) for _, answer in known + unknown}) == 1
    assert all(took >= passwords.ANSWER_AFTER_SECONDS for took, _ in known + unknown)
    gap = abs(min(took for took, _ in known) - min(took for took, _ in unknown))
    assert gap < 0.1


async def test_asking_often_is_slowed_down_for_everyone_alike(embedded: Settings) -> None:
    async with serving(embedded, peer="203.0.113.97", clock=StandingClock()) as limited:
        known = (await session(limited.http)).user["email"]
        for email in (known, new_address()):
            statuses = [(await forgot(limited, email)).status_code for _ in range(6)]
            assert statuses == [202] * 5 + [429]


async def test_the_event_carries_an_id_and_no_secret(served: Served, ann: Session) -> None:
    token = await token_for(served, ann.user["email"])
    user = UUID(ann.user["id"])
    async with served.resources.db.transaction(Scope(tenant_id=user)) as tx:
        events = [
            dict(row._mapping) for row in await tx.execute(text("SELECT * FROM outbox ORDER BY id"))
        ]
    verification, event = events
    assert verification["type"] == "auth.verification.requested.v1"
    assert verification["data"] == {"userId": ann.user["id"]}
    assert event["type"] == "auth.password_reset.requested.v1"
    assert event["data"] == {"id": event["subject"], "userId": ann.user["id"]}
    async with served.resources.db.transaction(Scope(tenant_id=user, user_id=user)) as tx:
        for table in ("outbox", "password_resets", "audit_log"):
            found = await tx.execute(text(f"SELECT t::text AS row FROM {table} t"))
            for row in found:
                assert token[47:] not in row.row
                assert ann.user["email"] not in row.row


async def test_a_disabled_account_gets_no_link(served: Served, ann: Session) -> None:
    email = ann.user["email"]
    token = await token_for(served, email)
    async with served.resources.db.transaction(Scope()) as tx:
        await tx.execute(
            text("UPDATE users SET disabled_at = now() WHERE id = :u"), {"u": UUID(ann.user["id"])}
        )
    assert (await reset(served, token)).status_code == 404
    assert (await forgot(served, email)).status_code == 202
    assert await mailed(served, email) == []


async def test_the_operator_sees_what_would_go_out(served: Served) -> None:
    owner = await session(served.http, role="vendor")
    email = new_address()
    made = await call(served, owner, "POST", "/invitations", {"email": email, "role": "cashier"})
    invitation = made.json()["data"]
    link = await mailed_link(served, owner, invitation["id"])
    shown = [line async for line in lines(served.resources.settings, 10_000)]
    assert f"    to {email}: {link}" in shown
    assert any(invitation["id"] in line for line in shown)
    gone = f"/invitations/{invitation['id']}"
    assert (await call(served, owner, "DELETE", gone)).status_code == 200
    shown = [line async for line in lines(served.resources.settings, 10_000)]
    assert not any(email in line for line in shown)


async def test_a_reset_reaches_only_its_own_account(served: Served, ann: Session) -> None:
    """A token whose user was exchanged is sealed for another."""
    token = await token_for(served, ann.user["email"])
    victim = await session(served.http)
    raw = urlsafe_b64decode(token[4:] + "==")
    moved = UUID(victim.user["id"]).bytes + raw[16:]
    forged = "hfp_" + urlsafe_b64encode(moved).rstrip(b"=").decode()
    assert (await reset(served, forged)).status_code == 404
    assert (await login(served.http, victim.user["email"])).status_code == 200


async def test_links_outlive_a_rotation_of_keys(embedded: Settings, ann: Session) -> None:
    settings = embedded.model_copy(update={"signing_key": None})
    ring = keys.KeyRing(settings)
    links, scope, row, nonce = Links(settings, ring), uuid7(), uuid7(), bytes(16)
    token = links.token("invitation", scope, row, nonce)
    keys.rotate(settings.home_path / "keys")
    rotated = Links(settings, keys.KeyRing(settings))
    found = parse("invitation", token)
    assert found is not None
    assert rotated.holds("invitation", found, nonce)
    assert rotated.token("invitation", scope, row, nonce) != token
    assert not rotated.holds("invitation", found, bytes(15) + b"x")


async def test_the_database_forgets_old_requests(served: Served, ann: Session) -> None:
    await token_for(served, ann.user["email"])
    db: Database = served.resources.db
    async with db.transaction(Scope()) as tx:
        await tx.execute(text("UPDATE password_resets SET expires_at = now() - interval '8 days'"))
    await token_for(served, ann.user["email"])
    async with db.transaction(Scope()) as tx:
        count = (await tx.execute(text("SELECT count(*) FROM password_resets"))).scalar_one()
    assert count == 1
