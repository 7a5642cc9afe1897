"""The commands that make sales, as a replica prepares them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from actors.till.messages import Sell, Tender
from actors.till.model import Method
from core.ids import uuid7
from core.money import from_minor, to_minor
from core.principal import MANAGEMENT, Principal
from deployments.kit.resources import Resources
from deployments.pos.customers import buyer
from deployments.pos.errors import TotalChanged
from deployments.pos.gift_cards import codes
from deployments.pos.gift_cards.schemas import NewGiftCardSale
from deployments.pos.gift_cards.service import SoldCard, check, line_of
from deployments.pos.payments import NewPayment
from deployments.pos.places import place_of
from deployments.pos.sales.schemas import NewSale
from deployments.pos.sales.tickets import basket_ticket, terms_at
from gateway.access import tenant_of

SaleDraft = Callable[[], Awaitable[Sell]]

_NO_CARDS: Mapping[int, Any] = {}


async def draft_sale(
    shared: Resources,
    principal: Principal,
    body: NewSale,
    cards: Mapping[int, SoldCard] = _NO_CARDS,
) -> Sell:
    """The command that makes the sale; `cards` are the gift cards in it. Raises TotalChanged when
    the caller expected another total, and what `ticket` raises."""
    check(cards.values(), shared.clock.now_ms())
    place = await place_of(shared, principal, body.location_id, body.register_id)
    priced_now = await basket_ticket(shared, principal, body, place, cards)
    currency = priced_now.currency
    if body.expected_total is not None:
        expected_minor = to_minor(body.expected_total, currency, "expectedTotal")
        if expected_minor != priced_now.due_minor:
            raise TotalChanged(extra={"total": float(from_minor(priced_now.due_minor, currency))})
    return Sell(
        uuid7(),
        body.register_id,
        place,
        currency,
        priced_now.lines,
        _tenders(tenant_of(principal), body.payments, currency),
        priced_now.tips_minor,
        priced_now.prices_include_tax,
        body.customer_id,
        body.note,
        body.reservation_id,
        tuple(card.new for card in cards.values()),
        by_manager=principal.role in MANAGEMENT,
        tax_exemption=priced_now.tax_exemption,
        measures=priced_now.measures,
    )


async def draft_card(
    shared: Resources, principal: Principal, body: NewGiftCardSale, card: SoldCard
) -> Sell:
    """The command that sells a gift card on a ticket of its own."""
    check([card], shared.clock.now_ms())
    tenant_id = tenant_of(principal)
    place = await place_of(shared, principal, body.location_id, body.register_id)
    terms = await terms_at(shared, tenant_id, place)
    await buyer(shared, tenant_id, body.customer_id)
    line = line_of(card.new.card_id, body.amount, terms.currency, "amount")
    return Sell(
        uuid7(),
        body.register_id,
        place,
        terms.currency,
        (line,),
        _tenders(tenant_id, body.payments, terms.currency),
        prices_include_tax=terms.prices_include_tax,
        customer_id=body.customer_id,
        new_cards=(card.new,),
        by_manager=principal.role in MANAGEMENT,
    )


def card_tokens(payments: Sequence[NewPayment]) -> dict[int, str]:
    """The cards that are to be charged, by the place of their payment."""
    return {
        place: payment.token for place, payment in enumerate(payments) if payment.token is not None
    }


def _tenders(tenant_id: UUID, payments: Sequence[NewPayment], currency: str) -> tuple[Tender, ...]:
    return tuple(
        Tender(
            Method(payment.method),
            to_minor(payment.amount, currency, f"payments[{place}].amount"),
            payment.reference,
            None if payment.code is None else codes.card_id(tenant_id, payment.code),
        )
        for place, payment in enumerate(payments)
    )
