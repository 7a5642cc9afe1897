"""The hottest routes without FastAPI: what a capability says of each of them is some 15 lines.

A lean route takes a request of the plainest form and leaves every other one to its FastAPI twin,
which alone says what is wrong with a request. One differential test holds all of them to the same
answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel

from core.principal import Principal
from core.request import RequestKey
from deployments.kit.capability import LeanRoute
from deployments.kit.plain import NotPlain
from deployments.kit.receipts import Ordered, receipt_header
from deployments.kit.resources import Resources
from gateway.access import Access
from gateway.context import RequestContext
from gateway.entrance import Answer, LeanHandler
from gateway.idempotency import is_plain, key_of

B = TypeVar("B", bound=BaseModel)
R = TypeVar("R")

_encode = msgspec.json.Encoder().encode


class _Envelope(msgspec.Struct, gc=False):
    success: bool
    data: Any


def lean_route(
    path: str,
    access: Access,
    read: Callable[[bytes], B | None],
    decide: Callable[[Resources, Principal, RequestKey, B], Awaitable[Ordered[R]]],
    out: Callable[[Principal, R], Any],
    *,
    status: int = 200,
) -> LeanRoute:
    """A POST to `path`, which is relative as in the twin's router. `read` takes a plain body, and
    None is for the twin (`Plain.read`); `decide` may raise NotPlain for what only the twin knows.
    `out` gives the answer's data, as `plain_out` makes it."""

    def make(shared: Resources, capability: str) -> LeanHandler:
        async def handle(context: RequestContext, raw: bytes) -> Answer | None:
            principal = access.authorize(context, capability)
            name = context.idempotency_key
            plain = None if context.query or not is_plain(name) else read(raw)
            if plain is None:
                return None
            try:
                ordered = await decide(shared, principal, key_of(context, raw, name), plain)
            except NotPlain:
                return None
            headers: tuple[tuple[bytes, bytes], ...] = (
                (b"content-type", b"application/json"),
                (b"x-holdfast-receipt", receipt_header(ordered.receipts).encode()),
            )
            data = out(principal, ordered.reply)
            if status == 201:
                headers += ((b"location", f"{context.path}/{data.id}".encode()),)
            return Answer(status, _encode(_Envelope(True, data)), headers)

        return handle

    return LeanRoute("POST", path, make)
