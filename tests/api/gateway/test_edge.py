"""The edge of a running copy, through HAProxy and Serve: what every answer has, in both layouts."""

from __future__ import annotations

import asyncio
import re
import time
from importlib.metadata import version

import httpx2
import jwt
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.ids import uuid7
from core.principal import Role
from gateway.tokens import ALGORITHM, AUDIENCE, ISSUER
from tests.api.shop import Shop, done, problem
from tests.stack import CORS_ORIGIN, Stack

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
EVERYWHERE = ["/health", "/api/products", f"/api/inventory/{uuid7()}", "/nothing", "/api/auth/me"]
METRICS = {
    "holdfast_http_requests",
    "holdfast_http_request_duration_seconds",
    "holdfast_commands",
    "holdfast_batch_commands",
    "holdfast_commit_seconds",
    "holdfast_mailbox_depth",
    "holdfast_shards_owned",
}
OUTCOMES = {("AddStock", "DONE"), ("Reserve", "DONE"), ("Reserve", "REFUSED")}
PUBLISHED_WITHIN_SECONDS = 60


async def test_it_is_alive_and_ready(stack: Stack) -> None:
    async with stack.client() as http:
        alive = done(await http.get("/health"))
        assert alive == {"status": "ok", "version": version("holdfast")}
        ready = done(await http.get("/ready"))
        assert ready["status"] == "ready"
        checks = ("postgres", "schema", "redis", "keeper", "hosts", "disk")
        assert ready["checks"] == dict.fromkeys(checks, "ok")


async def test_metrics_are_those_of_all_processes(shop: Shop) -> None:
    deadline = time.monotonic() + PUBLISHED_WITHIN_SECONDS
    lacking: list[str] = ["everything"]
    while lacking:
        assert time.monotonic() < deadline, lacking
        # Each time anew: what a process has counted ends with it, and a busy machine's hosts may.
        product = await shop.product(1)
        for _ in range(5):
            await shop.owner.post("/api/inventory/reserve", {"productId": product, "quantity": 1})
        await asyncio.sleep(0.2)
        answer = await shop.owner.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        lacking = _lacking(answer.text, shop.stack)
    # One TYPE per family, and the labels of a route, never of an id.
    assert answer.text.count("# TYPE holdfast_http_requests_total ") == 1
    assert product not in answer.text


def _lacking(text: str, stack: Stack) -> list[str]:
    """What metrics do not tell yet: right after a start, or after a process came anew, some of it
    is on its way."""
    families = {f.name: f for f in text_string_to_metric_families(text)}
    processes = {s.labels["process"] for f in families.values() for s in f.samples}
    hosts = [name for name in processes if name.startswith("shard-host-")]
    replicas = [name.split("-")[1] for name in processes if name.startswith("replica-")]
    commands = families.get("holdfast_commands")
    told = [sample.labels for sample in commands.samples] if commands else []
    owned = families.get("holdfast_shards_owned")
    shards = sum(sample.value for sample in owned.samples) if owned else 0
    layout = ["api"] if stack.layout == "single" else ["api", "inventory"]
    found = {
        f"figures: {sorted(families)}": families.keys() >= METRICS,
        f"outcomes: {told}": {(sample["command"], sample["outcome"]) for sample in told}
        >= OUTCOMES,
        f"processes: {sorted(processes)}": len(hosts) == stack.settings.hosts
        and "keeper" in processes
        and sorted(replicas) == sorted(layout * stack.settings.replicas),
        f"shards: {shards}": shards == stack.settings.shards,
    }
    return [what for what, is_there in found.items() if not is_there]


