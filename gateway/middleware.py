"""One pure-ASGI middleware around every request: the usual way in.

It is on the path of everything, so it does little and does it once: one pass over the headers,
one context, one wrapper around `send`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.background import is_cancelled
from core.errors import FieldError, HoldfastError, PayloadTooLarge, Unavailable, ValidationFailed
from core.telemetry import LOGGED
from gateway.bodies import SMALL_BODY_BYTES, BoundedBody
from gateway.context import DEADLINE_MS, RequestContext, attach, context_if_any
from gateway.doorstep import RETURNS_REQUEST_ID
from gateway.entrance import (
    CLIENT_GONE,
    COOKIE,
    Answer,
    Entrance,
    LeanHandler,
    RawHeaders,
    is_plain_json,
    pick,
)

MAX_BODY_BYTES = 1 << 20
# Of a caller that has proved nothing: no sign-in or registration is larger.
MAX_ANONYMOUS_BODY_BYTES = SMALL_BODY_BYTES
MAX_PATH_BYTES = 2_048
MAX_QUERY_BYTES = 8_192
MAX_PARAMETERS = 100
MAX_FAREWELL_SECONDS = 1.0


class EdgeMiddleware:
    """Wraps `app`, whose requests come in through `entrance`."""

    def __init__(
        self, app: ASGIApp, entrance: Entrance, max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._app = app
        self._entrance = entrance
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        headers = pick(scope["headers"])
        if COOKIE in headers:
            # No code here reads cookies, and Python's parser takes the square of their length.
            scope["headers"] = [header for header in scope["headers"] if header[0] != COOKIE]
        # The lean way has admitted a request before it leaves it to this one.
        admitted = context_if_any(scope)
        context = admitted or self._context(scope, headers)
        attach(scope, context)
        reply = _Reply(send, self._fixed_headers(scope, context))
        # Not unset at the end: each request is a task of its own.
        LOGGED.set(context)
        try:
            await self._serve(scope, receive, reply, context, headers, admit=admitted is None)
        finally:
            elapsed_s = time.perf_counter() - started_s
            self._entrance.log.record(context, reply.status or CLIENT_GONE, elapsed_s)

    def _fixed_headers(self, scope: Scope, context: RequestContext) -> RawHeaders:
        fixed = self._entrance.fixed_headers
        if RETURNS_REQUEST_ID in scope:
            return fixed
        return [*fixed, (b"x-request-id", context.request_id.encode())]

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        reply: _Reply,
        context: RequestContext,
        headers: dict[bytes, str],
        *,
        admit: bool,
    ) -> None:
        try:
            async with asyncio.timeout(DEADLINE_MS / 1000) as deadline:
                reply.deadline = deadline
                _refuse_unreadable(scope, context)
                if admit:
                    await self._entrance.admit(context, headers)
                with self._bounded(receive, headers, context) as body:
                    await body.check()
                    handler = self._entrance.lean.get((context.method, context.path))
                    is_known = not context.principal.is_anonymous  # otherwise the body is not read
                    if admit and handler is not None and is_known and is_plain_json(headers):
                        await self._try_lean(handler, scope, body, reply, context)
                    else:
                        await self._app(_as_get(scope), body.receive, reply.send)
        except ClientDisconnect:
            pass  # Nobody is left to answer.
        except asyncio.CancelledError:
            if is_cancelled():
                await self._leave(reply, context)
                raise
            await self._fail(reply, context, Unavailable())
        except Exception as error:  # the one place where nothing may escape
            await self._fail(reply, context, error)

    async def _try_lean(
        self,
        handler: LeanHandler,
        scope: Scope,
        body: BoundedBody,
        reply: _Reply,
        context: RequestContext,
    ) -> None:
        context.template = context.path
        whole = await body.read()
        answer = await handler(context, whole)
        if answer is None:
            await self._app(scope, body.again(whole), reply.send)
        else:
            await reply.answer(answer)

    def _bounded(
        self, receive: Receive, headers: dict[bytes, str], context: RequestContext
    ) -> BoundedBody:
        most_bytes = self._max_body_bytes
        refusal: HoldfastError | None = None
        if context.principal.is_anonymous:
            most_bytes = min(most_bytes, MAX_ANONYMOUS_BODY_BYTES)
            refusal = context.denied  # With a valid token it might have been accepted.
        refusal = refusal or PayloadTooLarge(f"The body may hold at most {most_bytes} bytes.")
        # All people and keys of a business are one caller here.
        caller = str(context.principal.tenant_id or context.principal.id)
        held = self._entrance.held
        return BoundedBody(receive, headers, most_bytes, refusal, held, caller)

    async def _leave(self, reply: _Reply, context: RequestContext) -> None:
        """The client is gone, or the server leaves and the client may ask again. Counted as gone,
        whichever it was."""
        if not reply.status:
            reply.deadline = None
            with suppress(OSError):
                async with asyncio.timeout(MAX_FAREWELL_SECONDS):
                    await reply.answer(self._entrance.problem(context, Unavailable()))
            reply.status = 0

    async def _fail(self, reply: _Reply, context: RequestContext, error: Exception) -> None:
        answer = self._entrance.problem(context, error)
        if reply.status:
            return  # Begun already: the server cuts the connection, and the client sees that.
        reply.deadline = None  # It has passed, or does not matter any more.
        await reply.answer(answer)

    def _context(self, scope: Scope, headers: dict[bytes, str]) -> RequestContext:
        peer = scope["client"][0] if scope.get("client") else None
        path = self._entrance.prefix + _relative_path(scope)
        return self._entrance.context(scope["method"], path, scope["query_string"], peer, headers)


class _Reply:
    """What goes back to the client: adds the headers that every answer has, notes the status.
    `status` is 0 until the answer has begun."""

    __slots__ = ("_fixed", "_send", "deadline", "status")

    def __init__(self, send: Send, fixed: RawHeaders) -> None:
        self._send = send
        self._fixed = fixed
        self.deadline: asyncio.Timeout | None = None
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name for name, _ in given}
            given += [header for header in self._fixed if header[0] not in names]
            message["headers"] = given
            if self.deadline is not None:
                # An answer that has begun may stream without a limit.
                self.deadline.reschedule(None)
                self.deadline = None
        await self._send(message)

    async def answer(self, answer: Answer) -> None:
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
        start: Message = {"type": "http.response.start", "status": answer.status}
        await self.send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": answer.body})


def _as_get(scope: Scope) -> Scope:
    """A HEAD is answered as a GET is; the server leaves the body out."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


def _relative_path(scope: Scope) -> str:
    """The path within the application. A server that mounts it says where in `root_path`, and
    leaves that in `path`."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _refuse_unreadable(scope: Scope, context: RequestContext) -> None:
    """Refuses an address that is longer than any of ours, or has a NUL character, which nothing
    that is stored has and Postgres does not take."""
    if len(context.path) > MAX_PATH_BYTES:
        raise ValidationFailed([FieldError("path", f"is longer than {MAX_PATH_BYTES} bytes")])
    if len(context.query) > MAX_QUERY_BYTES:
        raise ValidationFailed([FieldError("query", f"is longer than {MAX_QUERY_BYTES} bytes")])
    if context.query.count(b"&") >= MAX_PARAMETERS:
        message = f"has more than {MAX_PARAMETERS} parameters"
        raise ValidationFailed([FieldError("query", message)])
    if "\x00" in context.path:
        raise ValidationFailed([FieldError("path", "holds a NUL character")])
    if b"%00" in context.query:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        names = [name for name, value in pairs if "\x00" in value] or ["query"]
        raise ValidationFailed([FieldError(name, "holds a NUL character") for name in names])
