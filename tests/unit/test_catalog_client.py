"""A caller repeats what has no known outcome, under the same key, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import httpx2
import pytest

from cli.api.client import ApiError, Client, Unreachable, open_http

Answer = httpx2.Response | Exception


def caller(
    *answers: Answer, patience_seconds: float = 5, token: str | None = None
) -> tuple[Client, list[httpx2.Request]]:
    """A client of a server that gives these answers in turn, the last one permanently."""
    seen: list[httpx2.Request] = []

    def serve(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = answers[min(len(seen), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(serve))
    client = Client("http://h", http=http, token=token, patience_seconds=patience_seconds)
    return client, seen


def problem(status: int, **headers: str) -> httpx2.Response:
    body = {"code": "c", "detail": "d", "errors": [{"field": "price", "message": "is bad"}]}
    return httpx2.Response(status, json=body, headers=headers)


OK = httpx2.Response(200, content=b'{"data": 0.1}')


@pytest.mark.parametrize(
    "unknown",
    [
        httpx2.ReadError("reset"),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("hung up"),
        OSError("not connected"),
        AttributeError("'NoneType' object has no attribute 'getpeername'"),
        httpx2.Response(500, content=b"Internal Server Error"),
        httpx2.Response(502),
        httpx2.Response(404, content=b"Not Found"),
        problem(503, **{"Retry-After": "0"}),
        problem(429),
    ],
)
async def test_an_unknown_outcome_is_repeated_with_the_same_key(unknown: Answer) -> None:
    client, seen = caller(unknown, unknown, OK)
    assert await client.post("/x", {"price": Decimal("2.50")}) == {"data": Decimal("0.1")}
    keys = {request.headers["Idempotency-Key"] for request in seen}
    assert (len(seen), len(keys), client.repeats) == (3, 1, 2)
    assert {request.content for request in seen} == {b'{"price":2.50}'}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_a_refusal_is_not_repeated(status: int) -> None:
    client, seen = caller(problem(status))
    with pytest.raises(ApiError) as refused:
        await client.post("/x", {}, key="mine")
    assert (refused.value.status, refused.value.errors) == (status, [("price", "is bad")])
    assert [request.headers["Idempotency-Key"] for request in seen] == ["mine"]
    assert (await client.request("POST", "/x", body={})).status == status


async def test_patience_ends() -> None:
    client, seen = caller(httpx2.ReadError("reset"), patience_seconds=0.3)
    with pytest.raises(Unreachable, match="reset"):
        await client.get("/x")
    assert len(seen) > 1
    client, _ = caller(problem(503, **{"Retry-After": "60"}), patience_seconds=0.3)
    with pytest.raises(ApiError) as refused:
        await client.get("/x")
    assert refused.value.status == 503


async def test_the_server_says_when() -> None:
    client, _ = caller(problem(503, **{"Retry-After": "1"}), OK)
    start = asyncio.get_running_loop().time()
    await client.get("/x")
    assert asyncio.get_running_loop().time() - start >= 1


def signing_in(renewals: list[str]) -> Callable[[httpx2.Request], httpx2.Response]:
    """A server whose tokens t1, t2, ... expire after one use each by everyone."""

    def serve(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith("/api/auth"):
            assert "Idempotency-Key" not in request.headers
            renewals.append(request.url.path)
            token = f"t{len(renewals)}"
            body = {"token": token, "refreshToken": f"r-{token}", "user": {"id": "u"}}
            return httpx2.Response(200, json=body)
        latest = f"Bearer t{len(renewals)}"
        known = request.headers.get("Authorization") == latest and len(renewals) > 1
        return httpx2.Response(200, json={"data": 1}) if known else problem(401)

    return serve


async def test_an_expired_token_is_renewed_once_for_all() -> None:
    renewals: list[str] = []
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(signing_in(renewals)))
    client = Client("http://h/", http=http)
    assert (await client.login("a@b.c", "pw"))["id"] == "u"
    await asyncio.gather(*(client.get("/x") for _ in range(20)))
    assert renewals == ["/api/auth/login", "/api/auth/refresh"]


async def test_without_credentials_401_is_the_answer() -> None:
    client, seen = caller(problem(401), token="old")
    with pytest.raises(ApiError):
        await client.get("/x")
    assert len(seen) == 1


async def test_a_pool_is_shared_and_stays_open() -> None:
    async with open_http(4) as http:
        async with Client("http://h", http=http):
            pass
        assert not http.is_closed
    own = Client("http://h")
    async with own:
        pass
    assert own._http.is_closed
