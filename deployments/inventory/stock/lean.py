"""The hottest route without FastAPI: reserving units of one product.

It knows only the plainest form of the request. Whatever differs, by a byte that it does not
expect, is left to the FastAPI twin in `routes.py`, which alone says what is wrong with a request.
A differential test holds the two to the same answers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from actors.stock import model as m
from core.ids import uuid7
from core.moments import of_ms
from core.principal import STAFF
from deployments.business.owners import OWNERS
from deployments.inventory.stock.schemas import DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS
from deployments.kit import desk
from deployments.kit.capability import LeanRoute
from deployments.kit.receipts import receipt_header
from deployments.kit.resources import Resources
from gateway.access import require, tenant_of
from gateway.context import RequestContext
from gateway.entrance import Answer, LeanHandler
from gateway.idempotency import is_plain, key_of

_ACCESS = require(STAFF)
_NAMES = (b'"productId"', b'"quantity"', b'"ttlSeconds"', b'"reference"')


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    product_id: UUID
    quantity: Annotated[int, msgspec.Meta(ge=1, le=m.MAX_QUANTITY)]
    ttl_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL_SECONDS)] = DEFAULT_TTL_SECONDS
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class _Line(msgspec.Struct, rename="camel"):
    product_id: UUID
    quantity: int
    available: int


class _Reservation(msgspec.Struct, rename="camel"):
    reservation_id: UUID
    location_id: UUID
    status: m.Status
    expires_at: datetime
    created_at: datetime
    reference: str | None
    lines: list[_Line]
    product_id: UUID
    quantity: int
    available: int


class _Answer(msgspec.Struct):
    success: bool
    data: _Reservation


class _Bundle(Exception):
    """The twin knows what is in one."""


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


def _handler(shared: Resources) -> LeanHandler:

    async def reserve(context: RequestContext, raw: bytes) -> Answer | None:
        principal = _ACCESS.authorize(context, "inventory")
        body = _plain_body(raw)
        name = context.idempotency_key
        if body is None or context.query or not is_plain(name):
            return None
        key = key_of(context, raw, name)
        tenant_id = tenant_of(principal)
        lines = (m.Line(body.product_id, body.quantity),)

        async def draft() -> m.Reserve:
            if await OWNERS.of(shared).bundles(tenant_id, (body.product_id,)):
                raise _Bundle
            return m.Reserve(uuid7(), lines, body.ttl_seconds * 1000, body.reference)

        try:
            hold, receipts = await desk.send(shared, principal, key, draft)
        except _Bundle:
            return None
        headers = (
            (b"content-type", b"application/json"),
            (b"x-holdfast-receipt", receipt_header(receipts).encode()),
        )
        return Answer(200, _encode(_Answer(True, _reservation(tenant_id, hold))), headers)

    return reserve


reserve = LeanRoute("POST", "/reserve", _handler)


def _plain_body(raw: bytes) -> _Body | None:
    # A name given twice is an error, and an escape may hide one; msgspec would take either.
    if b"\\" in raw or any(raw.count(name) > 1 for name in _NAMES):
        return None
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _reservation(tenant_id: UUID, hold: m.Hold) -> _Reservation:
    product_id, quantity = hold.lines[0]
    available = max(hold.levels[0].available, 0)
    return _Reservation(
        hold.reservation_id,
        hold.location_id or tenant_id,
        hold.status,
        of_ms(hold.expires_at_ms),
        of_ms(hold.created_at_ms),
        hold.reference,
        [_Line(product_id, quantity, available)],
        product_id,
        quantity,
        available,
    )
