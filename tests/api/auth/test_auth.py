"""Accounts and sessions over HTTP, against the real Postgres and Valkey."""

from __future__ import annotations

import asyncio
import statistics
import time

import jwt
import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from core.errors import Conflict
from core.settings import Settings
from deployments.auth import service
from gateway import keys
from gateway.passwords import Passwords
from gateway.throttle import LOGIN_PER_ACCOUNT
from store.kit.engine import Database, Scope
from tests.api.harness import Served, serving
from tests.api.people import (
    PASSWORD,
    bearer,
    login,
    me,
    new_address,
    refresh,
    register,
    session,
    session_of,
    turned_away,
)
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


# Signing up -----------------------------------------------------------------------------------


async def test_a_shopper_signs_up_and_in_as_the_plan_shows(served: Served) -> None:
    email = new_address()
    registered = await register(served.http, email=email)
    assert registered.status_code == 201
    body = registered.json()
    assert body["success"] is True
    assert body["message"] == "User registered successfully"
    user = {"name": "Ann", "email": email, "role": "customer", "tenantId": None}
    assert body["data"] == {"id": body["data"]["id"], **user}

    answer = (await login(served.http, email)).json()
    assert answer["success"] is True
    assert answer["user"] == {"id": body["data"]["id"], **user, "emailVerified": False}
    assert answer["expiresIn"] == 900
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["role"]) == (answer["user"]["id"], "customer")
    assert claims["tenant_id"] is claims["business_id"] is None
    found = (await me(served.http, answer["token"])).json()["data"]
    assert found == answer["user"] | {"scopes": []}


async def test_a_vendor_owns_a_new_business(served: Served) -> None:
    one = await session(served.http, role="vendor", businessName="Ann's", currency="EUR")
    other = await session(served.http, role="vendor")
    assert one.user["role"] == "vendor"
    assert one.user["tenantId"] is not None
    assert one.user["tenantId"] != other.user["tenantId"]
    claims = jwt.decode(one.token, options={"verify_signature": False})
    assert claims["tenant_id"] == claims["business_id"] == one.user["tenantId"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "admin"}, "role"),
        ({"role": "owner"}, "role"),
        ({"tenantId": "01a1f834-14e8-728c-ad00-07d2f4ba597c"}, "tenantId"),
        ({"email": "not an address"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "x" * 300 + "@example.test"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"password": "123456"}, "password"),
        ({"password": "Password1"}, "password"),
        ({"password": " monkey "}, "password"),
        ({"password": "      "}, "password"),
        ({"password": "zzzzzzzz"}, "password"),
        ({"password": "nul\u0000nul"}, "password"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"role": "vendor", "currency": "XXX"}, "currency"),
        ({"role": "vendor", "currency": "eur"}, "currency"),
        ({"role": "vendor", "currency": "ABC"}, "currency"),
    ],
)
async def test_bad_registrations_are_named(
    served: Served, change: dict[str, str], field: str
) -> None:
    answer = await register(served.http, **change)
    assert answer.status_code == 400, answer.text
    assert [item["field"] for item in answer.json()["errors"]] == [field]
    assert PASSWORD not in answer.text
    assert change.get("password", PASSWORD) not in answer.text


