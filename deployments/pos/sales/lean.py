"""A sale, whose bodies, rules and answers are those of its FastAPI twin.

It takes only what it can answer with a sale or a refusal of one. A request that is wrong in its
form, one that is paid by card, and one that sells a gift card are left to the twin.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from actors.till.messages import SaleMade
from core.errors import HoldfastError
from core.principal import STAFF, Principal
from core.request import RequestKey
from deployments.kit.lean import lean_route
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from deployments.pos.sales import service
from deployments.pos.sales.drafts import draft_sale
from deployments.pos.sales.plain_sale import plain_out_of, plain_sale
from deployments.pos.sales.schemas import NewSale
from gateway import json_body
from gateway.access import require

_BODY = TypeAdapter(NewSale)


def _read(raw: bytes) -> NewSale | None:
    body = plain_sale(raw)
    if body is not None:
        return body
    try:
        body = _BODY.validate_python(json_body.loads(raw))
    except (HoldfastError, ValidationError):
        return None
    by_card = any(payment.method == "card" for payment in body.payments)
    sells_card = any(line.gift_card is not None for line in body.lines)
    return None if by_card or sells_card else body


async def _sell(
    shared: Resources, principal: Principal, key: RequestKey, body: NewSale
) -> Ordered[SaleMade]:
    draft = partial(draft_sale, shared, principal, body)
    return await service.sell(shared, principal, key, draft)


def _out(principal: Principal, made: SaleMade) -> Any:
    return plain_out_of(made)


sell = lean_route("/sales", require(STAFF), _read, _sell, _out, status=201)
