"""Quotes and sales over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from core.errors import (
    ChooseVariant,
    InsufficientStock,
    MeasureChanged,
    NotFound,
    ProductDiscontinued,
    ReservationExpired,
    ReservationNotOpen,
)
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, Staff, page
from deployments.pos.card_payments.schemas import CardPaymentOut
from deployments.pos.errors import (
    AmountLimit,
    CardDeclined,
    CardsOff,
    CashNotInCoins,
    ChangeNotCash,
    CurrencyMismatch,
    DiscountTooHigh,
    GiftCardByGiftCard,
    GiftCardDisabled,
    GiftCardExists,
    GiftCardExpired,
    GiftCardNotFound,
    GiftCardShort,
    NoShift,
    PaymentShort,
    ReservationDiffers,
    ReservationNotFound,
    SaleNotCompleted,
    TotalChanged,
    WrongLocation,
)
from deployments.pos.parameters import SaleId
from deployments.pos.sales import service, tickets
from deployments.pos.sales.schemas import (
    Basket,
    NewSale,
    QuoteOut,
    ReceiptNumberQuery,
    SaleOut,
    SaleQuery,
    SaleRow,
)
from deployments.pos.sales.shapes import sale_row
from gateway.errors import responses
from gateway.schemas import Envelope, Page
from store.pos import reading

router = Router()

CARD_PAYMENTS = "/api/pos/card-payments"
_PENDING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Envelope[CardPaymentOut],
        "description": "The card's outcome is not known yet; `Location` says where it will be",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
}
SELLING = _PENDING | responses(
    CardDeclined,
    AmountLimit,
    DiscountTooHigh,
    NotFound,
    InsufficientStock,
    ProductDiscontinued,
    ChooseVariant,
    MeasureChanged,
    NoShift,
    WrongLocation,
    CurrencyMismatch,
    PaymentShort,
    CashNotInCoins,
    ChangeNotCash,
    TotalChanged,
    GiftCardNotFound,
    GiftCardDisabled,
    GiftCardExpired,
    GiftCardShort,
    GiftCardExists,
    GiftCardByGiftCard,
    ReservationNotFound,
    ReservationDiffers,
    ReservationExpired,
    ReservationNotOpen,
    SaleNotCompleted,
    CardsOff,
)


@router.post("/quotes", summary="Quote a basket", responses=responses(NotFound, CurrencyMismatch))
async def quote(shared: Shared, principal: Staff, body: Basket) -> Envelope[QuoteOut]:
    """What a basket would cost now, and what there is too little of. Changes nothing.

    Tax is rounded per line, half away from zero. Where prices include tax, the tax of a line is
    total x rate / (1 + rate); where they do not, it is amount x rate, on top. A discount on the
    whole is spread over the lines in proportion, to the cent, before tax.
    """
    return Envelope(data=await tickets.quote(shared, principal, body))


@router.post("/sales", summary="Sell", status_code=201, responses=SELLING)
async def sell(
    shared: Shared, principal: Staff, key: Key, body: NewSale
) -> Ordered[SaleOut] | Response:
    """Sells: stock, drawer, gift cards, receipt number and event in one commit, or nothing.

    Prices and taxes are the server's (see quotes). The payments must cover the total; what is
    too much is handed back, from cash only. The part that is paid in cash is rounded to what there
    are coins for, as `cashRounding` of the business said when the shift was opened.

    Up to four payments are by `card`: the goods are held while the cards are charged, one after
    another, and an outcome that is not known in time is settled later, as exactly one of a sale or
    no sale and no money kept. Of a card that is declined, `payment` says the place among the
    payments; the others are given back.

    A line may sell a `giftCard`; its code is in this answer, and in that of a repeat with the same
    key. Gift cards pay for the rest of the basket alone.
    """
    sold = await service.sell_basket(shared, principal, key, body)
    return pending(sold) if isinstance(sold, CardPaymentOut) else sold


def pending(payment: CardPaymentOut) -> Response:
    """202 and where to ask."""
    return Response(
        Envelope(data=payment).model_dump_json(by_alias=True),
        202,
        {"Location": f"{CARD_PAYMENTS}/{payment.id}"},
        "application/json",
    )


@router.get("/sales", summary="List sales", responses=responses(NotFound))
async def list_sales(
    shared: Shared, principal: Staff, query: Annotated[SaleQuery, Query()]
) -> Page[SaleRow]:
    """Sales, latest first. A cashier sees those of their own shifts, and by register and receipt
    number any one."""
    filters = await service.filters_of(shared, principal, query)
    return await page(
        shared, principal, lambda tx: reading.sales(tx, filters, query.span), sale_row
    )


@router.get("/sales/{saleId}", summary="Get a sale", responses=responses(NotFound))
async def get_sale(
    shared: Shared,
    principal: Staff,
    sale_id: SaleId,
    query: Annotated[ReceiptNumberQuery, Query()],
) -> Envelope[SaleOut]:
    """A sale with its lines and payments, and what has come back of it."""
    return Envelope(data=await service.recorded_sale(shared, principal, sale_id, query))
