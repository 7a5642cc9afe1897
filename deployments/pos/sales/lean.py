"""A sale without FastAPI, whose layers took more samples of a replica's profile than the handler
that they wrap. Bodies, rules and answers are those of `routes`; the plainest bodies, and all
answers, go without pydantic, too (`plain_sale`).

It takes only what it can answer with a sale or a refusal of one. A request that is wrong in its
form, one that is paid by card, and one that sells a gift card are left to the FastAPI twin. A
differential test holds the two to the same answers.
"""

from __future__ import annotations

from functools import partial

from pydantic import TypeAdapter, ValidationError

from core.errors import HoldfastError
from core.principal import STAFF
from deployments.kit.capability import LeanRoute
from deployments.kit.receipts import receipt_header
from deployments.kit.resources import Resources
from deployments.pos import schemas as s
from deployments.pos.sales import service as selling
from deployments.pos.sales.plain_sale import answer_of, plain_sale
from gateway import json_body
from gateway.access import require
from gateway.context import RequestContext
from gateway.entrance import Answer, LeanHandler
from gateway.idempotency import is_plain, key_of

_ACCESS = require(STAFF)
_BODY = TypeAdapter(s.SaleBody)


def _handler(shared: Resources) -> LeanHandler:

    async def sell(context: RequestContext, raw: bytes) -> Answer | None:
        principal = _ACCESS.authorize(context, "pos")
        name = context.idempotency_key
        if context.query or not is_plain(name):
            return None
        body = plain_sale(raw) or _plain_body(raw)
        if body is None:
            return None
        key = key_of(context, raw, name)
        draft = partial(selling.draft_sale, shared, principal, body)
        made, receipts = await selling.sell(shared, principal, key, draft)
        headers = (
            (b"content-type", b"application/json"),
            (b"x-holdfast-receipt", receipt_header(receipts).encode()),
        )
        return Answer(201, answer_of(made), headers)

    return sell


sell = LeanRoute("POST", "/sales", _handler)


def _plain_body(raw: bytes) -> s.SaleBody | None:
    try:
        body = _BODY.validate_python(json_body.loads(raw))
    except (HoldfastError, ValidationError):
        return None
    by_card = any(payment.method == "card" for payment in body.payments)
    sells_card = any(line.gift_card is not None for line in body.lines)
    return None if by_card or sells_card else body
