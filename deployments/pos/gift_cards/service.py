"""Gift cards among what is sold: one on a ticket of its own, or several in a basket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from actors.till.messages import DisableCard, GetCard, NewCard
from actors.till.model import GiftCard, SaleLine
from core.errors import FieldError, ValidationFailed
from core.moments import of_ms, to_ms
from core.money import from_minor, to_minor
from core.principal import Principal
from core.request import RequestKey
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from deployments.pos.gift_cards import codes
from deployments.pos.gift_cards.schemas import GiftCardOut, NewGiftCard, SoldGiftCardOut
from deployments.pos.sales.schemas import BasketLine, SaleLineOut
from gateway.access import tenant_of
from gateway.edge import Edge

NAME = "Gift card"
# Of a card in a quote, which nobody has bought yet.
NO_CARD = UUID(int=0)


class SoldCard(NamedTuple):
    """A gift card that a request sells, and its code. `field` is where it stands in the body,
    `command_id` what its code is made of, unless the client gave one."""

    code: str
    amount: Decimal
    new: NewCard
    field: str
    command_id: UUID


def sold_card(
    shared: Resources, tenant_id: UUID, key: RequestKey, wanted: NewGiftCard, field: str = ""
) -> SoldCard:
    """The card that `wanted` becomes. Nothing is judged."""
    code = wanted.code or codes.new_code(shared.edge, key.command_id)
    expires_at_ms = None
    if wanted.expires_at is not None:
        expires_at_ms = to_ms(wanted.expires_at)
    card_id = codes.card_id(tenant_id, code)
    new = NewCard(card_id, codes.last_four(code), expires_at_ms)
    return SoldCard(code, wanted.amount, new, field, key.command_id)


def check(cards: Iterable[SoldCard], now_ms: int) -> None:
    """Raises ValidationFailed for a card that would be expired."""
    for card in cards:
        if card.new.expires_at_ms is not None and card.new.expires_at_ms <= now_ms:
            raise ValidationFailed([FieldError(f"{card.field}expiresAt", "must be in the future")])


def cards_in(
    shared: Resources, tenant_id: UUID, key: RequestKey, lines: Iterable[BasketLine]
) -> dict[int, SoldCard]:
    """The cards that a basket sells, by the place of their line."""
    return {
        place: sold_card(
            shared,
            tenant_id,
            key.step(f"gift card {place}"),
            line.gift_card,
            f"lines[{place}].giftCard.",
        )
        for place, line in enumerate(lines)
        if line.gift_card is not None
    }


def line_of(card_id: UUID, amount: Decimal, currency: str, field: str) -> SaleLine:
    """The line that sells a card: no goods, no tax, no discount."""
    amount_minor = to_minor(amount, currency, field)
    return SaleLine(card_id, card_id, NAME, "", 1, amount_minor, 0, 0, 0, amount_minor, (), card_id)


def sold_cards_out(
    edge: Edge, tenant_id: UUID, cards: Mapping[int, SoldCard], lines: Sequence[SaleLineOut]
) -> list[SoldGiftCardOut]:
    """What the buyer learns of the cards in a sale, by what was written. A repeat cannot show a
    code again once the key that it was made with is gone."""
    found = []
    for place, card in cards.items():
        made_id = lines[place].product_id
        code: str | None = card.code
        if card.new.card_id != made_id:
            code = codes.code_of(edge, card.command_id, tenant_id, made_id)
        expires_at_ms = card.new.expires_at_ms
        found.append(
            SoldGiftCardOut(
                line=place + 1,
                code=code,
                last_four=codes.last_four(code) if code else "",
                balance=lines[place].total,
                expires_at=_moment(expires_at_ms),
            )
        )
    return found


async def card(shared: Resources, principal: Principal, code: str) -> GiftCardOut:
    """What is on a card. Raises NotFound."""
    found = await desk.ask(shared, principal, GetCard(_id_of(principal, code)))
    return _card_out(found.card, shared.clock.now_ms())


async def disable(
    shared: Resources, principal: Principal, key: RequestKey, code: str
) -> Ordered[GiftCardOut]:
    """The card pays nothing any more. Raises NotFound."""
    disabled = await desk.send(shared, principal, key, DisableCard(_id_of(principal, code)))
    return disabled.to(lambda found: _card_out(found.card, shared.clock.now_ms()))


def _id_of(principal: Principal, code: str) -> UUID:
    return codes.card_id(tenant_of(principal), code)


def _card_out(card: GiftCard, now_ms: int) -> GiftCardOut:
    expired = card.expires_at_ms is not None and card.expires_at_ms <= now_ms
    status = "disabled" if card.disabled else "expired" if expired else "active"
    return GiftCardOut(
        last_four=card.last_four,
        currency=card.currency,
        initial=from_minor(card.initial_minor, card.currency),
        balance=from_minor(card.balance_minor, card.currency),
        expires_at=_moment(card.expires_at_ms),
        status=status,
    )


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else of_ms(at_ms)
