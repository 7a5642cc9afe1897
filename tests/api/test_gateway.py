"""The edge around every route: what it adds, what it refuses, and how it says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from core.telemetry import REGISTRY
from gateway import middleware
from gateway.context import RequestContext
from gateway.errors import PROBLEM_JSON
from gateway.idempotency import key_of
from gateway.middleware import Answer
from gateway.rate_limit import Limits
from tests.api import trial
from tests.api.harness import BASE, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = (*BASE, trial.capability)
PRODUCT = "01a1f834-14e8-728c-ad00-07d2f4ba597c"
BASKET = {"lines": [{"productId": PRODUCT, "quantity": 1}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(embedded: Settings) -> AsyncIterator[Served]:
    settings = embedded.model_copy(update={"rate_limit": "off"})
    async with serving(settings, ALL) as one:
        yield one


def bearer(served: Served, role: Role, tenant: UUID | None = None) -> dict[str, str]:
    token = served.resources.edge.tokens.issue(uuid7(), role, tenant, uuid7())
    return {"Authorization": f"Bearer {token}"}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The document of a refusal, which must have the shape that all refusals have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    document: dict[str, Any] = answer.json()
    assert document["success"] is False
    assert (document["status"], document["code"]) == (status, code)
    assert document["requestId"] == answer.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return document


def fields(answer: httpx.Response) -> list[str]:
    return [item["field"] for item in problem(answer, 400, "validation_failed")["errors"]]


# What every answer has ------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc-123", "A.b_c-" + "x" * 100])
async def test_a_request_id_is_taken_and_given_back(served: Served, given: str) -> None:
    answer = await served.http.get("/api/trial/logged", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["data"]["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", '{"a":1}', "ä"])
async def test_an_odd_request_id_is_replaced(served: Served, given: str) -> None:
    headers = [(b"X-Request-Id", given.encode("latin-1"))]
    answer = await served.http.get("/api/trial/logged", headers=headers)
    assert UUID(answer.headers["x-request-id"]).version == 7


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/trial/explode"])
async def test_every_answer_has_the_security_headers(served: Served, path: str) -> None:
    headers = (await served.http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


async def test_requests_are_counted_by_template(served: Served) -> None:
    def count(route: str, status: str, method: str = "POST") -> float:
        labels = {"method": method, "route": route, "status": status}
        return REGISTRY.get_sample_value("holdfast_http_requests_total", labels) or 0

    route = "/api/trial/keyed/{thing_id}"
    before, lost = count(route, "200"), count("unmatched", "404", "GET")
    for number in range(3):
        await served.http.post(f"/api/trial/keyed/{number}", json=BASKET)
        await served.http.get(f"/nowhere/{number}")
    assert count(route, "200") == before + 3
    assert count("unmatched", "404", "GET") == lost + 3


async def test_cors(embedded: Settings) -> None:
    settings = embedded.model_copy(update={"cors_origins": "https://shop.test, https://b.test"})
    async with serving(settings, ALL) as served:
        headers = {"Origin": "https://shop.test"}
        refused = await served.http.get("/api/trial/staff", headers=headers)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://shop.test"
        assert "X-Request-Id" in refused.headers["access-control-expose-headers"]
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key, content-type",
        }
        preflight = await served.http.options("/api/trial/basket", headers=headers | asked)
        assert preflight.status_code == 200
        other = await served.http.get("/health", headers={"Origin": "https://evil.test"})
        assert "access-control-allow-origin" not in other.headers


# Who may --------------------------------------------------------------------------------------


async def test_access_is_checked_before_the_body_is_read(served: Served) -> None:
    bad = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    problem(await served.http.post("/api/trial/management", **bad), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("role", "tenant", "path", "status"),
    [
        (Role.CASHIER, True, "/api/trial/staff", 200),
        (Role.VENDOR, True, "/api/trial/staff", 200),
        (Role.CUSTOMER, False, "/api/trial/staff", 403),
        (Role.ADMIN, False, "/api/trial/staff", 403),
        (Role.MANAGER, False, "/api/trial/staff", 403),  # acts for no business
        (Role.CUSTOMER, False, "/api/trial/shoppers", 200),
        (Role.OWNER, True, "/api/trial/shoppers", 403),
        (Role.CUSTOMER, False, "/api/trial/open", 200),
    ],
)
async def test_roles(served: Served, role: Role, tenant: bool, path: str, status: int) -> None:
    headers = bearer(served, role, uuid7() if tenant else None)
    answer = await served.http.get(path, headers=headers)
    assert answer.status_code == status
    if status == 403:
        problem(answer, 403, "forbidden")


@pytest.mark.parametrize("value", ["Bearer nonsense", "Basic YTpi", "Bearer", "", "Bearer hfk_x"])
async def test_bad_credentials_stop_nobody_where_none_are_needed(
    served: Served, value: str
) -> None:
    headers = {"Authorization": value}
    open_to_all = await served.http.get("/api/trial/open", headers=headers)
    assert open_to_all.json()["data"] == {
        "principal": "ip:203.0.113.7",
        "role": "anonymous",
        "tenantId": None,
    }
    closed = await served.http.get("/api/trial/staff", headers=headers)
    problem(closed, 401, "unauthenticated")
    assert closed.headers["www-authenticate"] == "Bearer"


async def test_the_tenant_comes_from_the_token_alone(served: Served) -> None:
    tenant = uuid7()
    headers = bearer(served, Role.MANAGER, tenant) | {"X-Tenant-Id": str(uuid7())}
    answer = await served.http.get(f"/api/trial/staff?tenantId={uuid7()}", headers=headers)
    assert answer.json()["data"]["tenantId"] == str(tenant)
    refused = await served.http.post(
        "/api/trial/management", headers=headers, json=BASKET | {"tenantId": str(uuid7())}
    )
    assert fields(refused) == ["tenantId"]


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"productId": PRODUCT, "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"productId": PRODUCT, "quantity": "1"}]}, "lines[0].quantity"),
        ({"lines": [{"productId": PRODUCT, "quantity": True}]}, "lines[0].quantity"),
        ({"lines": [{"productId": PRODUCT, "quantity": 1.5}]}, "lines[0].quantity"),
        ({"lines": [{"productId": PRODUCT, "quantity": 10**400}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "x", "quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"quantity": 1}]}, "lines[0].productId"),
        ({"lines": [BASKET["lines"][0]] * 6}, "lines"),
        ({"lines": {"0": 1}}, "lines"),
        ({"note": "x" * 101}, "note"),
        ({"note": "a\u0000b"}, "note"),
        ({"note": "\ud800"}, "note"),
        ({"note": None}, "note"),
        ({"price": "19.99"}, "price"),
        ({"price": -1}, "price"),
        ({"price": 10**13}, "price"),
        ({"gift": 1}, "gift"),
        ({"gift": "true"}, "gift"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_bad_field_is_named(served: Served, change: dict[str, Any], field: str) -> None:
    content = json.dumps(BASKET | change).encode()
    answer = await served.http.post(
        "/api/trial/basket", content=content, headers={"Content-Type": "application/json"}
    )
    assert fields(answer) == [field]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"{}{}", b'{"lines": NaN}'])
async def test_a_bad_body_is_a_400(served: Served, content: bytes) -> None:
    answer = await served.http.post(
        "/api/trial/basket", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROBLEM_JSON


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_read(served: Served, headers: dict[str, str]) -> None:
    answer = await served.http.post(
        "/api/trial/basket", content=json.dumps(BASKET), headers=headers
    )
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.x+json"])
async def test_kinds_of_json(served: Served, kind: str) -> None:
    answer = await served.http.post(
        "/api/trial/basket", content=json.dumps(BASKET), headers={"Content-Type": kind}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=10001", "page"),
        ("limit=101", "limit"),
        ("limit=1&unknown=2", "unknown"),
        ("page=" + "9" * 5000, "page"),
        ("page=%00", "page"),
        ("q=%00", "q"),
        ("%00=1", "query"),
    ],
)
async def test_a_bad_query_is_named(served: Served, query: str, field: str) -> None:
    assert fields(await served.http.get(f"/api/trial/page?{query}")) == [field]


async def test_a_bad_path_is_named(served: Served) -> None:
    path = "/api/trial/keyed"
    assert fields(await served.http.post(f"{path}/x", json=BASKET)) == ["thing_id"]
    assert fields(await served.http.post(f"{path}/%00", json=BASKET)) == ["path"]


async def test_what_is_not_there(served: Served) -> None:
    for path in ("/nowhere", "/api/trial", "/api/trial/open/", "//", "/docs/../keys"):
        problem(await served.http.get(path), 404, "not_found")
    refused = await served.http.delete("/api/trial/open")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET"
    both = await served.http.put("/api/trial/page")
    assert both.headers["allow"] == "DELETE, GET"
    problem(await served.http.request("BREW", "/api/trial/open"), 405, "method_not_allowed")


async def test_a_header_that_must_be_single_is_given_twice(served: Served) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    problem(await served.http.post("/api/trial/bare", headers=headers), 400, "bad_request")


async def test_a_body_that_is_too_large(embedded: Settings) -> None:
    async with serving(embedded, ALL, create={"max_body_bytes": 100}) as served:
        big = json.dumps(BASKET | {"note": "x" * 100}).encode()
        kind = {"Content-Type": "application/json"}
        announced = await served.http.post("/api/trial/basket", content=big, headers=kind)
        problem(announced, 413, "payload_too_large")

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(big), 10):
                yield big[start : start + 10]

        streamed = await served.http.post("/api/trial/basket", content=pieces(), headers=kind)
        problem(streamed, 413, "payload_too_large")


async def test_a_refusal_carries_its_facts(served: Served) -> None:
    document = problem(await served.http.get("/api/trial/conflict"), 409, "conflict")
    assert document["available"] == 3


async def test_what_nobody_foresaw_leaks_nothing(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await served.http.get("/api/trial/explode")
    problem(answer, 500, "internal_error")
    assert "hunter2" not in answer.text
    assert answer.headers["x-request-id"] in "".join(capfd.readouterr())


async def test_what_takes_too_long_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "DEADLINE_MS", 50)
    answer = await served.http.get("/api/trial/slow")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


# Idempotency keys -----------------------------------------------------------------------------


async def post_keyed(
    served: Served,
    key: str | None,
    *,
    body: dict[str, Any] | None = None,
    path: str = "/api/trial/keyed/1",
    auth: dict[str, str] | None = None,
) -> dict[str, Any]:
    headers = (auth or {}) | ({} if key is None else {"Idempotency-Key": key})
    answer = await served.http.post(path, json=body or BASKET, headers=headers)
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
        transport = httpx.ASGITransport(mounted.app, root_path="/api/trial")
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
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
        url, kind = "/api/trial/bare", {"Content-Type": "application/json"}
        failed = await served.http.post(url, content=b"no", headers=kind)
        problem(failed, 500, "internal_error")
        big = await served.http.post(url, content=b"x" * 201, headers=kind)
        problem(big, 413, "payload_too_large")
        problem(await served.http.get(url), 405, "method_not_allowed")


# Limits ---------------------------------------------------------------------------------------


async def test_a_caller_over_the_limit_is_told_to_wait(embedded: Settings) -> None:
    async with serving(embedded, ALL, limits=Limits(anonymous=1), peer="198.51.100.9") as served:
        answers = [await served.http.get("/api/trial/open") for _ in range(25)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 15
        problem(refused[0], 429, "rate_limited")
        assert int(refused[0].headers["retry-after"]) >= 1
        assert refused[0].headers["ratelimit-limit"] == "10"
        assert refused[0].headers["ratelimit-remaining"] == "0"
        assert (await served.http.get("/health")).status_code == 200
        known = await served.http.get("/api/trial/open", headers=bearer(served, Role.CUSTOMER))
        assert known.status_code == 429  # proving who one is counts against the address first


async def test_two_rounds_at_once_tell_once(embedded: Settings) -> None:
    limits = Limits(anonymous=2)
    async with (
        serving(embedded, ALL, limits=limits, peer="198.51.100.11") as one,
        serving(embedded, ALL, limits=limits, peer="198.51.100.11") as other,
    ):
        for _ in range(9):
            assert (await one.http.get("/api/trial/open")).status_code == 200
        limiter = one.resources.edge.limiter
        await asyncio.gather(limiter.reconcile(), limiter.reconcile(), limiter.reconcile())
        assert (await other.http.get("/api/trial/open")).status_code == 200
        await other.resources.edge.limiter.reconcile()
        passed = [(await other.http.get("/api/trial/open")).status_code for _ in range(15)]
        assert passed.count(200) == 10


async def test_replicas_share_a_limit(embedded: Settings) -> None:
    limits = Limits(anonymous=2)
    async with (
        serving(embedded, ALL, limits=limits, peer="198.51.100.10") as one,
        serving(embedded, ALL, limits=limits, peer="198.51.100.10") as other,
    ):
        for _ in range(15):
            assert (await one.http.get("/api/trial/open")).status_code == 200
        await one.resources.edge.limiter.reconcile()
        assert (await other.http.get("/api/trial/open")).status_code == 200
        await other.resources.edge.limiter.reconcile()
        passed = [(await other.http.get("/api/trial/open")).status_code for _ in range(10)]
        assert passed.count(200) == 4


async def test_a_dead_redis_takes_nothing_down(embedded: Settings) -> None:
    nowhere = "unix:///nowhere/redis.sock"
    async with serving(embedded, ALL, redis_url=nowhere, limits=Limits(anonymous=1)) as served:
        answers = [(await served.http.get("/api/trial/open")).status_code for _ in range(12)]
        assert answers == [200] * 10 + [429] * 2


# What is written about it ---------------------------------------------------------------------


async def test_the_openapi_document_is_true_to_the_routes(served: Served) -> None:
    document = (await served.http.get("/openapi.json")).json()
    paths = document["paths"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "Problem" in document["components"]["schemas"]
    keyed = paths["/api/trial/keyed/{thing_id}"]["post"]
    assert set(keyed["responses"]) == {
        "200", "400", "404", "413", "415", "422", "429", "503",
    }  # fmt: skip
    (header,) = (p for p in keyed["parameters"] if p["in"] == "header")
    assert header["name"] == "Idempotency-Key"
    assert header["schema"]["maxLength"] == 255
    assert "security" not in keyed
    closed = paths["/api/trial/management"]["post"]
    assert closed["security"] == [{"bearer": []}]
    assert {"401", "403"} <= set(closed["responses"])
    assert "409" in paths["/api/trial/conflict"]["get"]["responses"]
    for operations in paths.values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == [PROBLEM_JSON]


async def test_the_documentation_needs_no_other_server(served: Served) -> None:
    page = await served.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "start.js"):
        assert f"/docs/{name}" in page.text
        assert (await served.http.get(f"/docs/{name}")).status_code == 200
    problem(await served.http.get("/docs/redoc.standalone.js"), 404, "not_found")
