"""One pure-ASGI middleware around every request: who, how fast, how much, and what came of it.

It is on the path of everything, so it does little and does it once: one pass over the headers,
one context, one wrapper around `send`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from core.clock import Clock
from core.errors import (
    BadRequest,
    FieldError,
    HoldfastError,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from core.ids import uuid7
from core.principal import Principal, Role
from core.settings import Settings
from gateway.access_log import AccessLog
from gateway.address import client_address
from gateway.bodies import BoundedBody, Held
from gateway.context import DEADLINE_MS, RequestContext, attach
from gateway.doorstep import RETURNS_REQUEST_ID
from gateway.edge import Edge
from gateway.errors import as_holdfast, render

MAX_BODY_BYTES = 1 << 20
# Of who has proved nothing: nobody signs in or registers with more.
MAX_ANONYMOUS_BODY_BYTES = 1 << 16
MAX_PATH_BYTES = 2_048
MAX_QUERY_BYTES = 8_192
MAX_PARAMETERS = 100
CLIENT_GONE = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# What a load balancer asks must not be refused because of others at the same address.
_UNLIMITED = frozenset({"/health", "/ready"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_ONCE = frozenset({b"authorization", b"idempotency-key", b"content-length", b"content-type"})
_COOKIE = b"cookie"
_READ = _ONCE | {b"x-request-id", b"x-forwarded-for", b"content-encoding", _COOKIE}

RawHeaders = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What a lean handler answers. `headers` hold no length; it is added."""

    status: int
    body: bytes
    headers: Iterable[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),)


# Serves one of the hottest routes without FastAPI: gets the context and the whole body of a plain
# JSON request. It must check its Access and make its RequestKey (`gateway.idempotency.key_of`) like
# any other. None means that the request is not of the plain form that it knows: then its FastAPI
# twin answers, so that there is one place that says what is wrong with a request.
LeanHandler = Callable[[RequestContext, bytes], Awaitable[Answer | None]]


