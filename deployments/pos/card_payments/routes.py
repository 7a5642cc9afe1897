"""Card payments that wait, and refunds that the provider still has to make, or will not."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from core.errors import NotFound
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, Manager, Staff, page
from deployments.pos.card_payments import actions
from deployments.pos.card_payments.schemas import (
    CardPaymentOut,
    CardRefundOut,
    CardRefundQuery,
    NewSettlement,
)
from deployments.pos.card_payments.shapes import card_payment_out, card_refund_out
from deployments.pos.errors import CardPaymentCompleted, NotYourShift, RefundNotDead
from gateway.errors import responses
from gateway.schemas import Envelope, Page
from store.pos import card_refunds

router = Router()

PaymentId = Annotated[UUID, Path(alias="cardPaymentId")]
RefundId = Annotated[UUID, Path(alias="cardRefundId")]


@router.get(
    "/card-payments/{cardPaymentId}", summary="Get a card payment", responses=responses(NotFound)
)
async def get_card_payment(
    shared: Shared, principal: Staff, payment_id: PaymentId
) -> Envelope[CardPaymentOut]:
    """What became of a card payment, by its id or that of one of its cards."""
    found = await actions.card_payment(shared, principal, payment_id)
    return Envelope(data=card_payment_out(found))


@router.post(
    "/card-payments/{cardPaymentId}/abandon",
    summary="Abandon a card payment",
    responses=responses(NotFound, NotYourShift, CardPaymentCompleted),
)
async def abandon_card_payment(
    shared: Shared, principal: Staff, key: Key, payment_id: PaymentId
) -> Made[CardPaymentOut]:
    """Calls off a card payment whose outcome is not known: no sale comes of it any more, and what
    the provider may say of it later is given back. So the customer may pay in another way at once.
    `pending` afterwards means that the provider has not confirmed yet that it keeps no money.

    A cashier may do so for what they began, and at the register whose shift they opened.
    """
    return await actions.abandon(shared, principal, key, payment_id)


@router.get("/card-refunds", summary="List card refunds that failed")
async def list_card_refunds(
    shared: Shared, principal: Manager, query: Annotated[CardRefundQuery, Query()]
) -> Page[CardRefundOut]:
    """What returns owe to cards, latest first. `dead` is what the provider refused so often that
    it is not asked any more: retry it, or settle it by hand."""
    return await page(
        shared,
        principal,
        lambda tx: card_refunds.listed(tx, query.status, query.span),
        card_refund_out,
    )


@router.post(
    "/card-refunds/{cardRefundId}/retry",
    summary="Retry a card refund",
    responses=responses(NotFound, RefundNotDead),
)
async def retry_card_refund(
    shared: Shared, principal: Manager, key: Key, refund_id: RefundId
) -> Made[CardRefundOut]:
    """Has the provider asked again for a refund that was given up."""
    return await actions.retry(shared, principal, key, refund_id)


@router.post(
    "/card-refunds/{cardRefundId}/settle",
    summary="Settle a card refund by hand",
    responses=responses(NotFound, RefundNotDead),
)
async def settle_card_refund(
    shared: Shared, principal: Manager, key: Key, refund_id: RefundId, body: NewSettlement
) -> Made[CardRefundOut]:
    """Notes that the customer got the money of a refund that was given up in another way."""
    return await actions.settle(shared, principal, key, refund_id, body)
