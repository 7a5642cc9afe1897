"""What is done about every request, whichever way it comes in: the caller is identified, its rate
and the size of its body are limited, and the outcome is counted. `gateway.middleware` is the usual
way, `gateway.lean_protocol` that of the hottest routes; neither decides any of this by itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from core.clock import Clock
from core.errors import BadRequest, HoldfastError, Unauthenticated, Unavailable
from core.ids import uuid7
from core.principal import Principal, Role
from core.settings import Settings
from gateway.access_log import AccessLog
from gateway.address import client_address
from gateway.bodies import Held
from gateway.context import RequestContext
from gateway.edge import Edge
from gateway.errors import as_holdfast, render

CLIENT_GONE = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# The checks of a load balancer must not be refused because of others at the same address.
_UNLIMITED = frozenset({"/health", "/ready"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_ONCE = frozenset({b"authorization", b"idempotency-key", b"content-length", b"content-type"})
COOKIE = b"cookie"
# Headers whose presence makes a request other than plain.
ODD = frozenset({b"content-encoding", b"transfer-encoding", b"upgrade", b"expect", b"origin"})
_READ = _ONCE | ODD | {b"x-request-id", b"x-forwarded-for", COOKIE}

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


class Entrance:
    """The entrance of one application, whose routes lie under `prefix` if it is mounted there.
    `lean` holds handlers by method and full path."""

    def __init__(
        self,
        edge: Edge,
        clock: Clock,
        settings: Settings,
        *,
        prefix: str = "",
        lean: Mapping[tuple[str, str], LeanHandler] | None = None,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self.prefix = prefix
        self.lean = dict(lean or {})
        self.held = Held()
        self.log = AccessLog()
        self.origins = [
            origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()
        ]
        self.fixed_headers = _security_headers(settings)

    def context(
        self, method: str, path: str, query: bytes, peer: str | None, headers: dict[bytes, str]
    ) -> RequestContext:
        """The context of a request for a full path; `headers` are those that `pick` found."""
        given = headers.get(b"x-request-id", "")
        address = client_address(peer, headers.get(b"x-forwarded-for"))
        return RequestContext(
            given if _REQUEST_ID.fullmatch(given) else str(uuid7()),
            address,
            method,
            path,
            query,
            self._clock.now_ms(),
            _nobody_at(address),
            None,
            headers.get(b"idempotency-key"),
        )

    async def admit(self, context: RequestContext, headers: dict[bytes, str]) -> None:
        """Sets the principal and counts the request. Raises Limited, BadRequest for a header that
        is given twice, and Unavailable when there is no room for what it may write."""
        await self._identify(context, headers)
        if context.method not in _READING:
            self._edge.space.check()

    async def _identify(self, context: RequestContext, headers: dict[bytes, str]) -> None:
        if context.path in _UNLIMITED:
            return
        if b"" in headers:
            raise BadRequest(f"The header {headers[b'']} is given twice.")
        authorization = headers.get(b"authorization")
        if authorization is not None:
            try:
                context.principal = await self._edge.identify(authorization, context.address)
            except (Unauthenticated, Unavailable) as error:
                # The route decides whether that matters: anyone may sign in again.
                context.denied = error
        self._edge.limiter.check(context.principal)

    def problem(self, context: RequestContext, error: Exception) -> Answer:
        """The answer about an error. An error of ours goes into the log."""
        if isinstance(error, TimeoutError):
            known: HoldfastError = Unavailable("It took too long.")
        else:
            known = as_holdfast(error)
        if known.status == HoldfastError.status:
            self.log.failure(context, error)
        headers, body = render(known, context.request_id)
        return Answer(
            known.status, body, [header for header in headers if header[0] != b"content-length"]
        )


def pick(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The headers that are read. One that must be single and came twice stands under b""."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _READ:
            if name in found and name in _ONCE:
                found[b""] = name.decode()
            # Of those that may come more than once, the last counts: our proxy wrote it.
            found[name] = value.decode("latin-1")
    return found


def is_plain_json(headers: Mapping[bytes, str]) -> bool:
    return headers.get(b"content-type") == "application/json" and (
        b"content-encoding" not in headers
    )


@lru_cache(maxsize=4096)
def _nobody_at(address: str) -> Principal:
    return Principal(f"ip:{address}", Role.ANONYMOUS)


def _security_headers(settings: Settings) -> RawHeaders:
    """An API answers programs: a browser must not frame, sniff, cache or run its answers. A route
    that serves pages sets its own policy instead."""
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
