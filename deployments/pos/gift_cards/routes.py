"""Gift cards: sold, looked up, disabled."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from actors.till import messages as t
from core.errors import NotFound
from core.principal import Principal
from deployments.kit import desk
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos import schemas as s
from deployments.pos import views as v
from deployments.pos.gift_cards import codes
from deployments.pos.gift_cards import service as gift_cards
from deployments.pos.router import Key, Manager, Till, receipt
from deployments.pos.sales import service as selling
from deployments.pos.sales.routes import SELLING, sold
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope

router = Router()


@router.post(
    "/gift-cards",
    summary="Sell a gift card",
    status_code=201,
    response_model=Envelope[a.IssuedOut],
    responses=SELLING,
)
async def sell_gift_card(
    shared: Shared, principal: Till, key: Key, body: s.GiftCardBody, response: Response
) -> Any:
    """Sells a gift card: a sale of its own, with a receipt. The code is in this answer, and in
    that of a repeat with the same key, and stored nowhere. Money on a card is owed, not earned:
    it is taxed when it is spent."""
    tokens = selling.card_tokens(body.payments)
    card = gift_cards.sold_card(shared, tenant_of(principal), key, body)
    draft = partial(selling.draft_card, shared, principal, body, card)
    answer = await sold(shared, principal, key, draft, tokens, response)
    if isinstance(answer, Response):
        return answer
    return Envelope(data=_issued(shared, tenant_of(principal), card, answer.data))


@router.get(
    "/gift-cards/balance", summary="Get the balance of a gift card", responses=responses(NotFound)
)
async def get_gift_card(
    shared: Shared, principal: Till, query: Annotated[s.CodeQuery, Query()]
) -> Envelope[a.GiftCardOut]:
    """What is on a card."""
    asked = t.GetCard(_id(principal, query.code))
    return _card(shared, await desk.ask(shared, principal, asked))


@router.post("/gift-cards/disable", summary="Disable a gift card", responses=responses(NotFound))
async def disable_gift_card(
    shared: Shared, principal: Manager, key: Key, body: s.CodeBody, response: Response
) -> Envelope[a.GiftCardOut]:
    """A lost or stolen card pays nothing any more. Its balance stays on it."""
    wanted = t.DisableCard(_id(principal, body.code))
    found, receipts = await desk.send(shared, principal, key, wanted)
    receipt(response, receipts)
    return _card(shared, found)


def _id(principal: Principal, code: str) -> UUID:
    return codes.card_id(tenant_of(principal), code)


def _card(shared: Resources, found: t.CardState) -> Envelope[a.GiftCardOut]:
    return Envelope(data=v.card_out(found.card, shared.clock.now_ms()))


def _issued(
    shared: Resources, tenant_id: UUID, card: gift_cards.SoldCard, sale: a.SaleOut
) -> a.IssuedOut:
    (made,) = gift_cards.told(shared.edge, tenant_id, {0: card}, sale.lines)
    credit = a.CreditOut(code=made.code, last_four=made.last_four, balance=made.balance)
    return a.IssuedOut(gift_card=credit, expires_at=made.expires_at, sale=sale)
