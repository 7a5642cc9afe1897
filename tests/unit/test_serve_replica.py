"""What Serve's replicas are kept from doing: fails when a new Ray does it in another place."""

from __future__ import annotations

import asyncio
import gc
import inspect
import socket
import struct
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import uvicorn.config
from ray.serve._private import replica as serve_replica
from ray.serve.config import HTTPOptions
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from deployments.serving.serve_replica import (
    forget_reset_connections,
    match_routes_once,
    serve_directly,
    speak_lean,
    tick_seldom,
)
from gateway.lean_protocol import LeanProtocol


async def _answer(request: Request) -> Response:
    return Response()


def _route_of(path: str) -> str:
    """What Serve's replica takes for the route of a request."""
    app = Starlette(routes=[Route("/things/{id}", _answer)])
    replica: Any = SimpleNamespace(_route_prefix="/", _user_callable_asgi_app=app)
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    found: str = serve_replica.Replica._determine_http_route(replica, scope)
    return found


def test_serve_does_not_look_for_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "get_asgi_route_name"
    monkeypatch.setattr(serve_replica, name, getattr(serve_replica, name))
    assert _route_of("/things/7") == "/things/{id}"
    match_routes_once()
    assert _route_of("/things/7") == "/"


class _Way:
    """A replica of Serve's that notes who was asked, and what was under way then."""

    def __init__(self, *, prefix: str = "/", full: bool = False) -> None:
        self._route_prefix = prefix
        self._semaphore = SimpleNamespace(locked=lambda: full)
        self.under_way = 0
        self.asked: list[tuple[str, str, int]] = []

    @asynccontextmanager
    async def _start_request(self, metadata: Any) -> AsyncIterator[None]:
        # What Serve goes by to count a request.
        assert metadata.is_direct_ingress
        assert metadata.protocol == "HTTP"
        assert not metadata._reserved_slot_token
        self.under_way += 1
        yield
        self.under_way -= 1

    async def _user_callable_asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(("application", scope["root_path"], self.under_way))

    async def serves(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(("serve", scope["root_path"], self.under_way))


@pytest.mark.parametrize(
    ("method", "path", "way", "expected"),
    [
        ("POST", "/things", _Way(), ("application", "", 1)),
        ("POST", "/things", _Way(prefix="/things"), ("application", "/things", 1)),
        ("POST", "/things", _Way(full=True), ("serve", "", 0)),
        ("GET", "/things", _Way(), ("serve", "", 0)),
        ("POST", "/things/7", _Way(), ("serve", "", 0)),
    ],
)
async def test_lean_routes_go_straight_to_the_application_and_are_counted(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    way: _Way,
    expected: tuple[str, str, int],
) -> None:
    kind = serve_replica.Replica
    assert hasattr(kind, "_start_request")  # Serve's own way of counting, which is gone through
    monkeypatch.setattr(kind, "_direct_ingress_asgi", _Way.serves)
    serve_directly({("POST", "/things")})
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}
    answer: Any = kind._direct_ingress_asgi
    await answer(way, scope, None, None)
    assert way.asked == [expected]
    assert way.under_way == 0


async def test_the_server_of_a_replica_speaks_lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through Serve's own start of a server: that one takes the protocol of the replica."""
    protocols = dict(uvicorn.config.HTTP_PROTOCOLS)
    monkeypatch.setattr(uvicorn.config, "HTTP_PROTOCOLS", protocols)
    name = "start_asgi_http_server"
    monkeypatch.setattr(serve_replica, name, getattr(serve_replica, name))
    speak_lean()
    replica = _Way(full=True)
    entrance = SimpleNamespace(fixed_headers=[], origins=[])
    replica.state = SimpleNamespace(entrance=entrance)  # type: ignore[attr-defined]
    monkeypatch.setattr(_Way, "_user_callable_asgi_app", replica)
    options = HTTPOptions(host="127.0.0.1", port=0)
    loop = asyncio.get_running_loop()
    task, server = await getattr(serve_replica, name)(replica.serves, options, event_loop=loop)
    while not server.started:
        await asyncio.sleep(0.01)
    protocol = server.config.http_protocol_class
    assert protocol.func is LeanProtocol
    [door] = protocol.args
    assert door.entrance is entrance
    async with door.under_way():
        assert replica.under_way == 1
    assert replica.under_way == 0
    server.should_exit = True
    await task
    # What a replica waits for before it leaves, and where it looks whether it is full.
    kind = serve_replica.Replica
    assert "_drain_ongoing_requests" in inspect.getsource(kind._perform_graceful_shutdown)
    assert "start_asgi_http_server(" in inspect.getsource(kind)


class _Noted(HttpToolsProtocol):
    """Remembers the last one, without keeping it."""

    last: weakref.ref[HttpToolsProtocol]

    def connection_made(self, transport: Any) -> None:
        _Noted.last = weakref.ref(self)
        super().connection_made(transport)


async def _is_held_after_a_reset() -> bool:
    """Whether a server still has a connection whose other end reset it after an answer."""
    config = uvicorn.Config(Starlette(routes=[Route("/", _answer)]), timeout_keep_alive=600)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Noted(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        resets = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, resets)
        writer.close()
        async with asyncio.timeout(10):
            while state.connections:
                await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    gc.collect()
    return _Noted.last() is not None


async def test_a_reset_connection_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpToolsProtocol, "connection_lost", HttpToolsProtocol.connection_lost)
    assert await _is_held_after_a_reset(), "the server does it by itself by now"
    forget_reset_connections()
    assert not await _is_held_after_a_reset()


async def test_the_server_looks_around_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "main_loop", uvicorn.Server.main_loop)
    tick_seldom()
    slept: list[float] = []
    ticks: list[int] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def on_tick(number: int) -> bool:
        ticks.append(number)
        return len(ticks) == 3

    monkeypatch.setattr("deployments.serving.serve_replica.asyncio.sleep", sleep)
    server = uvicorn.Server(uvicorn.Config(lambda: None))
    monkeypatch.setattr(server, "on_tick", on_tick)
    await server.main_loop()
    assert slept == [1.0, 1.0]
    assert all(number % 10 == 0 for number in ticks), "the date is written anew with each"
