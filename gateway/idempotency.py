"""The identity of a mutation: the key that the client gave it, or one that the gateway makes."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Annotated

from fastapi import Header, Request

from core.ids import text_of, uuid7
from core.request import RequestKey, command_id
from gateway.context import RequestContext, context_of

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
_PLAIN = re.compile(rf"[\x20-\x7e]{{1,{MAX_LENGTH}}}")
# What parameters of paths were called when keys were first used with them, where that has changed
# since: a key names the same command in every build.
_FIRST_NAMES = {
    "addressId": "address_id",
    "cardPaymentId": "paymentId",
    "cardRefundId": "refundId",
    "invitationId": "invitation_id",
    "keyId": "key_id",
    "locationId": "location_id",
    "parkedSaleId": "parkedId",
    "sessionId": "session_id",
    "taxClassId": "tax_class_id",
    "taxRateId": "tax_rate_id",
    "tenantId": "tenant_id",
    "userId": "user_id",
}
_FIRST_ROUTES = {
    "/api/products/variants/{productId}": "/api/products/variants/{variantId}",
}
_PARAMETER = re.compile(r"\{(\w+)\}")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=MAX_LENGTH,
        pattern=r"^[\x20-\x7e]+$",
        description=(
            "Names this request. Repeated with the same key and body it has no further effect "
            "and gets the same answer; with another body it is refused (422). Kept for 7 days."
        ),
    ),
]


async def request_key(request: Request, idempotency_key: IdempotencyKey = None) -> RequestKey:
    """What every mutation depends on: `key: Annotated[RequestKey, Depends(request_key)]`."""
    return key_of(context_of(request.scope), await request.body(), idempotency_key)


async def personal_key(request: Request, idempotency_key: IdempotencyKey = None) -> RequestKey:
    """For mutations that end a person's own access, perhaps the one that the caller is using: a
    repeat is the same command, whichever business the person is signed in to by then."""
    context = context_of(request.scope)
    return key_of(context, await request.body(), idempotency_key, tenant="")


def is_plain(idempotency_key: str | None) -> bool:
    """Whether a header that FastAPI has not checked is valid or absent."""
    return idempotency_key is None or _PLAIN.fullmatch(idempotency_key) is not None


@lru_cache(maxsize=1024)
def command_route(template: str) -> str:
    """The route as keys name it: its path with the names that its parameters had at first."""
    template = _FIRST_ROUTES.get(template, template)
    return _PARAMETER.sub(lambda found: f"{{{_FIRST_NAMES.get(found[1], found[1])}}}", template)


def key_of(
    context: RequestContext, body: bytes, idempotency_key: str | None, *, tenant: str | None = None
) -> RequestKey:
    """The RequestKey of a request whose header was found good. The same caller, route and key
    identify the command, by default together with the business that the caller acts for; body, path
    and query must not differ at a repeat."""
    if idempotency_key is None:
        identity = uuid7()  # No repeat can name it.
    else:
        principal = context.principal
        if tenant is None:
            tenant = text_of(principal.tenant_id) if principal.tenant_id else ""
        route = command_route(context.template)
        identity = command_id(tenant, principal.id, context.method, route, idempotency_key)
    what = b"%b\0%b\0%b" % (body, context.path.encode(), context.query)
    return RequestKey(
        command_id=identity,
        fingerprint=hashlib.sha256(what).digest(),
        client_supplied=idempotency_key is not None,
        arrived_ms=context.arrived_ms,
        deadline_ms=context.deadline_ms,
    )
