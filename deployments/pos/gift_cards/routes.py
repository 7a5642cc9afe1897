"""Gift cards: sold, looked up, disabled."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from core.errors import NotFound
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, Manager, Staff
from deployments.pos.card_payments.schemas import CardPaymentOut
from deployments.pos.gift_cards import service as gift_cards
from deployments.pos.gift_cards.schemas import (
    GiftCardCode,
    GiftCardOut,
    GiftCardQuery,
    NewGiftCardSale,
)
from deployments.pos.sales import service as selling
from deployments.pos.sales.routes import SELLING, pending
from deployments.pos.sales.schemas import GiftCardSaleOut
from gateway.errors import responses
from gateway.schemas import Envelope

router = Router()


@router.post(
    "/gift-cards",
    summary="Sell a gift card",
    status_code=201,
    made_at="/api/pos/sales/{id}",
    responses=SELLING,
)
async def sell_gift_card(
    shared: Shared, principal: Staff, key: Key, body: NewGiftCardSale
) -> Ordered[GiftCardSaleOut] | Response:
    """Sells a gift card: a sale of its own, with a receipt. The code is in this answer, and in
    that of a repeat with the same key, and stored nowhere. Money on a card is owed, not earned:
    it is taxed when it is spent."""
    sold = await selling.sell_gift_card(shared, principal, key, body)
    return pending(sold) if isinstance(sold, CardPaymentOut) else sold


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
