"""One application behind two servers on sockets of their own: one answers lean routes from its
parser, the other takes everything uvicorn's way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import uvicorn
from ray.serve._private.http_util import RequestIdMiddleware

from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import lean_handlers
from gateway.app import create_app
from gateway.doorstep import Doorstep
from gateway.lean_protocol import LeanDoor, LeanProtocol
from tests.api.in_process import in_process
from tests.api.shop import Shop, open_till

ORIGIN = "https://shop.example"


@dataclass
class Taken:
    """What the lean way does: how many it has taken, how many of these are under way now. With
    `full` it takes none."""

    count: int = 0
    under_way: int = 0
    full: bool = False
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[None]:
        self.count += 1
        self.under_way += 1
        self.begun.set()
        try:
            yield
        finally:
            self.under_way -= 1


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: str
    closed: bool


@dataclass
class Servers:
    shop: Shop
    app: Any
    taken: Taken
    lean: uvicorn.Server
    usual: uvicorn.Server

    @property
    def door(self) -> LeanDoor:
        protocol: Any = self.lean.config.http
        [door] = protocol.args
        return cast(LeanDoor, door)

    @property
    def both(self) -> tuple[uvicorn.Server, uvicorn.Server]:
        return self.lean, self.usual

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """A plain request of the owner's, as bytes. Headers of `headers` take the place of its."""
        plain = {
            "Host": "a",
            **self.shop.owner.auth,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        given = (plain | dict(headers or {})).items()
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    async def reserve(self, stock: int = 5, **headers: str) -> bytes:
        """One that reserves one of a new product."""
        product = await self.shop.goods(2.5, stock)
        return self.post("/api/inventory/reserve", reservation(product), headers)


def reservation(product: str, quantity: int = 1) -> bytes:
    return f'{{"productId":"{product}","quantity":{quantity}}}'.encode()


@asynccontextmanager
async def servers(settings: Settings, **rest: Any) -> AsyncIterator[Servers]:
    """`rest` goes to `in_process`."""
    async with (
        in_process(settings.model_copy(update={"cors_origins": ORIGIN}), **rest) as here,
        open_till(here) as shop,
    ):
        resources: Any = shop.served.resources
        handlers = lean_handlers(CAPABILITIES, resources)
        app = create_app(resources.settings, CAPABILITIES, resources, lean=handlers)
        taken = Taken()
        async with lean_server(app, taken) as lean, _server(app, "httptools") as usual:
            yield Servers(shop, app, taken, lean, usual)


def lean_server(app: Any, taken: Taken) -> AbstractAsyncContextManager[uvicorn.Server]:
    door = LeanDoor(app.state.entrance, lambda: taken.full, taken.counted)
    return _server(app, partial(LeanProtocol, door))


@asynccontextmanager
async def _server(app: Any, protocol: Any) -> AsyncIterator[uvicorn.Server]:
    """As Serve runs it, but for Serve."""
    around = Doorstep(RequestIdMiddleware(app))
    options: dict[str, Any] = {"lifespan": "off", "log_config": None, "access_log": False}
    server = uvicorn.Server(uvicorn.Config(around, http=protocol, **options))
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve([listener]))
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def connection(
    server: uvicorn.Server,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()


async def reply_from(reader: asyncio.StreamReader) -> Reply:
    """The next answer of a connection, chunked or not."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.partition(": ")[::2] for line in head[1:] if line]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs), "a header came twice"
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    closes = headers.get("connection") == "close"
    if closes:
        assert await reader.read() == b""
    return Reply(int(head[0].split()[1]), headers, body.decode(), closes)


async def one_reply(server: uvicorn.Server, raw: bytes) -> Reply:
    async with connection(server) as (reader, writer):
        writer.write(raw)
        return await reply_from(reader)