class EdgeMiddleware:
    """Wraps `app`, whose routes lie under `prefix` if it is mounted there."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        edge: Edge,
        clock: Clock,
        settings: Settings,
        prefix: str = "",
        lean: Mapping[tuple[str, str], LeanHandler] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._edge = edge
        self._clock = clock
        self._prefix = prefix
        self._lean = dict(lean or {})
        self._max_body_bytes = max_body_bytes
        self._held = Held()
        self._log = AccessLog()
        self._security_headers = _security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        headers = _pick(scope["headers"])
        if _COOKIE in headers:
            # Nothing here reads cookies, and Python's parser takes the square of their length.
            scope["headers"] = [header for header in scope["headers"] if header[0] != _COOKIE]
        context = self._context(scope, headers)
        attach(scope, context)
        reply = _Reply(send, self._fixed_headers(scope, context))
        # Not unbound at the end: each request is a task of its own.
        bind_contextvars(request_id=context.request_id)
        try:
            await self._serve(scope, receive, reply, context, headers)
        finally:
            elapsed_s = time.perf_counter() - started_s
            self._log.record(context, reply.status or CLIENT_GONE, elapsed_s)

    def _fixed_headers(self, scope: Scope, context: RequestContext) -> RawHeaders:
        if RETURNS_REQUEST_ID in scope:
            return self._security_headers
        return [*self._security_headers, (b"x-request-id", context.request_id.encode())]

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        reply: _Reply,
        context: RequestContext,
        headers: dict[bytes, str],
    ) -> None:
        try:
            async with asyncio.timeout(DEADLINE_MS / 1000) as deadline:
                reply.deadline = deadline
                _refuse_unreadable(scope, context)
                await self._identify(context, headers)
                if context.method not in _READING:
                    self._edge.space.check()
                with self._bounded(receive, headers, context) as body:
                    await self._dispatch(scope, body, reply, context, headers)
        except ClientDisconnect:
            pass  # Nobody is left to answer.
        except TimeoutError as error:
            await self._fail(reply, context, Unavailable("It took too long."), error)
        except Exception as error:  # the one place where nothing may escape
            await self._fail(reply, context, as_holdfast(error), error)

    async def _dispatch(
        self,
        scope: Scope,
        body: BoundedBody,
        reply: _Reply,
        context: RequestContext,
        headers: dict[bytes, str],
    ) -> None:
        await body.check()
        handler = self._lean.get((context.method, context.path))
        if handler is None or not _is_plain_json(headers):
            await self._app(scope, body.receive, reply.send)
            return
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
            refusal = context.denied  # With a token that counts, it might have been taken.
        refusal = refusal or PayloadTooLarge(f"The body may hold at most {most_bytes} bytes.")
        return BoundedBody(receive, headers, most_bytes, refusal, self._held)

    async def _fail(
        self, reply: _Reply, context: RequestContext, known: HoldfastError, cause: Exception
    ) -> None:
        if known.status == HoldfastError.status:
            self._log.failure(context, cause)
        if reply.status:
            return  # Begun already: the server cuts the connection, and the client sees that.
        reply.deadline = None  # It has passed, or does not matter any more.
        headers, body = render(known, context.request_id)
        await reply.answer(Answer(known.status, body, headers))

    def _context(self, scope: Scope, headers: dict[bytes, str]) -> RequestContext:
        given = headers.get(b"x-request-id", "")
        peer = scope["client"][0] if scope.get("client") else None
        address = client_address(peer, headers.get(b"x-forwarded-for"))
        return RequestContext(
            request_id=given if _REQUEST_ID.fullmatch(given) else str(uuid7()),
            address=address,
            method=scope["method"],
            path=self._prefix + _relative_path(scope),
            query=scope["query_string"],
            arrived_ms=self._clock.now_ms(),
            principal=Principal(f"ip:{address}", Role.ANONYMOUS),
            idempotency_key=headers.get(b"idempotency-key"),
        )

    async def _identify(self, context: RequestContext, headers: dict[bytes, str]) -> None:
        """Sets the principal and counts the request. Raises Limited."""
        if context.path in _UNLIMITED:
            return
        if b"" in headers:
            raise BadRequest(f"The header {headers[b'']} is given twice.")
        authorization = headers.get(b"authorization")
        if authorization is not None:
            try:
                context.principal = await self._edge.identify(authorization, context.address)
            except (Unauthenticated, Unavailable) as error:
                # Whether that matters is for the route to say: anyone may sign in again.
                context.denied = error
            else:
                if context.principal.tenant_id is not None:
                    bind_contextvars(tenant_id=str(context.principal.tenant_id))
        self._edge.limiter.check(context.principal)


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
                # What has begun may stream for as long as it likes.
                self.deadline.reschedule(None)
                self.deadline = None
        await self._send(message)

    async def answer(self, answer: Answer) -> None:
        headers = [*answer.headers]
        if not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        start: Message = {"type": "http.response.start", "status": answer.status}
        await self.send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": answer.body})


def _is_plain_json(headers: Mapping[bytes, str]) -> bool:
    return headers.get(b"content-type") == "application/json" and (
        b"content-encoding" not in headers
    )


def _pick(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The headers that the edge reads. One that must be single and is not stands under b""."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _READ:
            text = value.decode("latin-1")
            if name in found and name in _ONCE:
                found[b""] = name.decode()
            # Of those that may come more than once, the last counts: our proxy wrote it.
            found[name] = text
    return found


def _relative_path(scope: Scope) -> str:
    """The path within the application. A server that mounts it says where in `root_path`, and
    leaves that in `path`."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _refuse_unreadable(scope: Scope, context: RequestContext) -> None:
    """What is longer than any address of ours; and NUL characters: nothing that is stored has one,
    and Postgres takes none."""
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


def _security_headers(settings: Settings) -> RawHeaders:
    """An API answers programs: nothing of it may be framed, sniffed, cached or run. A route that
    serves pages sets its own policy instead."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"cache-control", b"no-store"),
    ]
    if settings.environment == "production":
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    return headers