async def test_the_documentation_needs_nothing_from_elsewhere(stack: Stack) -> None:
    async with stack.client() as http:
        page = await http.get("/docs")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert links
        for link in links:
            assert link.startswith("/docs/")
            found = await http.get(link)
            assert found.status_code == 200
            assert len(found.content) > 50
        assert "http://" not in page.text
        assert "https://" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        problem(await http.get("/docs/../../etc/passwd"), 404)
        problem(await http.get("/docs/nothing.js"), 404)


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_answer_has_the_security_headers(stack: Stack, path: str) -> None:
    async with stack.client() as http:
        answer = await http.get(path)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers.get_list(name) == [value]
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_a_request_id_comes_back_once(stack: Stack, path: str) -> None:
    async with stack.client() as http:
        given = await http.get(path, headers={"X-Request-Id": "order-7.a_b"})
        assert given.headers.get_list("x-request-id") == ["order-7.a_b"]
        made = [(await http.get(path)).headers.get_list("x-request-id") for _ in range(2)]
        assert [len(ids) for ids in made] == [1, 1]
        assert made[0] != made[1]
        for bad in (b"a b", b"a" * 129, b"\xff", b"", b"<script>"):
            answer = await http.get(path, headers=[(b"X-Request-Id", bad)])
            [found] = answer.headers.get_list("x-request-id")
            assert re.fullmatch("[0-9a-f-]{36}", found)
            if answer.status_code >= 400:
                assert answer.json()["requestId"] == found


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/products/",
        "/api/inventory",
        "/api/inventory/",
        "/api/inventory//",
        "/api/inventory/a/b/c",
        "/api/inventoryx",
        "/api/inventory/reservations/",
        "//health",
    ],
)
async def test_nothing_is_there_but_a_problem(stack: Stack, path: str) -> None:
    async with stack.client() as http:
        for method in ("GET", "POST", "DELETE"):
            request = httpx2.Request(method, stack.url + "/")
            request.url = request.url.copy_with(raw_path=path.encode())
            answer = await http.send(request)
            problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/health", "GET"),
        ("GET", "/api/auth/login", "POST"),
        ("PATCH", "/api/products", "GET"),
        ("DELETE", "/api/inventory/reserve", "POST"),
        ("PUT", "/api/inventory/adjustments", "POST"),
        ("POST", "/api/inventory/status/low-stock", "GET"),
        ("TRACE", "/api/inventory/reserve", "POST"),
    ],
)
async def test_another_method_is_a_405(stack: Stack, method: str, path: str, allowed: str) -> None:
    async with stack.client() as http:
        answer = await http.request(method, path)
        problem(answer, 405, "method_not_allowed")
        assert allowed in answer.headers["allow"]


async def test_a_browser_elsewhere_may_call_if_its_origin_is_named(stack: Stack) -> None:
    async with stack.client() as http:
        for path in ("/api/products", "/api/inventory/reserve", "/api/auth/me"):
            answer = await http.options(
                path,
                headers={
                    "Origin": CORS_ORIGIN,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization, idempotency-key",
                },
            )
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == CORS_ORIGIN
            assert "idempotency-key" in answer.headers["access-control-allow-headers"].lower()
            for origin, allowed in ((CORS_ORIGIN, CORS_ORIGIN), ("https://evil.example", None)):
                # A refusal too: a page has to be able to read why.
                answer = await http.get(path, headers={"Origin": origin})
                assert answer.headers.get("access-control-allow-origin") == allowed
        exposed = (await http.get("/api/products", headers={"Origin": CORS_ORIGIN})).headers
        named = set(exposed["access-control-expose-headers"].split(", "))
        assert {"X-Holdfast-Receipt", "Retry-After", "Link"} <= named
        answers = [
            answer
            for methods in (await http.get("/openapi.json")).json()["paths"].values()
            for operation in methods.values()
            for answer in operation["responses"].values()
        ]
        assert {name for answer in answers for name in answer.get("headers", ())} <= named


async def test_anyone_can_verify_a_token_with_the_public_keys(shop: Shop) -> None:
    email = f"{uuid7()}@shop.test"
    person = {"name": "Ann", "email": email, "password": "secret-1", "role": "vendor"}
    made = done(await shop.owner.post("/api/auth/register", person))
    login = await shop.owner.post("/api/auth/login", {"email": email, "password": "secret-1"})
    token = login.json()["token"]
    for path in ("/.well-known/jwks.json", "/api/auth/jwks"):
        keys = jwt.PyJWKSet.from_dict((await shop.owner.get(path)).json())
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER)
        assert (claims["sub"], claims["tenant_id"]) == (made["id"], made["tenantId"])
        assert claims["business_id"] == claims["tenant_id"]
        assert claims["role"] == login.json()["user"]["role"]


async def test_a_session_that_ended_is_over_everywhere(shop: Shop) -> None:
    """On every replica, within seconds."""
    someone = await shop.caller(Role.MANAGER)
    assert (await someone.get("/api/auth/me")).status_code == 200
    assert (await someone.post("/api/auth/logout")).status_code == 200
    async with asyncio.timeout(10):
        while True:
            tries = [await someone.get("/api/auth/me") for _ in range(12)]
            tries += [await someone.get("/api/inventory/reservations") for _ in range(12)]
            if {answer.status_code for answer in tries} == {401}:
                break
            await asyncio.sleep(0.2)
