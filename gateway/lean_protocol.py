"""The hottest routes straight from the HTTP parser: the lean way in.

uvicorn parses, queues pipelined requests and keeps time-outs, as usual. Only where it would start
its application for a lean route, the handler is called here, and the answer leaves in one write. A
request that is not plain, or that the handler leaves to its FastAPI twin, goes uvicorn's way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from core.background import is_cancelled
from core.errors import Unavailable
from core.telemetry import LOGGED
from core.time_limit import TimeLimit
from gateway.bodies import SMALL_BODY_BYTES
from gateway.context import DEADLINE_MS, RequestContext, attach
from gateway.entrance import (
    CLIENT_GONE,
    ODD,
    Answer,
    Entrance,
    LeanHandler,
    RawHeaders,
    is_plain_json,
    pick,
)

Headers = dict[bytes, str]


class LeanDoor:
    """What the connections of one server share. `is_full`: nothing more may be begun this way;
    `under_way`: counts a request as long as it is being answered."""

    def __init__(
        self,
        entrance: Entrance,
        is_full: Callable[[], bool],
        under_way: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self.entrance = entrance
        self.under_way = under_way
        self.limit = TimeLimit(DEADLINE_MS / 1000)
        self._is_full = is_full
        fixed = list(entrance.fixed_headers)
        if entrance.origins:
            fixed.append((b"vary", b"Origin"))  # as the CORS middleware answers without an origin
        self._fixed = _encoded(fixed) + b"x-request-id: "
        self._servers: RawHeaders = []
        self._servers_encoded = b""

    def handler(self, cycle: RequestResponseCycle) -> tuple[LeanHandler, Headers] | None:
        """The handler of a request, and the headers that are read; None for a request that is not
        plain."""
        scope = cycle.scope
        handler = self.entrance.lean.get((scope["method"], scope["path"]))
        if handler is None or scope["query_string"] or scope["http_version"] != "1.1":
            return None
        headers = pick(scope["headers"])
        if b"" in headers or not ODD.isdisjoint(headers) or not is_plain_json(headers):
            return None
        length = headers.get(b"content-length", "")
        if not length.isdecimal() or len(length) > 5 or int(length) > SMALL_BODY_BYTES:
            return None
        return None if self._is_full() else (handler, headers)

    def head(self, answer: Answer, servers: RawHeaders, request_id: str, keep: bool) -> bytes:
        """Status line and headers; `servers` are those that uvicorn adds to every answer."""
        if servers is not self._servers:  # uvicorn makes them anew each second, with the date
            self._servers, self._servers_encoded = servers, _encoded(servers)
        return b"%b%b%b%b%b\r\n%bcontent-length: %d\r\n\r\n" % (
            STATUS_LINE[answer.status],
            self._servers_encoded,
            _encoded(answer.headers),
            self._fixed,
            request_id.encode(),
            b"" if keep else b"connection: close\r\n",
            len(answer.body),
        )


class LeanProtocol(HttpToolsProtocol):
    """To be made by `functools.partial(LeanProtocol, door)` in the place of uvicorn's own."""

    def __init__(self, door: LeanDoor, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._door = door

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        found = self._door.handler(cycle) if app is self.app else None
        if found is None:
            super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]
            return
        # When the task runs, everything that came with the headers is parsed.
        task = self.loop.create_task(self._answer(cycle, *found))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(
        self, cycle: RequestResponseCycle, handler: LeanHandler, headers: Headers
    ) -> None:
        started_s = time.perf_counter()
        entrance, scope = self._door.entrance, cycle.scope
        peer = self.client[0] if self.client else None
        context = entrance.context(scope["method"], scope["path"], b"", peer, headers)
        context.template = context.path
        LOGGED.set(context)
        status = CLIENT_GONE
        try:
            async with self._door.under_way():
                answer = await self._decided(cycle, handler, headers, context)
                if answer is not None:
                    status = answer.status
                    await self._write(cycle, answer, context.request_id)
        except ClientDisconnect:
            pass  # Nobody is left to answer.
        except BaseException:
            # Also what was cancelled: the caller must not wait without end, and hears that it is
            # over.
            self.transport.close()
            raise
        else:
            if answer is None:
                await self._leave(cycle, context)
                return
        finally:
            # The cycle refers back to us: a closed connection would stay until the collector runs.
            cycle.on_response = _nothing
        entrance.log.record(context, status, time.perf_counter() - started_s)

    async def _decided(
        self,
        cycle: RequestResponseCycle,
        handler: LeanHandler,
        headers: Headers,
        context: RequestContext,
    ) -> Answer | None:
        entrance = self._door.entrance
        try:
            with self._door.limit.block():
                await entrance.admit(context, headers)
                if context.principal.is_anonymous:
                    return None  # It can be refused without its body.
                body = await _whole_body(cycle)
                # It is small: there is always room for one more.
                entrance.held.bytes += len(body)
                try:
                    return await handler(context, body)
                finally:
                    entrance.held.bytes -= len(body)
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return entrance.problem(context, Unavailable())
        except Exception as error:  # the one place where nothing may escape
            return entrance.problem(context, error)

    async def _write(self, cycle: RequestResponseCycle, answer: Answer, request_id: str) -> None:
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        if cycle.disconnected or self.transport.is_closing():
            return
        head = self._door.head(answer, cycle.default_headers, request_id, cycle.keep_alive)
        self.transport.write(head + answer.body)
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    async def _leave(self, cycle: RequestResponseCycle, context: RequestContext) -> None:
        """Leaves the request to uvicorn's way, as it came; it is not admitted again."""
        attach(cast(Scope, cycle.scope), context)
        cycle.scope["headers"] = [
            *cycle.scope["headers"],
            (b"x-request-id", context.request_id.encode()),
        ]
        cycle.message_event.set()
        await cycle.run_asgi(self.app)


async def _whole_body(cycle: RequestResponseCycle) -> bytes:
    """Raises ClientDisconnect."""
    while cycle.more_body:
        if cycle.disconnected:
            raise ClientDisconnect
        cycle.message_event.clear()
        await cycle.message_event.wait()
    return bytes(cycle.body)


def _nothing() -> None:
    pass


def _encoded(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
