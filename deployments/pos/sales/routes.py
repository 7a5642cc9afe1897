"""Quotes, sales, and card payments on their way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, Response

from actors.till.messages import SaleMade
from core.errors import (
    ChooseVariant,
    HoldfastError,
    InsufficientStock,
    NotFound,
    ProductDiscontinued,
    ReservationExpired,
    ReservationNotOpen,
)
from core.moments import of_ms
from core.money import from_minor
from core.principal import Principal
from core.request import RequestKey
from deployments.business.places import location_of
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos import errors as e
from deployments.pos import records
from deployments.pos import schemas as s
from deployments.pos import views as v
from deployments.pos.card_payments.service import CARDS
from deployments.pos.gift_cards import service as gift_cards
from deployments.pos.router import RECEIPT, Key, PaymentId, SaleId, Till, own_eyes, receipt
from deployments.pos.sales import service as selling
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Page, page_of
from store.kit.engine import Scope
from store.pos import reading
from store.pos.cards import CardPayment

router = Router()

CARD_PAYMENTS = "/api/pos/card-payments"
_MADE: dict[int | str, dict[str, Any]] = {
    201: {"headers": RECEIPT},
    202: {
        "model": Envelope[a.PendingOut],
        "description": "The card's outcome is not known yet; `Location` says where it will be",
        "headers": {"Location": {"schema": {"type": "string"}}},
    },
}
SELLING = _MADE | responses(
    e.CardDeclined,
    e.DiscountTooHigh,
    NotFound,
    InsufficientStock,
    ProductDiscontinued,
    ChooseVariant,
    e.NoShift,
    e.WrongLocation,
    e.CurrencyMismatch,
    e.PaymentShort,
    e.ChangeNotCash,
    e.TotalChanged,
    e.GiftCardNotFound,
    e.GiftCardDisabled,
    e.GiftCardExpired,
    e.GiftCardShort,
    e.GiftCardExists,
    e.GiftCardByGiftCard,
    e.ReservationNotFound,
    e.ReservationDiffers,
    ReservationExpired,
    ReservationNotOpen,
    e.SaleNotCompleted,
    e.CardsOff,
)


@router.post("/quotes", summary="Quote a basket", responses=responses(NotFound, e.CurrencyMismatch))
async def quote(shared: Shared, principal: Till, body: s.Basket) -> Envelope[a.QuoteOut]:
    """What a basket would cost now, and what there is too little of. Changes nothing.

    Tax is rounded per line, half away from zero. Where prices include tax, the tax of a line is
    total x rate / (1 + rate); where they do not, it is amount x rate, on top. A discount on the
    whole is spread over the lines in proportion, to the cent, before tax.
    """
    ticket = await selling.basket_ticket(shared, principal, body)
    short = await selling.shortages(shared, principal, body, ticket.lines)
    return Envelope(data=v.quote_out(ticket, short))


@router.post(
    "/sales", summary="Sell", status_code=201, response_model=Envelope[a.SaleOut], responses=SELLING
)
async def sell(
    shared: Shared, principal: Till, key: Key, body: s.SaleBody, response: Response
) -> Any:
    """Sells: stock, drawer, gift cards, receipt number and event in one commit, or nothing.

    Prices and taxes are the server's (see quotes). The payments must cover the total; what is
    too much is handed back, from cash only. Up to four payments are by `card`: the goods are held
    while the cards are charged, one after another, and an outcome that is not known in time is
    settled later, as exactly one of a sale or no sale and no money kept. Of a card that is
    declined, `payment` says the place among the payments; the others are given back.

    A line may sell a `giftCard`; its code is in this answer, and in that of a repeat with the same
    key. Gift cards pay for the rest of the basket alone.
    """
    tenant_id = tenant_of(principal)
    tokens = selling.card_tokens(body.payments)
    gifts = gift_cards.cards_in(shared, tenant_id, key, body.lines)
    draft = partial(selling.draft_sale, shared, principal, body, gifts)
    answer = await sold(shared, principal, key, draft, tokens, response)
    if isinstance(answer, Envelope):
        lines = answer.data.lines
        answer.data.gift_cards = gift_cards.sold_cards_out(shared.edge, tenant_id, gifts, lines)
    return answer


@router.get("/sales", summary="List sales", responses=responses(NotFound))
async def list_sales(
    shared: Shared, principal: Till, query: Annotated[s.SaleQuery, Query()]
) -> Page[a.SaleRow]:
    """Sales, latest first. A cashier sees those of their own shifts, and by register and receipt
    number any one."""
    since = until = None
    if query.date is not None:
        place = location_of(principal, query.location_id)
        terms = await selling.terms_at(shared, tenant_of(principal), place)
        zone = ZoneInfo(terms.time_zone)
        since = datetime.combine(query.date, time.min, zone)
        until = datetime.combine(query.date + timedelta(days=1), time.min, zone)
    filters = reading.SaleFilters(
        query.location_id,
        query.register_id,
        query.shift_id,
        query.cashier,
        since,
        until,
        query.receipt_number,
        own_eyes(principal),
        query.offline,
    )
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.sales(tx, filters, query.span)
    return page_of(found.map(records.sale_row))


@router.get("/sales/{saleId}", summary="Get a sale", responses=responses(NotFound))
async def get_sale(
    shared: Shared,
    principal: Till,
    sale_id: SaleId,
    query: Annotated[s.ReceiptNumberQuery, Query()],
) -> Envelope[a.SaleOut]:
    """A sale with its lines and payments, and what has come back of it."""
    return Envelope(data=await read_sale(shared, principal, sale_id, query))


@router.get(
    "/card-payments/{paymentId}", summary="Get a card payment", responses=responses(NotFound)
)
async def get_card_payment(
    shared: Shared, principal: Till, payment_id: PaymentId
) -> Envelope[a.PendingOut]:
    """What became of a card payment, by its id or that of one of its cards."""
    found = await CARDS.of(shared).get(tenant_of(principal), payment_id)
    if found is None:
        raise NotFound("There is no such card payment here.")
    return Envelope(data=pending_out(found))


async def sold(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    draft: selling.SaleDraft,
    tokens: Mapping[int, str],
    response: Response,
) -> Envelope[a.SaleOut] | Response:
    """Sells what is drafted, and charges `tokens`, by the place of their payments. Answers with
    the sale, or 202 and where to ask. Raises what stands for a refusal."""
    if not tokens:
        made, receipts = await selling.sell(shared, principal, key, draft)
        receipt(response, receipts)
        return Envelope(data=_sale_out(made))
    cards, tenant_id = CARDS.of(shared), tenant_of(principal)
    try:
        # A repeat is told of the same hold, and so are two tries at once.
        held = await selling.hold(shared, principal, key, draft)
    except HoldfastError:
        # What was begun is known for longer than the owner remembers a key.
        begun = await cards.begun(tenant_id, key)
        if begun is None:
            raise
    else:
        begun = await cards.begin(tenant_id, principal.id, key, held, tokens)
    driven = await cards.drive(begun)
    if driven.made is None:
        return await settled(shared, driven.payment)
    receipt(response, driven.made.receipts)
    return Envelope(data=_sale_out(driven.made.reply))


def _sale_out(made: SaleMade) -> a.SaleOut:
    return v.sale_out(made.sale_id, made.sold, made.cashier, of_ms(made.at_ms))


async def settled(shared: Resources, payment: CardPayment) -> Envelope[a.SaleOut] | Response:
    """The answer to a payment by card whose sale nobody was just told of: 202 and where to ask, or
    the sale from its rows. Raises CardDeclined, SaleNotCompleted."""
    if payment.status == "completed":
        async with shared.db.transaction(Scope(payment.tenant_id)) as tx:
            found = await reading.sale(tx, payment.sale_id)
        if found is None:
            raise RuntimeError("a completed payment has a sale")
        return Envelope(data=records.sale(*found))
    named = {"cardPaymentId": str(payment.id)}
    if payment.status == "declined":
        which = next(one.number + 1 for one in payment.charges if one.status == "declined")
        raise e.CardDeclined(extra=named | {"payment": which})
    if payment.status == "refunded":
        raise e.SaleNotCompleted(extra=named | {"reason": payment.problem})
    return Response(
        Envelope(data=pending_out(payment)).model_dump_json(by_alias=True),
        202,
        {"Location": f"{CARD_PAYMENTS}/{payment.id}"},
        "application/json",
    )


def pending_out(payment: CardPayment) -> a.PendingOut:
    ended = payment.status in ("completed", "declined", "refunded")
    return a.PendingOut(
        card_payment_id=payment.id,
        status=payment.status if ended else "pending",
        sale_id=payment.sale_id if payment.status == "completed" else None,
        problem=payment.problem,
        cards=[
            a.CardOut(
                payment=charge.number + 1,
                amount=from_minor(charge.amount_minor, payment.currency),
                status=charge.status,
            )
            for charge in payment.charges
        ],
    )


async def read_sale(
    shared: Resources, principal: Principal, sale_id: UUID, query: s.ReceiptNumberQuery
) -> a.SaleOut:
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.sale(tx, sale_id, own_eyes(principal), query.receipt_number)
    if found is None:
        raise NotFound("There is no such sale here.")
    return records.sale(*found)
