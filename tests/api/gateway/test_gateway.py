"""The edge around every route: what it adds, what it refuses, and how it says so."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from core.telemetry import REGISTRY
from gateway import docs, middleware
from gateway.errors import PROBLEM_JSON
from tests.api.gateway.gateway_kit import (
    ALL,
    BASKET,
    PRODUCT,
    bearer,
    fields,
    problem,
)
from tests.api.harness import Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


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

    route = "/api/trial/keyed/{thing}"
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
    answer = await served.http.get("/api/trial/staff", headers=headers)
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
    assert fields(await served.http.post(f"{path}/x", json=BASKET)) == ["thing"]
    assert fields(await served.http.post(f"{path}/%00", json=BASKET)) == ["path"]


async def test_what_is_not_there(served: Served) -> None:
    for path in ("/nowhere", "/api/trial", "/api/trial/open/", "//", "/docs/../keys"):
        problem(await served.http.get(path), 404, "not_found")
    refused = await served.http.delete("/api/trial/open")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD"
    both = await served.http.put("/api/trial/page")
    assert both.headers["allow"] == "DELETE, GET, HEAD"
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


# What is written about it ---------------------------------------------------------------------


async def test_the_openapi_document_is_true_to_the_routes(served: Served) -> None:
    document = (await served.http.get("/openapi.json")).json()
    paths = document["paths"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert "Problem" in document["components"]["schemas"]
    keyed = paths["/api/trial/keyed/{thing}"]["post"]
    assert set(keyed["responses"]) == {
        "200", "400", "404", "408", "413", "415", "422", "429", "503",
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


async def test_others_are_served_while_the_openapi_document_is_made(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, others_were_served, made = threading.Event(), threading.Event(), 0

    def slowly(routes: Sequence[BaseRoute]) -> dict[str, Any]:
        nonlocal made
        made += 1
        begun.set()
        return {"others": others_were_served.wait(5)}

    monkeypatch.setattr(docs, "describe", slowly)
    app = Starlette(routes=docs.documentation([]))
    monkeypatch.setattr(docs, "_charge", lambda request, template: None)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://holdfast"
    ) as http:
        hangs_up, *both = [asyncio.create_task(http.get("/openapi.json")) for _ in range(3)]
        await asyncio.to_thread(begun.wait, 5)
        hangs_up.cancel()
        assert (await served.http.get("/health")).status_code == 200
        others_were_served.set()
        assert [(await task).json() for task in both] == [{"others": True}] * 2
    assert made == 1


async def test_the_documentation_needs_no_other_server(served: Served) -> None:
    page = await served.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "start.js"):
        assert f"/docs/{name}" in page.text
        assert (await served.http.get(f"/docs/{name}")).status_code == 200
    problem(await served.http.get("/docs/redoc.standalone.js"), 404, "not_found")
