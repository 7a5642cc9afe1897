"""What baskets cost at a location now: the server's prices, its taxes, its rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from actors.stock.model import GetLevels
from actors.till.goods import needs
from actors.till.model import SaleLine
from core.errors import NotFound
from core.principal import Principal
from core.quantities import from_steps
from deployments.kit import desk
from deployments.kit.resources import Resources
from deployments.pos.customers import buyer, exemption
from deployments.pos.gift_cards.service import NO_CARD, SoldCard, line_of
from deployments.pos.places import place_of
from deployments.pos.sales.price_book import PRICE_BOOK
from deployments.pos.sales.pricing import Ticket, priced
from deployments.pos.sales.schemas import Basket, NewDiscount, NewLine, QuoteOut, ShortageOut
from deployments.pos.sales.shapes import quote_out
from gateway.access import tenant_of
from store.business import profile
from store.business.profile import TillTerms
from store.kit.engine import Scope


class CardLine(NamedTuple):
    """A gift card as a line of a basket."""

    card_id: UUID
    amount: Decimal


_NO_CARDS: Mapping[int, Any] = {}


async def ticket(
    shared: Resources,
    principal: Principal,
    location_id: UUID,
    lines: Sequence[NewLine],
    discount: NewDiscount | None = None,
    tips: Decimal = Decimal(0),
    cards: Mapping[int, CardLine] = _NO_CARDS,
    customer_id: UUID | None = None,
) -> Ticket:
    """What a basket costs at a location now, and the customer; `cards` are by the place of the line
    that sells them. Raises NotFound for a location or a customer that is not there, and what
    `priced` raises."""
    tenant_id = tenant_of(principal)
    names = {line.named[1:] for place, line in enumerate(lines) if place not in cards}
    found = await PRICE_BOOK.of(shared).prices(tenant_id, location_id, names)
    if found is None:
        raise NotFound("There is no such location here.")
    currency = found.terms.currency
    card_lines = {
        place: line_of(card_id, amount, currency, f"lines[{place}].giftCard.amount")
        for place, (card_id, amount) in cards.items()
    }
    sold_to = await buyer(shared, tenant_id, customer_id)
    spared = exemption(sold_to, shared.clock.now_ms(), found.terms.time_zone)
    return priced(lines, found.items, found.terms, discount, tips, card_lines, spared)


async def basket_ticket(
    shared: Resources,
    principal: Principal,
    basket: Basket,
    location_id: UUID,
    sold: Mapping[int, SoldCard] | None = None,
) -> Ticket:
    """What the basket costs there now; `sold` are its gift cards, if they are to be sold."""
    cards = {
        place: CardLine(sold[place].new.card_id if sold else NO_CARD, line.gift_card.amount)
        for place, line in enumerate(basket.lines)
        if line.gift_card is not None
    }
    return await ticket(
        shared,
        principal,
        location_id,
        basket.lines,
        basket.discount,
        basket.tips,
        cards,
        basket.customer_id,
    )


async def terms_at(shared: Resources, tenant_id: UUID, location_id: UUID) -> TillTerms:
    """What holds at a location now. Raises NotFound."""
    async with shared.db.lookup(Scope(tenant_id)) as lookup:
        terms = await profile.till_terms(lookup, location_id)
    if terms is None:
        raise NotFound("There is no such location here.")
    return terms


async def quote(shared: Resources, principal: Principal, basket: Basket) -> QuoteOut:
    """What the basket would cost now, and what there is too little of. Raises what `ticket`
    raises."""
    place = await place_of(shared, principal, basket.location_id, basket.register_id)
    goods = await basket_ticket(shared, principal, basket, place)
    return quote_out(goods, await _shortages(shared, principal, place, goods.lines))


async def _shortages(
    shared: Resources, principal: Principal, place: UUID, lines: Sequence[SaleLine]
) -> list[ShortageOut]:
    """What could not be had of the lines now, bundles in their parts."""
    wanted = dict(needs(lines))
    if not wanted:
        return []
    found = await desk.ask(shared, principal, GetLevels(tuple(wanted), place))
    return [
        ShortageOut(
            product_id=level.product_id,
            requested=from_steps(wanted[level.product_id], level.decimals),
            available=from_steps(max(level.available + level.backorder_limit, 0), level.decimals),
        )
        for level in found.levels
        if level.available + level.backorder_limit < wanted[level.product_id]
    ]
