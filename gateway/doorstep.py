"""What stands between the network and Ray Serve, in each process of Serve's that speaks HTTP.

Serve obeys some headers (how long a request may last, which replica serves it), answers a bare 500
when a byte in them is not UTF-8, and returns any request id that came: callers must decide none of
that. And where Serve answers by itself, since a replica is busy or not there yet, it does so in
plain text, with a 404 that a client would take for an answer of ours.
"""

from __future__ import annotations

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Unavailable
from core.ids import uuid7
from gateway.errors import render

# In the ASGI scope: says that the server in front returns the request's id by itself.
RETURNS_REQUEST_ID = "holdfast.returns_request_id"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_ORDERS = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"x-session-id",
        b"serve-multiplexed-model-id",
    }
)
# Every answer of ours carries it, and none of Serve's does.
_OURS = b"x-content-type-options"
_SERVES_OWN_PATHS = "/-/"


class Doorstep:
    """Wraps what Serve runs. The request gets exactly one, well-formed request id; a failure that
    Serve reports becomes an Unavailable: the outcome is unknown, and a repeat settles it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_SERVES_OWN_PATHS):
            await self._app(scope, receive, send)
            return
        scope["headers"], request_id = _cleared(scope["headers"])
        scope[RETURNS_REQUEST_ID] = True
        is_preflight = scope["method"] == "OPTIONS"  # which is answered before it is ours
        reply = send if is_preflight else _Reply(send, request_id).send
        await self._app(scope, receive, reply)


class _Reply:
    """Passes on answers of ours, and replaces those of Serve's own."""

    __slots__ = ("_is_serves", "_request_id", "_send")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self._is_serves = False

    async def send(self, message: Message) -> None:
        if self._is_serves:
            return
        if (
            message["type"] == "http.response.start"
            and message["status"] >= 400
            and not any(name == _OURS for name, _ in message["headers"])
        ):
            self._is_serves = True
            headers, body = render(Unavailable(), self._request_id.decode())
            headers.append((b"x-request-id", self._request_id))
            await self._send({**message, "status": Unavailable.status, "headers": headers})
            message = {"type": "http.response.body", "body": body}
        await self._send(message)


def middlewares() -> list[Middleware]:
    """For `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`."""
    return [Middleware(Doorstep)]


def _cleared(headers: list[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers that may pass, and the request id among them."""
    request_id = b""
    kept = []
    for header in headers:
        name = header[0]
        if name == b"x-request-id":
            request_id = header[1]
        elif name.replace(b"_", b"-") not in _ORDERS:
            kept.append(header)
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = str(uuid7()).encode()
    kept.append((b"x-request-id", request_id))
    return kept, request_id
