"""Keys, for machines and for people's scripts alike: shown once, scoped, and ended for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends

from core.ids import uuid7
from core.principal import STAFF, Principal, Role
from core.settings import Settings
from gateway.access import require
from gateway.capability import Capability
from gateway.routing import HoldfastRoute
from tests.api.harness import BASE, Served, serving
from tests.api.people import Session, bearer, me, session, turned_away
from tests.clock import StandingClock

pytestmark = pytest.mark.asyncio(loop_scope="module")
router = APIRouter(route_class=HoldfastRoute)
Worker = Annotated[Principal, Depends(require(STAFF))]


@router.get("/levels")
async def read(principal: Worker) -> str:
    return str(principal.tenant_id)


@router.post("/levels")
async def write(principal: Worker) -> str:
    return str(principal.tenant_id)


ALL = (*BASE, Capability("stock", "/api/stock", router))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(embedded: Settings) -> AsyncIterator[Served]:
    settings = embedded.model_copy(update={"rate_limit": "off"})
    async with serving(settings, ALL) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def owner(served: Served) -> Session:
    return await session(served.http, role="vendor")


async def create(
    served: Served, owner: Session, key: str | None = None, **changes: Any
) -> httpx.Response:
    body = {"name": "till 1", "scopes": ["stock:write"]} | changes
    headers = owner.auth | ({"Idempotency-Key": key} if key else {})
    return await served.http.post(URL, json=body, headers=headers)


async def new_key(served: Served, owner: Session, **changes: Any) -> tuple[str, str]:
    """Id and secret."""
    answer = await create(served, owner, **changes)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return data["key"]["id"], data["secret"]


async def test_a_key_acts_for_its_business(served: Served, owner: Session) -> None:
    key_id, secret = await new_key(served, owner)
    assert secret.startswith("hfk_")
    answer = await served.http.post("/api/stock/levels", headers=bearer(secret))
    assert answer.json() == owner.user["tenantId"]
    assert (await me(served.http, secret)).json()["data"] == {
        "id": key_id,
        "name": "till 1",
        "email": None,
        "role": "service",
        "tenantId": owner.user["tenantId"],
        "scopes": ["stock:write"],
    }


async def test_the_secret_is_nowhere_to_be_read_again(served: Served, owner: Session) -> None:
    key_id, secret = await new_key(served, owner)
    await me(served.http, secret)
    listed = await served.http.get(URL, headers=owner.auth)
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
    ],
)
async def test_scopes(
    served: Served, owner: Session, scopes: list[str], reads: int, writes: int
) -> None:
    _, secret = await new_key(served, owner, scopes=scopes)
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
    served: Served, owner: Session, change: dict[str, Any], field: str
) -> None:
    answer = await create(served, owner, **change)
    assert answer.status_code == 400, answer.text
    assert [item["field"] for item in answer.json()["errors"]] == [field]


async def test_a_key_may_not_make_keys_nor_sign_out(served: Served, owner: Session) -> None:
    _, secret = await new_key(served, owner, scopes=["*"])
    machine = Session(secret, "", {})
    assert (await create(served, machine)).status_code == 403
    answer = await served.http.post("/api/auth/logout", headers=machine.auth)
    assert answer.status_code == 403


async def test_cashiers_and_shoppers_make_no_keys(served: Served, owner: Session) -> None:
    tokens = served.resources.edge.tokens
    for role in (Role.CASHIER, Role.STAFF, Role.CUSTOMER):
        token = tokens.issue(uuid7(), role, uuid7(), uuid7())
        assert (await create(served, Session(token, "", {}))).status_code == 403


async def test_other_businesses_keys_do_not_exist(served: Served, owner: Session) -> None:
    key_id, secret = await new_key(served, owner)
    other = await session(served.http, role="vendor")
    assert (await served.http.delete(f"{URL}/{key_id}", headers=other.auth)).status_code == 404
    assert (await served.http.get(URL, headers=other.auth)).json()["data"] == []
    assert (await me(served.http, secret)).status_code == 200


async def test_a_revoked_key_ends_here_at_once_and_elsewhere_soon(
    served: Served, owner: Session, embedded: Settings
) -> None:
    key_id, secret = await new_key(served, owner)
    async with serving(served.resources.settings, ALL) as other:
        assert (await me(other.http, secret)).status_code == 200
        revoked = await served.http.delete(f"{URL}/{key_id}", headers=owner.auth)
        assert revoked.json()["data"]["revokedAt"] is not None
        assert (await me(served.http, secret)).status_code == 401
        await turned_away(other.http, secret)
    again = await served.http.delete(f"{URL}/{key_id}", headers=owner.auth)
    assert again.json()["data"] == revoked.json()["data"]


async def test_a_key_ends_when_it_expires(served: Served, owner: Session) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)
    _, secret = await new_key(served, owner, expiresAt=soon.isoformat())
    assert (await me(served.http, secret)).status_code == 200
    await turned_away(served.http, secret)
    assert datetime.now(UTC) >= soon


async def test_a_key_with_one_letter_changed(served: Served, owner: Session) -> None:
    _, secret = await new_key(served, owner)
    for position in (4, 30, 60, len(secret) - 1):
        letter = "A" if secret[position] != "A" else "B"
        bad = secret[:position] + letter + secret[position + 1 :]
        assert (await me(served.http, bad)).status_code == 401
    assert (await me(served.http, secret)).status_code == 200


async def test_fifty_at_once_with_one_key_make_one(served: Served, owner: Session) -> None:
    answers = await asyncio.gather(*(create(served, owner, "same") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["key"]["id"] for answer in answers}) == 1
    secrets = [answer.json()["data"]["secret"] for answer in answers]
    assert sum(secret is not None for secret in secrets) == 1
    listed = (await served.http.get(URL, headers=owner.auth)).json()
    assert listed["pagination"]["total"] == 1
    other_body = await create(served, owner, "same", name="till 2")
    assert other_body.status_code == 422
    assert other_body.json()["code"] == "idempotency_key_reused"


async def test_repeated_revocations_get_the_same_answer(served: Served, owner: Session) -> None:
    key_id, _ = await new_key(served, owner)
    headers = owner.auth | {"Idempotency-Key": "gone"}
    url = f"{URL}/{key_id}"
    answers = await asyncio.gather(*(served.http.delete(url, headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


async def test_many_requests_at_once_look_a_key_up_once(
    embedded: Settings, served: Served, owner: Session
) -> None:
    _, secret = await new_key(served, owner)
    async with serving(served.resources.settings, ALL) as fresh:
        answers = await asyncio.gather(*(me(fresh.http, secret) for _ in range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert not fresh.resources.edge.service_keys._pending


async def test_a_key_has_a_limit_of_its_own(embedded: Settings) -> None:
    async with serving(embedded, ALL, peer="203.0.113.96", clock=StandingClock()) as limited:
        boss = await session(limited.http, role="vendor")
        _, slow = await new_key(limited, boss, rateLimitPerSecond=2)
        _, fast = await new_key(limited, boss)
        statuses = [(await me(limited.http, slow)).status_code for _ in range(25)]
        # Counted over ten seconds. The first request looks the key up.
        assert statuses == [200] * 20 + [429] * 5
        assert (await me(limited.http, fast)).status_code == 200
        assert (await me(limited.http, boss.token)).status_code == 200


@pytest.mark.parametrize("limit", [0, 5001, "2", 1.5])
async def test_a_limit_is_bounded(served: Served, owner: Session, limit: Any) -> None:
    answer = await create(served, owner, rateLimitPerSecond=limit)
    assert [item["field"] for item in answer.json()["errors"]] == ["rateLimitPerSecond"]


async def rotate(
    served: Served, owner: Session, key_id: str, grace: int = 0, key: str = ""
) -> httpx.Response:
    headers = owner.auth | ({"Idempotency-Key": key} if key else {})
    body = {"graceSeconds": grace}
    return await served.http.post(f"{URL}/{key_id}/rotate", json=body, headers=headers)


async def test_a_rotated_key_gives_way_at_once(served: Served, owner: Session) -> None:
    key_id, secret = await new_key(served, owner, rateLimitPerSecond=7)
    assert (await me(served.http, secret)).status_code == 200
    answer = await rotate(served, owner, key_id, key="r")
    made = answer.json()["data"]
    assert (answer.status_code, made["key"]["rateLimitPerSecond"]) == (201, 7)
    assert (made["key"]["name"], made["key"]["scopes"]) == ("till 1", ["stock:write"])
    assert (await me(served.http, secret)).status_code == 401
    assert (await me(served.http, made["secret"])).status_code == 200
    again = (await rotate(served, owner, key_id, key="r")).json()["data"]
    assert again == made | {"secret": None}
    ended = await rotate(served, owner, key_id)
    assert (ended.status_code, ended.json()["code"]) == (409, "service_key_ended")


async def test_in_the_grace_both_keys_are_good(served: Served, owner: Session) -> None:
    key_id, secret = await new_key(served, owner)
    made = (await rotate(served, owner, key_id, 4)).json()["data"]
    for good in (secret, made["secret"]):
        assert (await me(served.http, good)).status_code == 200
    await turned_away(served.http, secret)
    assert (await me(served.http, made["secret"])).status_code == 200
    other = await session(served.http, role="vendor")
    assert (await rotate(served, other, made["key"]["id"])).status_code == 404
