"""Addresses are proved by mail, which nothing waits for; and registering is no way to find out who
has an account."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from core.settings import Settings
from deployments.auth.events import VerificationRequested
from deployments.auth.people.mails import mail_for
from gateway.throttle import TAKEN_PER_ADDRESS, TAKEN_PER_NETWORK, VERIFY_PER_ACCOUNT
from store.kit.engine import Database, Scope
from store.kit.outbox import Waiting, waiting
from tests.api.auth.key_endings import password_reset
from tests.api.auth.members_kit import (
    ALL,
    call,
)
from tests.api.harness import Served, serving
from tests.api.people import Session, login, new_address, register, session
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def requested(served: Served, user_id: str) -> list[Waiting]:
    """The events that ask for a mail to prove somebody's address."""
    everyone = Database(served.resources.settings.host_database_url)
    try:
        async with everyone.transaction(Scope()) as tx:
            found = await waiting(tx, limit=100_000)
    finally:
        await everyone.close()
    return [
        waiting
        for waiting in reversed(found)
        if (waiting.type, waiting.subject) == (VerificationRequested.kind, user_id)
    ]


async def link(served: Served, event: Waiting) -> str | None:
    """The token of the link in the mail that an event asks for, if it asks for one."""
    mail = await mail_for(served.resources.db, served.resources.edge.links, event)
    return None if mail is None else mail.link.partition("#")[2]


async def verified(served: Served, who: Session) -> bool:
    found: bool = (await call(served, who, "GET", "/me")).json()["data"]["emailVerified"]
    return found


@pytest.mark.parametrize("role", ["customer", "vendor"])
async def test_the_mailed_link_proves_the_address(served: Served, role: str) -> None:
    who = await session(served.http, role=role)
    assert who.user["emailVerified"] is False  # and has signed in all the same
    (event,) = await requested(served, who.user["id"])
    mail = await mail_for(served.resources.db, served.resources.edge.links, event)
    assert mail is not None
    assert mail.to == who.user["email"]
    token = await link(served, event)
    for _ in range(2):  # again by a second click
        answer = await call(served, None, "POST", "/email/verify", {"token": token})
        assert answer.status_code == 200
        assert await verified(served, who)
    assert (await login(served.http, who.user["email"])).json()["user"]["emailVerified"] is True
    # Nothing more is mailed.
    assert await link(served, event) is None
    assert (await call(served, who, "POST", "/email/send")).status_code == 202
    assert len(await requested(served, who.user["id"])) == 1


async def test_a_link_that_is_no_more_proves_nothing(served: Served) -> None:
    """Replaced, expired, forged, somebody else's: one answer."""
    who, other = await session(served.http), await session(served.http)
    (event,) = await requested(served, who.user["id"])
    replaced = await link(served, event)
    assert replaced is not None
    assert (await call(served, who, "POST", "/email/send", key="again")).status_code == 202
    assert (await call(served, who, "POST", "/email/send", key="again")).status_code == 202
    assert len(await requested(served, who.user["id"])) == 2
    latest = await link(served, event)
    assert latest != replaced
    (theirs,) = await requested(served, other.user["id"])
    foreign = served.resources.edge.links.token(
        "email-verification", UUID(other.user["id"]), UUID(other.user["id"]), b"0" * 16
    )
    tokens = [replaced, foreign, "hfv_" + "A" * 86, "x", f"hfp_{replaced[4:]}"]
    async with served.resources.db.transaction(Scope(user_id=UUID(other.user["id"]))) as tx:
        past = "UPDATE users SET email_nonce_expires_at = now() - interval '1 s' WHERE id = :id"
        tokens.append(str(await link(served, theirs)))
        await tx.execute(text(past), {"id": UUID(other.user["id"])})
    answers = [
        await call(served, None, "POST", "/email/verify", {"token": token}) for token in tokens
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert not await verified(served, who)
    assert not await verified(served, other)
    answer = await call(served, None, "POST", "/email/verify", {"token": latest})
    assert answer.status_code == 200


async def test_a_new_password_by_mail_proves_the_address_too(served: Served) -> None:
    who = await session(served.http)
    await password_reset(served, who, who)
    found = await login(served.http, who.user["email"], "another horse")
    assert found.json()["user"]["emailVerified"] is True


async def test_mails_are_sent_again_within_bounds(embedded: Settings) -> None:
    async with serving(embedded, ALL, peer="203.0.113.41", clock=StandingClock()) as limited:
        who = await session(limited.http)
        statuses = [
            (await call(limited, who, "POST", "/email/send")).status_code
            for _ in range(VERIFY_PER_ACCOUNT.attempts + 1)
        ]
        assert statuses == [202] * VERIFY_PER_ACCOUNT.attempts + [429]
        assert (await login(limited.http, who.user["email"])).status_code == 200


async def test_registering_is_no_way_to_ask_who_has_an_account(embedded: Settings) -> None:
    """Neither from one address nor from all of a network; new people register meanwhile."""
    clock, network = StandingClock(), f"198.18.{uuid4().int % 256}"
    known = new_address()

    async def ask(host: int, times: int) -> list[int]:
        async with serving(embedded, ALL, peer=f"{network}.{host}", clock=clock) as limited:
            if host == 0:
                assert (await register(limited.http, email=known)).status_code == 201
            found = [(await register(limited.http, email=known)).status_code for _ in range(times)]
            if 429 not in found:
                assert (await register(limited.http)).status_code == 201
            return found

    most = TAKEN_PER_ADDRESS.attempts
    assert await ask(0, most + 1) == [409] * most + [429]
    spent = most
    for host in range(1, TAKEN_PER_NETWORK.attempts // (most - 1)):
        spent += most - 1
        assert await ask(host, most - 1) == [409] * (most - 1)
    # What this replica has not counted itself it learns from the others with its next attempt.
    left = TAKEN_PER_NETWORK.attempts - spent
    found = await ask(200, left + 2)
    assert found[-1] == 429
