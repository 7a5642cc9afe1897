"""Sales: decided by the owner of stock and drawer, and paid, by card too; and as they were written
down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

from actors.till.messages import HoldSale, SaleHeld, SaleMade
from core.errors import HoldfastError, NotFound
from core.principal import Principal
from core.request import RequestKey
from deployments.business.places import location_of
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from deployments.pos.card_payments.schemas import CardPaymentOut
from deployments.pos.card_payments.service import CARDS, HOLD_MS, hold_id, made_now, payment_id
from deployments.pos.card_payments.shapes import card_payment_out
from deployments.pos.errors import CardDeclined, CardsOff, SaleNotCompleted
from deployments.pos.gift_cards.schemas import CreditOut, NewGiftCardSale
from deployments.pos.gift_cards.service import cards_in, sold_card, sold_cards_out
from deployments.pos.parameters import cashier_filter
from deployments.pos.sales.drafts import SaleDraft, card_tokens, draft_card, draft_sale
from deployments.pos.sales.schemas import (
    GiftCardSaleOut,
    NewSale,
    ReceiptNumberQuery,
    SaleOut,
    SaleQuery,
)
from deployments.pos.sales.shapes import sale_made, sale_of
from deployments.pos.sales.tickets import terms_at
from gateway.access import tenant_of
from store.kit.engine import Scope
from store.pos import reading
from store.pos.cards import CardPayment
from store.pos.reading import SaleFilters

# A sale, or a payment by card whose outcome is not known yet.
Sold = Ordered[SaleOut] | CardPaymentOut


async def sell_basket(
    shared: Resources, principal: Principal, key: RequestKey, body: NewSale
) -> Sold:
    """Sells a basket, gift cards in it too. Raises what stands for a refusal, CardDeclined,
    SaleNotCompleted."""
    tenant_id = tenant_of(principal)
    cards = cards_in(shared, tenant_id, key, body.lines)
    draft = partial(draft_sale, shared, principal, body, cards)
    sold = await _sold(shared, principal, key, draft, card_tokens(body.payments))
    if isinstance(sold, CardPaymentOut):
        return sold
    sale = sold.reply
    sale.gift_cards = sold_cards_out(shared.edge, tenant_id, cards, sale.lines)
    return sold


async def sell_gift_card(
    shared: Resources, principal: Principal, key: RequestKey, body: NewGiftCardSale
) -> Ordered[GiftCardSaleOut] | CardPaymentOut:
    """Sells a gift card on a ticket of its own. Raises as `sell_basket` does."""
    tenant_id = tenant_of(principal)
    card = sold_card(shared, tenant_id, key, body)
    draft = partial(draft_card, shared, principal, body, card)
    sold = await _sold(shared, principal, key, draft, card_tokens(body.payments))
    if isinstance(sold, CardPaymentOut):
        return sold
    (made,) = sold_cards_out(shared.edge, tenant_id, {0: card}, sold.reply.lines)
    credit = CreditOut(code=made.code, last_four=made.last_four, balance=made.balance)
    return sold.to(
        lambda sale: GiftCardSaleOut(gift_card=credit, expires_at=made.expires_at, sale=sale)
    )


async def sell(
    shared: Resources, principal: Principal, key: RequestKey, draft: SaleDraft
) -> Ordered[SaleMade]:
    """Has it decided and committed: stock, drawer, gift cards, receipt, all or nothing."""
    made, receipts = await desk.send(shared, principal, key, draft)
    return Ordered(made_now(made), receipts)


async def _sold(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    draft: SaleDraft,
    tokens: Mapping[int, str],
) -> Sold:
    """Sells what is drafted, and charges `tokens`, by the place of their payments."""
    if not tokens:
        return (await sell(shared, principal, key, draft)).to(sale_made)
    cards, tenant_id = CARDS.of(shared), tenant_of(principal)
    try:
        # A repeat is answered with the same hold, and so are two tries at once.
        held = await _hold(shared, principal, key, draft)
    except HoldfastError:
        # What was begun is known for longer than the owner remembers a key.
        begun = await cards.begun(tenant_id, key)
        if begun is None:
            raise
    else:
        begun = await cards.begin(tenant_id, principal.id, key, held, tokens)
    driven = await cards.drive(begun)
    if driven.made is not None:
        return driven.made.to(sale_made)
    return await _standing(shared, driven.payment)


async def _hold(
    shared: Resources, principal: Principal, key: RequestKey, draft: SaleDraft
) -> SaleHeld:
    """Has the goods of a sale held that is to be paid by card, if nothing stands against it."""

    async def wanted() -> HoldSale:
        if not CARDS.of(shared).is_on:
            raise CardsOff
        cause = f"card payment {payment_id(key)}"
        return HoldSale(await draft(), hold_id(key), HOLD_MS, cause)

    return (await desk.send(shared, principal, key, wanted)).reply


async def _standing(shared: Resources, payment: CardPayment) -> Sold:
    """The answer of a payment by card whose sale its owner has not just answered: that it waits, or
    the sale from its rows, whose receipts the owner has forgotten. Raises CardDeclined,
    SaleNotCompleted."""
    if payment.status == "completed":
        async with shared.db.transaction(Scope(payment.tenant_id)) as tx:
            found = await reading.sale(tx, payment.sale_id)
        if found is None:
            raise RuntimeError("a completed payment has a sale")
        return Ordered(sale_of(*found))
    named = {"cardPaymentId": str(payment.id)}
    if payment.status == "declined":
        place = next(charge.number + 1 for charge in payment.charges if charge.status == "declined")
        raise CardDeclined(extra=named | {"payment": place})
    if payment.status == "refunded":
        raise SaleNotCompleted(extra=named | {"reason": payment.problem})
    return card_payment_out(payment)


async def recorded_sale(
    shared: Resources, principal: Principal, sale_id: UUID, query: ReceiptNumberQuery
) -> SaleOut:
    """As it was written down. Raises NotFound, to a cashier also for a sale of somebody else's
    shift, unless the receipt's number is given."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.sale(tx, sale_id, cashier_filter(principal), query.receipt_number)
    if found is None:
        raise NotFound("There is no such sale here.")
    return sale_of(*found)


async def filters_of(shared: Resources, principal: Principal, query: SaleQuery) -> SaleFilters:
    """What a list of sales is narrowed to; a day is one in the zone of the location. Raises
    NotFound for a location that is not there."""
    since = until = None
    if query.date is not None:
        place = location_of(principal, query.location_id)
        terms = await terms_at(shared, tenant_of(principal), place)
        zone = ZoneInfo(terms.time_zone)
        since = datetime.combine(query.date, time.min, zone)
        until = datetime.combine(query.date + timedelta(days=1), time.min, zone)
    return SaleFilters(
        query.location_id,
        query.register_id,
        query.shift_id,
        query.customer_id,
        query.cashier_id,
        since,
        until,
        query.receipt_number,
        cashier_filter(principal),
        query.offline,
    )
