"""Keys, for machines and for people's scripts alike: shown once, scoped, and ended permanently."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from core import moments
from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from tests.api.auth.keys_kit import (
    ALL,
    KINDS,
    SERVICE,
    Kind,
    create,
    new_key,
    rotate,
)
from tests.api.auth.members_kit import rows
from tests.api.harness import Served, serving
from tests.api.people import Session, bearer, me, session, turned_away
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def owner(served: Served) -> Session:
    return await session(served.http, role="vendor")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.prefix)
def kind(request: pytest.FixtureRequest) -> Kind:
    made: Kind = request.param
    return made


async def test_a_key_acts_for_its_business(served: Served, owner: Session, kind: Kind) -> None:
    key_id, secret = await new_key(served, owner, kind)
    assert secret.startswith(kind.prefix)
    answer = await served.http.post("/api/stock/levels", headers=bearer(secret))
    assert answer.json()["message"] == owner.user["tenantId"]
    machine = {"id": key_id, "name": "till 1", "email": None, "role": "service"}
    machine["emailVerified"] = None
    who = machine if kind is SERVICE else owner.user
    assert (await me(served.http, secret)).json()["data"] == who | {
        "tenantId": owner.user["tenantId"],
        "scopes": ["stock:write"],
    }


async def test_a_key_of_one_kind_is_none_of_the_other(
    served: Served, owner: Session, kind: Kind
) -> None:
    key_id, secret = await new_key(served, owner, kind)
    for other in KINDS:
        if other is not kind:
            assert (await me(served.http, other.prefix + secret[4:])).status_code == 401
            url = f"{other.url}/{key_id}"
            assert (await served.http.delete(url, headers=owner.auth)).status_code == 404
            assert (await rotate(served, owner, other, key_id)).status_code == 404
            listed = (await served.http.get(other.url, headers=owner.auth)).json()
            assert listed["pagination"]["total"] == 0
    assert (await me(served.http, secret)).status_code == 200


async def test_the_secret_is_nowhere_to_be_read_again(
    served: Served, owner: Session, kind: Kind
) -> None:
    key_id, secret = await new_key(served, owner, kind)
    await me(served.http, secret)
    listed = await served.http.get(kind.url, headers=owner.auth)
    assert secret not in listed.text
    body = listed.json()
    assert body["pagination"] == {"page": 1, "limit": 20, "total": 1}
    (found,) = body["data"]
    assert found["id"] == key_id
    assert found["lastUsedAt"] is not None
    assert found["revokedAt"] is None


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        (["stock:read"], 200, 403),
        (["stock:write"], 200, 200),
        (["*"], 200, 200),
        (["catalog:write"], 403, 403),
        (["catalog:read", "stock:read"], 200, 403),
    ],
)
async def test_scopes(
    served: Served, owner: Session, kind: Kind, scopes: list[str], reads: int, writes: int
) -> None:
    _, secret = await new_key(served, owner, kind, scopes=scopes)
    headers = bearer(secret)
    assert (await served.http.get("/api/stock/levels", headers=headers)).status_code == reads
    assert (await served.http.post("/api/stock/levels", headers=headers)).status_code == writes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes[0]"),
        ({"scopes": ["stock:read"] * 51}, "scopes"),
        ({"name": " "}, "name"),
        ({"expiresAt": "yesterday"}, "expiresAt"),
        ({"expiresAt": 2_000_000_000}, "expiresAt"),
        ({"expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"tenantId": str(uuid7())}, "tenantId"),
    ],
)
async def test_bad_keys_are_named(
    served: Served, owner: Session, kind: Kind, change: dict[str, Any], field: str
) -> None:
    answer = await create(served, owner, kind, **change)
    assert answer.status_code == 400, answer.text
    assert [item["field"] for item in answer.json()["errors"]] == [field]


async def test_who_makes_no_keys(served: Served, owner: Session, kind: Kind) -> None:
    """Shoppers none; nor members who manage nothing for the business, or strangers for anybody."""
    tokens = served.resources.edge.tokens
    for role in (Role.CASHIER, Role.STAFF, Role.CUSTOMER, Role.MANAGER):
        token = tokens.issue(uuid7(), role, UUID(owner.user["tenantId"]), uuid7())
        assert (await create(served, Session(token, "", {}), kind)).status_code == 403


async def test_other_businesses_keys_do_not_exist(
    served: Served, owner: Session, kind: Kind
) -> None:
    key_id, secret = await new_key(served, owner, kind)
    other = await session(served.http, role="vendor")
    assert (await served.http.delete(f"{kind.url}/{key_id}", headers=other.auth)).status_code == 404
    assert (await served.http.get(kind.url, headers=other.auth)).json()["data"] == []
    assert (await me(served.http, secret)).status_code == 200


async def test_a_revoked_key_ends_here_at_once_and_elsewhere_soon(
    served: Served, owner: Session, kind: Kind
) -> None:
    key_id, secret = await new_key(served, owner, kind)
    async with serving(served.resources.settings, ALL) as other:
        assert (await me(other.http, secret)).status_code == 200
        revoked = await served.http.delete(f"{kind.url}/{key_id}", headers=owner.auth)
        assert revoked.json()["data"]["revokedAt"] is not None
        assert (await me(served.http, secret)).status_code == 401
        await turned_away(other.http, secret)
    again = await served.http.delete(f"{kind.url}/{key_id}", headers=owner.auth)
    assert again.json()["data"] == revoked.json()["data"]


async def test_a_key_ends_when_it_expires(served: Served, owner: Session, kind: Kind) -> None:
    clock = StandingClock()
    soon = moments.of_ms(clock.now_ms()) + timedelta(seconds=60)
    async with serving(served.resources.settings, ALL, clock=clock) as still:
        _, secret = await new_key(still, owner, kind, expiresAt=soon.isoformat())
        clock.pass_seconds(59)
        assert (await me(still.http, secret)).status_code == 200
        clock.pass_seconds(1)
        assert (await me(still.http, secret)).status_code == 401
        clock.pass_seconds(1)
        assert (await me(still.http, secret)).status_code == 401


async def test_a_key_with_one_letter_changed(served: Served, owner: Session, kind: Kind) -> None:
    _, secret = await new_key(served, owner, kind)
    for position in (4, 30, 60, len(secret) - 1):
        letter = "A" if secret[position] != "A" else "B"
        bad = secret[:position] + letter + secret[position + 1 :]
        assert (await me(served.http, bad)).status_code == 401
    assert (await me(served.http, secret)).status_code == 200


async def test_fifty_at_once_with_one_key_make_one(
    served: Served, owner: Session, kind: Kind
) -> None:
    answers = await asyncio.gather(*(create(served, owner, kind, "same") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    secrets = [answer.json()["data"]["secret"] for answer in answers]
    assert sum(secret is not None for secret in secrets) == 1
    listed = (await served.http.get(kind.url, headers=owner.auth)).json()
    assert listed["pagination"]["total"] == 1
    other_body = await create(served, owner, kind, "same", name="till 2")
    assert other_body.status_code == 422
    assert other_body.json()["code"] == "idempotency_key_reused"


async def test_repeated_revocations_get_the_same_answer(
    served: Served, owner: Session, kind: Kind
) -> None:
    key_id, _ = await new_key(served, owner, kind)
    headers = owner.auth | {"Idempotency-Key": "gone"}
    url = f"{kind.url}/{key_id}"
    answers = await asyncio.gather(*(served.http.delete(url, headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


async def test_many_requests_at_once_look_a_key_up_once(
    served: Served, owner: Session, kind: Kind
) -> None:
    _, secret = await new_key(served, owner, kind)
    async with serving(served.resources.settings, ALL) as fresh:
        answers = await asyncio.gather(*(me(fresh.http, secret) for _ in range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert not fresh.resources.edge.access_keys._pending


async def test_a_key_has_a_limit_of_its_own(embedded: Settings, kind: Kind) -> None:
    async with serving(embedded, ALL, peer="203.0.113.96", clock=StandingClock()) as limited:
        boss = await session(limited.http, role="vendor")
        _, slow = await new_key(limited, boss, kind, rateLimitPerSecond=2)
        _, fast = await new_key(limited, boss, kind)
        statuses = [(await me(limited.http, slow)).status_code for _ in range(25)]
        # Counted over ten seconds. The first request looks the key up.
        assert statuses == [200] * 20 + [429] * 5
        assert (await me(limited.http, fast)).status_code == 200
        assert (await me(limited.http, boss.token)).status_code == 200


@pytest.mark.parametrize("limit", [0, 5001, "2", 1.5])
async def test_a_limit_is_bounded(served: Served, owner: Session, kind: Kind, limit: Any) -> None:
    answer = await create(served, owner, kind, rateLimitPerSecond=limit)
    assert [item["field"] for item in answer.json()["errors"]] == ["rateLimitPerSecond"]


async def test_a_rotated_key_gives_way_at_once(served: Served, owner: Session, kind: Kind) -> None:
    key_id, secret = await new_key(served, owner, kind, rateLimitPerSecond=7)
    assert (await me(served.http, secret)).status_code == 200
    answer = await rotate(served, owner, kind, key_id, key="r")
    made = answer.json()["data"]
    assert (answer.status_code, made["rateLimitPerSecond"]) == (201, 7)
    assert (made["name"], made["scopes"]) == ("till 1", ["stock:write"])
    assert (await me(served.http, secret)).status_code == 401
    assert (await me(served.http, made["secret"])).status_code == 200
    again = (await rotate(served, owner, kind, key_id, key="r")).json()["data"]
    assert again == made | {"secret": None}
    ended = await rotate(served, owner, kind, key_id)
    assert (ended.status_code, ended.json()["code"]) == (409, "key_ended")


async def test_in_the_grace_both_keys_are_good(served: Served, owner: Session, kind: Kind) -> None:
    clock = StandingClock()
    async with serving(served.resources.settings, ALL, clock=clock) as still:
        key_id, secret = await new_key(still, owner, kind)
        made = (await rotate(still, owner, kind, key_id, 60)).json()["data"]
        for good in (secret, made["secret"]):
            assert (await me(still.http, good)).status_code == 200
        clock.pass_seconds(61)
        assert (await me(still.http, secret)).status_code == 401
        assert (await me(still.http, made["secret"])).status_code == 200
    other = await session(served.http, role="vendor")
    assert (await rotate(served, other, kind, made["id"])).status_code == 404


async def test_making_revoking_and_rotating_are_in_the_audit_log_without_secrets(
    served: Served, owner: Session, kind: Kind
) -> None:
    key_id, secret = await new_key(served, owner, kind, scopes=["*"])
    made = (await rotate(served, owner, kind, key_id)).json()["data"]
    url = f"{kind.url}/{made['id']}"
    assert (await served.http.delete(url, headers=owner.auth)).status_code == 200
    noun = "service_key" if kind is SERVICE else "api_key"
    found = await rows(served, owner, "SELECT action, key_id FROM audit_log ORDER BY at")
    assert found == [(f"{noun}.{verb}", None) for verb in ("created", "rotated", "revoked")]
    everything = ""
    for table in ("access_keys", "audit_log", "command_log", "outbox"):
        everything += str(await rows(served, owner, f"SELECT t::text FROM {table} t"))
    for text in (secret, made["secret"]):
        assert text not in everything
        assert text[-43:] not in everything
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert digest in everything
    assert digest not in str(await rows(served, owner, "SELECT t::text FROM audit_log t"))
