"""From a basket to a sale: priced by the server, decided by the owner of stock and drawer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from actors.till.goods import needs
from core.errors import FieldError, NotFound, ValidationFailed
from core.ids import uuid7
from core.money import from_minor, to_minor
from core.principal import MANAGEMENT, Principal
from core.request import RequestKey
from deployments.inventory.service import tenant_of
from deployments.pos import answers as a
from deployments.pos import codes
from deployments.pos import schemas as s
from deployments.pos.commands import NO_CURRENCY, Receipts, ask, location_of, send
from deployments.pos.errors import TotalChanged
from deployments.pos.pricing import Ticket, priced
from deployments.resources import Resources
from store import business
from store.business import TillTerms
from store.engine import Scope

GIFT_CARD = "Gift card"


async def ticket(
    shared: Resources,
    principal: Principal,
    location_id: UUID | None,
    lines: Sequence[s.LineBody],
    discount: s.DiscountBody | None = None,
    tips: Decimal = Decimal(0),
) -> Ticket:
    """What a basket costs at a location now. Raises NotFound for a location that is not there,
    and what `priced` raises."""
    tenant_id = tenant_of(principal)
    names = {line.named[1:] for line in lines}
    found = await shared.price_book.prices(tenant_id, location_id or tenant_id, names)
    if found is None:
        raise NotFound("There is no such location here.")
    return priced(lines, found.items, found.terms, discount, tips)


async def basket_ticket(shared: Resources, principal: Principal, basket: s.Basket) -> Ticket:
    return await ticket(
        shared, principal, basket.location_id, basket.lines, basket.discount, basket.tips
    )


async def terms_at(shared: Resources, tenant_id: UUID, location_id: UUID) -> TillTerms:
    """What holds at a location now. Raises NotFound."""
    async with shared.db.lookup(Scope(tenant_id)) as lookup:
        terms = await business.till_terms(lookup, location_id)
    if terms is None:
        raise NotFound("There is no such location here.")
    return terms


async def shortages(
    shared: Resources, principal: Principal, basket: s.Basket, lines: Sequence[m.SaleLine]
) -> list[a.PartsOut]:
    """What could not be had of the lines now, bundles in their parts."""
    wanted = dict(needs(lines))
    place = location_of(principal, basket.location_id)
    asked = stock.GetLevels(tuple(wanted), place)
    reply = await ask(shared, principal, asked, stock.Levels, NO_CURRENCY)
    return [
        a.PartsOut(
            product_id=level.product_id,
            requested=wanted[level.product_id],
            available=max(level.available + level.backorder_limit, 0),
        )
        for level in reply.levels
        if level.available + level.backorder_limit < wanted[level.product_id]
    ]


async def draft_sale(shared: Resources, principal: Principal, body: s.SaleBody) -> t.Sell:
    """The command that makes the sale. Raises TotalChanged when the caller expected another
    total, and what `ticket` raises."""
    priced_now = await basket_ticket(shared, principal, body)
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
        by_manager=principal.role in MANAGEMENT,
    )


async def draft_card(
    shared: Resources, principal: Principal, key: RequestKey, body: s.GiftCardBody
) -> tuple[t.Sell, str]:
    """The command that sells a gift card, and the card's code."""
    tenant_id = tenant_of(principal)
    place = location_of(principal, body.location_id)
    terms = await terms_at(shared, tenant_id, place)
    code = body.code or codes.new_code(shared.edge, key.command_id)
    card_id = codes.card_id(tenant_id, code)
    amount_minor = to_minor(body.amount, terms.currency, "amount")
    line = m.SaleLine(
        card_id, card_id, GIFT_CARD, "", 1, amount_minor, 0, 0, 0, amount_minor, (), card_id
    )
    wanted = t.Sell(
        uuid7(),
        body.register_id,
        place,
        terms.currency,
        (line,),
        tenders(tenant_id, body.payments, terms.currency),
        prices_include_tax=terms.prices_include_tax,
        customer_id=body.customer_id,
        new_cards=(t.NewCard(card_id, codes.last_four(code), _expiry(shared, body.expires_at)),),
        by_manager=principal.role in MANAGEMENT,
    )
    return wanted, code


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
    shared: Resources, principal: Principal, key: RequestKey, wanted: t.Sell
) -> tuple[t.SaleMade, Receipts]:
    """Has it decided and committed: stock, drawer, gift cards, receipt, all or nothing."""
    return await send(shared, principal, key, wanted, t.SaleMade, wanted.currency)


def _expiry(shared: Resources, expires_at: datetime | None) -> int | None:
    if expires_at is None:
        return None
    expires_at_ms = int(expires_at.timestamp() * 1000)
    if expires_at_ms <= shared.clock.now_ms():
        raise ValidationFailed([FieldError("expiresAt", "must be in the future")])
    return expires_at_ms
