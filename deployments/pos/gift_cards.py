"""Gift cards among what is sold: one on a ticket of its own, or several in a basket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from actors.till import messages as t
from actors.till import model as m
from core.errors import FieldError, ValidationFailed
from core.money import to_minor
from core.request import RequestKey
from deployments.inventory.service import moment
from deployments.pos import answers as a
from deployments.pos import codes
from deployments.pos import schemas as s
from deployments.resources import Resources

NAME = "Gift card"
# Of a card in a quote, which nobody has bought yet.
NO_CARD = UUID(int=0)


class SoldCard(NamedTuple):
    """A gift card that a request sells, and its code."""

    code: str
    amount: Decimal
    new: t.NewCard


def sold_card(
    shared: Resources, tenant_id: UUID, key: RequestKey, wanted: s.NewGiftCard, field: str = ""
) -> SoldCard:
    """The card that `wanted` becomes: with the same key the same. `field` is where it stands in
    the body. Raises ValidationFailed."""
    code = wanted.code or codes.new_code(shared.edge, key.command_id)
    expires_at_ms = None
    if wanted.expires_at is not None:
        expires_at_ms = int(wanted.expires_at.timestamp() * 1000)
        if expires_at_ms <= shared.clock.now_ms():
            raise ValidationFailed([FieldError(f"{field}expiresAt", "must be in the future")])
    card_id = codes.card_id(tenant_id, code)
    return SoldCard(code, wanted.amount, t.NewCard(card_id, codes.last_four(code), expires_at_ms))


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


def told(cards: Mapping[int, SoldCard], lines: Sequence[a.LineOut]) -> list[a.SoldCardOut]:
    """What the buyer learns of the cards in a sale. After a change of the signing key a repeat
    cannot tell a code again."""
    found = []
    for place, card in cards.items():
        known = lines[place].item_id == card.new.card_id
        expires_at_ms = card.new.expires_at_ms
        found.append(
            a.SoldCardOut(
                line=place + 1,
                code=card.code if known else None,
                last_four=card.new.last_four if known else "",
                balance=lines[place].total,
                expires_at=_moment(expires_at_ms),
            )
        )
    return found


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else moment(at_ms)
