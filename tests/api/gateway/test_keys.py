"""Idempotency keys at the edge: one key is one command, on every way in."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from gateway.context import RequestContext
from gateway.entrance import Answer
from gateway.idempotency import key_of
from tests.api.gateway import trial
from tests.api.gateway.gateway_kit import (
    ALL,
    BASKET,
    bearer,
    fields,
    problem,
)
from tests.api.harness import Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def post_keyed(
    served: Served,
    key: str | None,
    *,
    body: dict[str, Any] | None = None,
    path: str = "/api/trial/keyed/1",
    auth: dict[str, str] | None = None,
) -> dict[str, Any]:
    headers = (auth or {}) | ({} if key is None else {"Idempotency-Key": key})
    said = None if path.endswith("/bare") else body or BASKET
    answer = await served.http.post(path, json=said, headers=headers)
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_the_same_key_is_the_same_command(served: Served) -> None:
    ann, bob = bearer(served, Role.CUSTOMER), bearer(served, Role.CUSTOMER)
    first = await post_keyed(served, "k", auth=ann)
    assert first == await post_keyed(served, "k", auth=ann)
    assert first["clientSupplied"] is True
    assert first["lastsMs"] == 30_000
    for other in (
        await post_keyed(served, "k2", auth=ann),
        await post_keyed(served, "k", auth=bob),
        await post_keyed(served, "k", auth=bearer(served, Role.CUSTOMER, uuid7())),
        await post_keyed(served, "k", auth=ann, path="/api/trial/bare"),
    ):
        assert other["commandId"] != first["commandId"]


async def test_another_body_path_or_query_is_another_fingerprint(served: Served) -> None:
    first = await post_keyed(served, "k")
    for other in (
        await post_keyed(served, "k", body=BASKET | {"gift": True}),
        await post_keyed(served, "k", path="/api/trial/keyed/2"),
        await post_keyed(served, "k", path="/api/trial/keyed/1?x=1"),
    ):
        assert other["commandId"] == first["commandId"]
        assert other["fingerprint"] != first["fingerprint"]


async def test_without_a_key_each_is_its_own(served: Served) -> None:
    first, second = await post_keyed(served, None), await post_keyed(served, None)
    assert first["clientSupplied"] is False
    assert first["commandId"] != second["commandId"]


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb"])
async def test_an_odd_key_is_refused(served: Served, key: str) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    answer = await served.http.post("/api/trial/bare", headers=headers)
    assert fields(answer) == ["Idempotency-Key"]


async def test_a_mounted_application_makes_the_same_commands(
    served: Served, embedded: Settings
) -> None:
    auth = bearer(served, Role.CUSTOMER)
    whole = await post_keyed(served, "k", auth=auth)
    async with serving(embedded, ALL, create={"mounted": trial.capability}) as mounted:
        transport = httpx2.ASGITransport(mounted.app, root_path="/api/trial")
        async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http:
            headers = auth | {"Idempotency-Key": "k"}
            answer = await http.post("/api/trial/keyed/1", json=BASKET, headers=headers)
            assert answer.json()["data"] == whole
            problem(await http.get("/api/trial/nowhere"), 404, "not_found")
            problem(await http.get("/openapi.json"), 404, "not_found")


async def test_a_lean_route_shares_everything(embedded: Settings) -> None:
    async def lean(context: RequestContext, body: bytes) -> Answer:
        if body == b"no":
            raise ValueError(trial.SECRET)
        key = key_of(context, body, context.idempotency_key)
        return Answer(200, json.dumps({"data": {"commandId": str(key.command_id)}}).encode())

    async with serving(embedded, ALL) as plain:
        auth = bearer(plain, Role.CUSTOMER)
        twin = await post_keyed(plain, "k", path="/api/trial/bare", auth=auth)
    table = {("POST", "/api/trial/bare"): lean}
    async with serving(embedded, ALL, create={"lean": table, "max_body_bytes": 200}) as served:
        found = await post_keyed(served, "k", path="/api/trial/bare", auth=auth)
        assert found["commandId"] == twin["commandId"]
        url, kind = "/api/trial/bare", {"Content-Type": "application/json", **auth}
        failed = await served.http.post(url, content=b"no", headers=kind)
        problem(failed, 500, "internal_error")
        big = await served.http.post(url, content=b"x" * 201, headers=kind)
        problem(big, 413, "payload_too_large")
        problem(await served.http.get(url), 405, "method_not_allowed")
