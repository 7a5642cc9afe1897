"""The edge over a real socket: clients that stream, stall and hang up."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import uvicorn

from core.settings import Settings
from core.telemetry import REQUESTS
from gateway.entrance import CLIENT_GONE
from tests.api.gateway import trial
from tests.api.harness import BASE, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
BASKET = {"lines": [{"productId": "01a1f834-14e8-728c-ad00-07d2f4ba597c", "quantity": 1}]}
BODY = json.dumps(BASKET).encode()
HEAD = b"POST /api/trial/basket HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(embedded: Settings) -> AsyncIterator[int]:
    settings = embedded.model_copy(update={"rate_limit": "off"})
    create = {"max_body_bytes": 1000}
    async with serving(settings, (*BASE, trial.capability), create=create) as served:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(served.app, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = server.force_exit = True  # some handlers still serve nobody
        await task


@asynccontextmanager
async def connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()


async def answer(
    reader: asyncio.StreamReader, *, has_body: bool = True
) -> tuple[int, dict[bytes, bytes], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in lines[1:] if line)
    }
    length = int(headers.get(b"content-length", b"0"))
    body = await reader.readexactly(length if has_body else 0)
    return int(lines[0].split()[1]), headers, body


async def alive(port: int) -> None:
    async with connection(port) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await answer(reader))[0] == 200


async def test_one_connection_carries_refusals_and_answers(port: int) -> None:
    async with connection(port) as (reader, writer):
        for body, status in ((BODY, 200), (b"{", 400), (BODY, 200), (b"[]", 400), (BODY, 200)):
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert (await answer(reader))[0] == status


async def test_a_head_is_answered_as_a_get_without_its_body(port: int) -> None:
    """On one connection: a body would be read as the next answer."""
    async with connection(port) as (reader, writer):
        for path in (b"/health", b"/.well-known/jwks.json", b"/api/auth/me", b"/nothing"):
            told = []
            for method in (b"GET", b"HEAD"):
                writer.write(method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                told.append(await answer(reader, has_body=method == b"GET"))
            for status, headers, _ in told:
                assert status in (200, 401, 404)
                del headers[b"x-request-id"], headers[b"date"]
            assert told[0][:2] == told[1][:2]
        writer.write(b"HEAD /api/trial/basket HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers, _ = await answer(reader, has_body=False)
        assert (status, headers[b"allow"]) == (405, b"POST")
        writer.write(b"DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers, _ = await answer(reader)
        assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
    await alive(port)


async def test_an_announced_length_is_refused_before_a_byte_of_it_came(port: int) -> None:
    async with connection(port) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 5000000000\r\n\r\n")
        status, headers, _ = await answer(reader)
        assert status == 413
        assert headers[b"connection"] == b"close"
        assert headers[b"content-type"] == b"application/problem+json"


async def test_a_stream_without_an_end_is_cut(port: int) -> None:
    async with connection(port) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            writer.write(b"64\r\n" + b" " * 100 + b"\r\n")
        assert (await answer(reader))[0] == 413


async def test_whoever_hangs_up_in_mid_body_disturbs_nobody(port: int) -> None:
    for _ in range(20):
        async with connection(port) as (_, writer):
            writer.write(HEAD + b"Content-Length: 500\r\n\r\n" + BODY[:10])
            await writer.drain()
    await alive(port)


async def test_whoever_hangs_up_while_waiting_disturbs_nobody(port: int) -> None:
    for _ in range(20):
        async with connection(port) as (_, writer):
            writer.write(b"GET /api/trial/slow HTTP/1.1\r\nHost: a\r\n\r\n")
            await writer.drain()
            writer.transport.abort()
    await alive(port)


async def test_a_request_that_is_cancelled_is_told_to_come_again(port: int) -> None:
    """As all that are under way when a server has to leave; a client that hung up hears nothing."""
    async with connection(port) as (reader, writer):
        writer.write(b"GET /api/trial/cancelled HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers, _ = await answer(reader)
    assert status == 503
    assert headers[b"content-type"] == b"application/problem+json"
    gone = REQUESTS.labels("GET", "/api/trial/cancelled", str(CLIENT_GONE))
    assert gone._value.get() == 1


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-Id: " + b"\xff" * 20,
        b"Authorization: Bearer \xff\xfe",
        b"Idempotency-Key: \xff",
        b"X-Forwarded-For: \xff",
        b"Content-Length: 0\r\nContent-Length: 1",
        b"Cookie: " + b"x" * 4000,
    ],
)
async def test_odd_bytes_in_headers_are_the_client_s_fault(port: int, header: bytes) -> None:
    async with connection(port) as (reader, writer):
        writer.write(
            b"POST /api/trial/bare HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            + header
            + b"\r\n\r\n"
        )
        status = int((await reader.readline()).split()[1])
        assert status < 500
    await alive(port)
