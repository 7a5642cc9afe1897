"""Gift cards: sold, looked up, disabled."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from core.errors import NotFound
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, Manager, Staff
from deployments.pos.gift_cards import service as gift_cards
from deployments.pos.gift_cards.schemas import (
    CreditOut,
    GiftCardCode,
    GiftCardOut,
    GiftCardQuery,
    NewGiftCardSale,
)
from deployments.pos.sales import service as selling
from deployments.pos.sales.routes import SELLING, sold
from deployments.pos.sales.schemas import GiftCardSaleOut, SaleOut
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope

router = Router()


@router.post(
    "/gift-cards",
    summary="Sell a gift card",
    status_code=201,
    response_model=Envelope[GiftCardSaleOut],
    responses=SELLING,
)
async def sell_gift_card(
    shared: Shared, principal: Staff, key: Key, body: NewGiftCardSale, response: Response
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
    shared: Shared, principal: Staff, query: Annotated[GiftCardQuery, Query()]
) -> Envelope[GiftCardOut]:
    """What is on a card."""
    return Envelope(data=await gift_cards.card(shared, principal, query.code))


@router.post("/gift-cards/disable", summary="Disable a gift card", responses=responses(NotFound))
async def disable_gift_card(
    shared: Shared, principal: Manager, key: Key, body: GiftCardCode
) -> Ordered[GiftCardOut]:
    """A lost or stolen card pays nothing any more. Its balance stays on it."""
    return await gift_cards.disable(shared, principal, key, body.code)


def _issued(
    shared: Resources, tenant_id: UUID, card: gift_cards.SoldCard, sale: SaleOut
) -> GiftCardSaleOut:
    (made,) = gift_cards.sold_cards_out(shared.edge, tenant_id, {0: card}, sale.lines)
    credit = CreditOut(code=made.code, last_four=made.last_four, balance=made.balance)
    return GiftCardSaleOut(gift_card=credit, expires_at=made.expires_at, sale=sale)
