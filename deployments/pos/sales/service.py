"""From a basket to a sale: priced by the server, decided by the owner of stock and drawer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from actors.till.goods import needs
from core.errors import NotFound
from core.ids import uuid7
from core.money import from_minor, to_minor
from core.principal import MANAGEMENT, Principal
from core.request import RequestKey
from deployments.business.places import location_of
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from deployments.pos import answers as a
from deployments.pos import schemas as s
from deployments.pos.card_payments.service import CARDS, HOLD_MS, hold_id, made_now, payment_id
from deployments.pos.errors import CardsOff, TotalChanged
from deployments.pos.gift_cards import codes
from deployments.pos.gift_cards import service as gift_cards
from deployments.pos.gift_cards.service import NO_CARD, SoldCard
from deployments.pos.sales.price_book import PRICE_BOOK
from deployments.pos.sales.pricing import Ticket, priced
from gateway.access import tenant_of
from store.business import profile
from store.business.profile import TillTerms
from store.kit.engine import Scope

SaleDraft = Callable[[], Awaitable[t.Sell]]


class CardLine(NamedTuple):
    """A gift card as a line of a basket."""

    card_id: UUID
    amount: Decimal


_NO_CARDS: Mapping[int, Any] = {}


async def ticket(
    shared: Resources,
    principal: Principal,
    location_id: UUID | None,
    lines: Sequence[s.LineBody],
    discount: s.DiscountBody | None = None,
    tips: Decimal = Decimal(0),
    cards: Mapping[int, CardLine] = _NO_CARDS,
) -> Ticket:
    """What a basket costs at a location now; `cards` are by the place of the line that sells them.
    Raises NotFound for a location that is not there, and what `priced` raises."""
    tenant_id = tenant_of(principal)
    names = {line.named[1:] for place, line in enumerate(lines) if place not in cards}
    found = await PRICE_BOOK.of(shared).prices(tenant_id, location_id or tenant_id, names)
    if found is None:
        raise NotFound("There is no such location here.")
    currency = found.terms.currency
    card_lines = {
        place: gift_cards.line_of(card_id, amount, currency, f"lines[{place}].giftCard.amount")
        for place, (card_id, amount) in cards.items()
    }
    return priced(lines, found.items, found.terms, discount, tips, card_lines)


async def basket_ticket(
    shared: Resources,
    principal: Principal,
    basket: s.Basket,
    sold: Mapping[int, SoldCard] | None = None,
) -> Ticket:
    """What the basket costs now; `sold` are its gift cards, if they are to be sold."""
    cards = {
        place: CardLine(sold[place].new.card_id if sold else NO_CARD, line.gift_card.amount)
        for place, line in enumerate(basket.lines)
        if line.gift_card is not None
    }
    return await ticket(
        shared, principal, basket.location_id, basket.lines, basket.discount, basket.tips, cards
    )


async def terms_at(shared: Resources, tenant_id: UUID, location_id: UUID) -> TillTerms:
    """What holds at a location now. Raises NotFound."""
    async with shared.db.lookup(Scope(tenant_id)) as lookup:
        terms = await profile.till_terms(lookup, location_id)
    if terms is None:
        raise NotFound("There is no such location here.")
    return terms


async def shortages(
    shared: Resources, principal: Principal, basket: s.Basket, lines: Sequence[m.SaleLine]
) -> list[a.PartsOut]:
    """What could not be had of the lines now, bundles in their parts."""
    wanted = dict(needs(lines))
    if not wanted:
        return []
    place = location_of(principal, basket.location_id)
    asked = stock.GetLevels(tuple(wanted), place)
    reply = await desk.ask(shared, principal, asked)
    return [
        a.PartsOut(
            product_id=level.product_id,
            requested=wanted[level.product_id],
            available=max(level.available + level.backorder_limit, 0),
        )
        for level in reply.levels
        if level.available + level.backorder_limit < wanted[level.product_id]
    ]


async def draft_sale(
    shared: Resources,
    principal: Principal,
    body: s.SaleBody,
    cards: Mapping[int, SoldCard] = _NO_CARDS,
) -> t.Sell:
    """The command that makes the sale; `cards` are the gift cards in it. Raises TotalChanged when
    the caller expected another total, and what `ticket` raises."""
    gift_cards.check(cards.values(), shared.clock.now_ms())
    priced_now = await basket_ticket(shared, principal, body, cards)
    currency = priced_now.currency
    if body.expected_total is not None:
        expected_minor = to_minor(body.expected_total, currency, "expectedTotal")
        if expected_minor != priced_now.due_minor:
            raise TotalChanged(extra={"total": float(from_minor(priced_now.due_minor, currency))})
    return t.Sell(
        uuid7(),
        body.register_id,
        location_of(principal, body.location_id),
        currency,
        priced_now.lines,
        tenders(tenant_of(principal), body.payments, currency),
        priced_now.tips_minor,
        priced_now.prices_include_tax,
        body.customer_id,
        body.note,
        body.reservation_id,
        tuple(card.new for card in cards.values()),
        by_manager=principal.role in MANAGEMENT,
    )


async def draft_card(
    shared: Resources, principal: Principal, body: s.GiftCardBody, card: SoldCard
) -> t.Sell:
    """The command that sells a gift card on a ticket of its own."""
    gift_cards.check([card], shared.clock.now_ms())
    tenant_id = tenant_of(principal)
    place = location_of(principal, body.location_id)
    terms = await terms_at(shared, tenant_id, place)
    line = gift_cards.line_of(card.new.card_id, body.amount, terms.currency, "amount")
    return t.Sell(
        uuid7(),
        body.register_id,
        place,
        terms.currency,
        (line,),
        tenders(tenant_id, body.payments, terms.currency),
        prices_include_tax=terms.prices_include_tax,
        customer_id=body.customer_id,
        new_cards=(card.new,),
        by_manager=principal.role in MANAGEMENT,
    )


def tenders(
    tenant_id: UUID, payments: Sequence[s.PaymentBody], currency: str
) -> tuple[t.Tender, ...]:
    return tuple(
        t.Tender(
            m.Method(payment.method),
            to_minor(payment.amount, currency, f"payments[{place}].amount"),
            payment.reference,
            None if payment.code is None else codes.card_id(tenant_id, payment.code),
        )
        for place, payment in enumerate(payments)
    )


def card_tokens(payments: Sequence[s.PaymentBody]) -> dict[int, str]:
    """The cards that are to be charged, by the place of their payment."""
    return {place: one.token for place, one in enumerate(payments) if one.token is not None}


async def sell(
    shared: Resources, principal: Principal, key: RequestKey, draft: SaleDraft
) -> Ordered[t.SaleMade]:
    """Has it decided and committed: stock, drawer, gift cards, receipt, all or nothing."""
    made, receipts = await desk.send(shared, principal, key, draft)
    return Ordered(made_now(made), receipts)


async def hold(
    shared: Resources, principal: Principal, key: RequestKey, draft: SaleDraft
) -> t.SaleHeld:
    """Has the goods of a sale held that is to be paid by card, if nothing stands against it."""

    async def wanted() -> t.HoldSale:
        if not CARDS.of(shared).is_on:
            raise CardsOff
        cause = f"card payment {payment_id(key)}"
        return t.HoldSale(await draft(), hold_id(key), HOLD_MS, cause)

    return (await desk.send(shared, principal, key, wanted)).reply
