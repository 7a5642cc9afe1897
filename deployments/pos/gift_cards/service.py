"""Gift cards among what is sold: one on a ticket of its own, or several in a basket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from actors.till import messages as t
from actors.till import model as m
from core import moments
from core.errors import FieldError, ValidationFailed
from core.moments import of_ms
from core.money import to_minor
from core.request import RequestKey
from deployments.kit.resources import Resources
from deployments.pos import answers as a
from deployments.pos import schemas as s
from deployments.pos.gift_cards import codes
from gateway.edge import Edge

NAME = "Gift card"
# Of a card in a quote, which nobody has bought yet.
NO_CARD = UUID(int=0)


class SoldCard(NamedTuple):
    """A gift card that a request sells, and its code. `field` is where it stands in the body,
    `command_id` what its code is made of, unless the client gave one."""

    code: str
    amount: Decimal
    new: t.NewCard
    field: str
    command_id: UUID


def sold_card(
    shared: Resources, tenant_id: UUID, key: RequestKey, wanted: s.NewGiftCard, field: str = ""
) -> SoldCard:
    """The card that `wanted` becomes. Nothing is judged."""
    code = wanted.code or codes.new_code(shared.edge, key.command_id)
    expires_at_ms = None
    if wanted.expires_at is not None:
        expires_at_ms = moments.to_ms(wanted.expires_at)
    card_id = codes.card_id(tenant_id, code)
    new = t.NewCard(card_id, codes.last_four(code), expires_at_ms)
    return SoldCard(code, wanted.amount, new, field, key.command_id)


def check(cards: Iterable[SoldCard], now_ms: int) -> None:
    """Raises ValidationFailed for a card that would be expired."""
    for card in cards:
        if card.new.expires_at_ms is not None and card.new.expires_at_ms <= now_ms:
            raise ValidationFailed([FieldError(f"{card.field}expiresAt", "must be in the future")])


def cards_in(
    shared: Resources, tenant_id: UUID, key: RequestKey, lines: Iterable[s.BasketLine]
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


def line_of(card_id: UUID, amount: Decimal, currency: str, field: str) -> m.SaleLine:
    """The line that sells a card: no goods, no tax, no discount."""
    amount_minor = to_minor(amount, currency, field)
    return m.SaleLine(
        card_id, card_id, NAME, "", 1, amount_minor, 0, 0, 0, amount_minor, (), card_id
    )


def told(
    edge: Edge, tenant_id: UUID, cards: Mapping[int, SoldCard], lines: Sequence[a.LineOut]
) -> list[a.SoldCardOut]:
    """What the buyer learns of the cards in a sale, by what was written. A repeat cannot tell a
    code again once the key that it was made with is gone."""
    found = []
    for place, card in cards.items():
        made_id = lines[place].item_id
        code: str | None = card.code
        if card.new.card_id != made_id:
            code = codes.code_of(edge, card.command_id, tenant_id, made_id)
        expires_at_ms = card.new.expires_at_ms
        found.append(
            a.SoldCardOut(
                line=place + 1,
                code=code,
                last_four=codes.last_four(code) if code else "",
                balance=lines[place].total,
                expires_at=_moment(expires_at_ms),
            )
        )
    return found


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else of_ms(at_ms)