async def test_an_address_is_taken_once_whatever_its_case(served: Served) -> None:
    email = new_address()
    answers = await asyncio.gather(*(register(served.http, email=email) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    again = await register(served.http, email=email.upper())
    assert again.status_code == 409
    assert again.json()["code"] == "email_taken"
    assert again.json()["errors"][0]["field"] == "email"
    assert (await login(served.http, email.upper())).status_code == 200


async def test_only_the_command_line_makes_administrators(served: Served) -> None:
    edge, email = served.resources.edge, new_address()
    for attempt in range(2):
        try:
            await service.create_admin(
                served.resources.db, edge, name="Root", email=email, password=PASSWORD
            )
        except Conflict:
            assert attempt == 1
    found = await session_of(served.http, email)
    assert (found.user["role"], found.user["tenantId"]) == ("admin", None)


# Signing in -----------------------------------------------------------------------------------


async def test_nobody_learns_who_has_an_account(served: Served) -> None:
    email = new_address()
    async with serving(served.resources.settings, passwords=Passwords()) as real:
        await register(real.http, email=email)
        wrong = await login(real.http, email, "wrong password")
        unknown = await login(real.http, new_address(), "wrong password")
        assert wrong.status_code == unknown.status_code == 401
        kept = ("type", "title", "detail", "code", "errors")
        assert {k: wrong.json()[k] for k in kept} == {k: unknown.json()[k] for k in kept}
        assert wrong.json()["code"] == "invalid_credentials"

        async def seconds(address: str) -> float:
            began = time.perf_counter()
            await login(real.http, address, "wrong password")
            return time.perf_counter() - began

        known_s = [await seconds(email) for _ in range(7)]
        unknown_s = [await seconds(new_address()) for _ in range(7)]
    # Without a hash to compare, an unknown address would be answered in a tenth of the time.
    assert statistics.median(unknown_s) > statistics.median(known_s) / 3


async def test_a_password_that_was_kept_cheaply_costs_as_much_as_any_from_the_next_sign_in_on(
    served: Served,
) -> None:
    email = new_address()
    await register(served.http, email=email)
    kept = text("SELECT password_hash FROM users WHERE email = :email")

    async def parameters() -> str:
        async with served.resources.db.transaction(Scope()) as tx:
            return str(await tx.scalar(kept, {"email": email})).split("$")[3]

    assert await parameters() == "m=64,t=1,p=1"
    async with serving(served.resources.settings, passwords=Passwords()) as real:
        assert (await login(real.http, email)).status_code == 200
        assert await parameters() == "m=19456,t=2,p=1"
        assert (await login(real.http, email)).status_code == 200


async def test_a_password_is_the_same_from_every_keyboard(served: Served) -> None:
    email = new_address()
    composed, apart, wide = "ångström-1", "a\u030angstro\u0308m-1", "ångström-\uff11"
    assert len({composed, apart, wide}) == 3
    await register(served.http, email=email, password=apart)
    for typed in (composed, apart, wide):
        assert (await login(served.http, email, typed)).status_code == 200
    assert (await login(served.http, email, "angstrom-1")).status_code == 401
    token = (await login(served.http, email, apart)).json()["token"]
    body = {"currentPassword": apart, "newPassword": composed}
    path = "/api/auth/password/change"
    same = await served.http.post(path, json=body, headers=bearer(token))
    assert same.json()["errors"][0]["field"] == "newPassword"
    for guessed in ("\uff11\uff12\uff13\uff14\uff15\uff16", "a\u030ao\u0308e\u0308"):
        refused = await register(served.http, password=guessed)
        assert refused.json()["errors"][0]["field"] == "password"


async def test_who_was_hashed_as_typed_signs_in_and_is_hashed_anew(served: Served) -> None:
    """By an earlier build. From then on it is the same from every keyboard."""
    email, composed, apart = new_address(), "ångström-1", "a\u030angstro\u0308m-1"
    await register(served.http, email=email)
    as_typed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(apart)
    kept = text("UPDATE users SET password_hash = :hash WHERE email = :email")
    async with served.resources.db.transaction(Scope()) as tx:
        await tx.execute(kept, {"hash": as_typed, "email": email})
    assert (await login(served.http, email, composed)).status_code == 401
    assert (await login(served.http, email, apart)).status_code == 200
    assert (await login(served.http, email, composed)).status_code == 200


async def test_guessing_is_slowed_down_per_account_and_address(embedded: Settings) -> None:
    clock = StandingClock()
    async with (
        serving(embedded, peer="198.51.100.20", clock=clock) as guesser,
        serving(embedded, peer="198.51.100.20", clock=clock) as same_on_other_replica,
        serving(embedded, peer="198.51.100.21", clock=clock) as owner,
    ):
        email = new_address()
        await register(owner.http, email=email)
        half = LOGIN_PER_ACCOUNT.attempts // 2
        for served in (guesser, same_on_other_replica):
            answers = [await login(served.http, email, "wrong") for _ in range(half)]
            assert {answer.status_code for answer in answers} == {401}
        refused = await login(guesser.http, email, PASSWORD)  # the right one comes too late
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert (await login(guesser.http, new_address(), "wrong")).status_code == 401
        assert (await login(owner.http, email)).status_code == 200


async def test_who_proves_the_password_starts_afresh(embedded: Settings) -> None:
    async with serving(embedded, peer="198.51.100.22") as served:
        email = new_address()
        await register(served.http, email=email)
        for _ in range(3):
            for _ in range(LOGIN_PER_ACCOUNT.attempts - 1):
                assert (await login(served.http, email, "wrong")).status_code == 401
            assert (await login(served.http, email)).status_code == 200


async def test_guessing_is_slowed_down_without_redis_too(embedded: Settings) -> None:
    nowhere = "unix:///nowhere/redis.sock"
    async with serving(
        embedded, redis_url=nowhere, peer="198.51.100.23", clock=StandingClock()
    ) as served:
        email = new_address()
        assert (await register(served.http, email=email)).status_code == 201
        answers = [
            await login(served.http, email, "wrong") for _ in range(LOGIN_PER_ACCOUNT.attempts + 1)
        ]
        assert [answer.status_code for answer in answers][-2:] == [401, 429]


async def test_a_closed_account_is_as_good_as_none(served: Served, embedded: Settings) -> None:
    one = await session(served.http)
    owner = Database(embedded.owner_database_url)
    await _close_account(owner, one.user["id"])
    answer = await login(served.http, one.user["email"])
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert (await refresh(served.http, one.refresh_token)).status_code == 401
    assert (await me(served.http, one.token)).status_code == 401
    await owner.close()


async def _close_account(owner: Database, user_id: str) -> None:
    async with owner.transaction(Scope()) as tx:
        await tx.execute(
            text("UPDATE users SET disabled_at = now() WHERE id = :id"), {"id": user_id}
        )


# Sessions -------------------------------------------------------------------------------------


async def test_a_refresh_token_is_good_for_one_use(served: Served) -> None:
    one = await session(served.http, role="vendor")
    answer = await refresh(served.http, one.refresh_token)
    assert answer.status_code == 200
    body = answer.json()
    assert body["refreshToken"] != one.refresh_token
    claims = jwt.decode(body["token"], options={"verify_signature": False})
    assert claims["tenant_id"] == one.user["tenantId"]
    assert (await me(served.http, body["token"])).status_code == 200


async def test_a_second_use_ends_the_session_for_thief_and_owner(served: Served) -> None:
    one = await session(served.http)
    fresh = (await refresh(served.http, one.refresh_token)).json()
    await _later(served)
    stolen = await refresh(served.http, one.refresh_token)
    assert stolen.status_code == 401
    assert (await refresh(served.http, fresh["refreshToken"])).status_code == 401
    for token in (one.token, fresh["token"]):
        assert (await me(served.http, token)).status_code == 401
    other = await session_of(served.http, one.user["email"])
    assert (await me(served.http, other.token)).status_code == 200


async def test_whoever_refreshes_at_once_or_asks_again_hears_the_same_successor(
    served: Served,
) -> None:
    one = await session(served.http)
    answers = await asyncio.gather(*(refresh(served.http, one.refresh_token) for _ in range(10)))
    answers.append(await refresh(served.http, one.refresh_token))
    assert {answer.status_code for answer in answers} == {200}
    [successor] = {answer.json()["refreshToken"] for answer in answers}
    assert successor != one.refresh_token
    for answer in answers[:2]:
        assert (await me(served.http, answer.json()["token"])).status_code == 200
    assert (await refresh(served.http, successor)).json()["refreshToken"] != successor


async def test_a_session_that_has_ended_tells_no_successor(served: Served) -> None:
    one = await session(served.http)
    fresh = (await refresh(served.http, one.refresh_token)).json()
    out = await served.http.post("/api/auth/logout", headers=bearer(fresh["token"]))
    assert out.status_code == 200
    assert (await refresh(served.http, one.refresh_token)).status_code == 401


async def _later(served: Served) -> None:
    """The grace of every token that was used is over."""
    past = text("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'")
    async with served.resources.db.transaction(Scope()) as tx:
        await tx.execute(past)


@pytest.mark.parametrize("token", ["x", "hfr_x", "hfr_" + "A" * 43, "\u00e4"])
async def test_a_made_up_refresh_token(served: Served, token: str) -> None:
    assert (await refresh(served.http, token)).status_code == 401


async def test_signing_out_ends_that_session_at_once(served: Served) -> None:
    one = await session(served.http)
    other = await session_of(served.http, one.user["email"])
    assert (await served.http.post("/api/auth/logout", headers=one.auth)).status_code == 200
    assert (await me(served.http, one.token)).status_code == 401
    assert (await refresh(served.http, one.refresh_token)).status_code == 401
    assert (await me(served.http, other.token)).status_code == 200
    assert (await served.http.post("/api/auth/logout", headers=one.auth)).status_code == 401


async def test_signing_out_is_heard_of_on_other_replicas(embedded: Settings) -> None:
    settings = embedded.model_copy(update={"rate_limit": "off"})
    async with serving(settings) as one, serving(settings) as other:
        who = await session(one.http)
        assert (await me(other.http, who.token)).status_code == 200
        await one.http.post("/api/auth/logout", headers=who.auth)
        await turned_away(other.http, who.token)
    async with serving(settings) as started_later:
        assert (await me(started_later.http, who.token)).status_code == 401


async def test_an_expired_token_is_refused_though_it_was_remembered(embedded: Settings) -> None:
    settings = embedded.model_copy(update={"access_token_ttl_seconds": 1, "rate_limit": "off"})
    clock = StandingClock()
    async with serving(settings, clock=clock) as served:
        who = await session(served.http)
        assert (await me(served.http, who.token)).status_code == 200
        clock.pass_seconds(2)
        assert (await me(served.http, who.token)).status_code == 401
        # And is no hindrance to signing in again with it still attached.
        answer = await served.http.post(
            "/api/auth/refresh", json={"refreshToken": who.refresh_token}, headers=who.auth
        )
        assert answer.status_code == 200


async def test_keys_are_rotated_without_signing_anyone_out(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_SCAN_SECONDS", 0.0)
    monkeypatch.setattr(keys, "_UNKNOWN_SCAN_SECONDS", 0.0)
    settings = embedded.model_copy(update={"rate_limit": "off"})
    async with serving(settings) as one, serving(settings) as other:
        before = await session(one.http)
        new_key = keys.rotate(embedded.home_path / "keys")
        after = await session(one.http)
        assert jwt.get_unverified_header(after.token)["kid"] == new_key
        for token in (before.token, after.token):
            assert (await me(other.http, token)).status_code == 200
        published = (await other.http.get("/.well-known/jwks.json")).json()["keys"]
        assert published == (await other.http.get("/api/auth/jwks")).json()["keys"]
        ours = next(key for key in published if key["kid"] == new_key)
        verified = jwt.decode(
            after.token, jwt.PyJWK(ours), algorithms=["EdDSA"], audience="holdfast-api"
        )
        assert verified["sub"] == after.user["id"]
        assert "d" not in ours


async def test_me_needs_somebody(served: Served) -> None:
    assert (await served.http.get("/api/auth/me")).status_code == 401
    assert (await served.http.get("/api/auth/me", headers=bearer("x"))).status_code == 401
