"""Where the money of a return goes. It is always held against the sale's own payments, so that over
all returns no payment is refunded twice, whatever it is paid out in. Pure.

Each line goes back the way that it was paid: a gift card that was sold beside goods was not paid
for by the gift cards among the tenders, so nothing of it is held against these, and what is left of
the other tenders is kept for it until it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from actors.rules import refuse
from actors.runtime.family import Context, Decision, View
from actors.till import messages as t
from actors.till import model as m
from actors.till.cards import card_key, why_not

# Money goes back first where it can be traced.
_ORDER = (m.Method.CARD, m.Method.EXTERNAL, m.Method.GIFT_CARD, m.Method.CASH)
_FREE = (None, m.Method.STORE_CREDIT)
# What goes back onto a card must be of use to its holder: they have a day at least to spend it.
MIN_LIFE_MS = 24 * 3_600_000


class Owed(NamedTuple):
    """What a return is to pay back: for goods and tips, and for gift cards that come back."""

    goods_minor: int
    cards_minor: int


def owed(lines: Iterable[m.ReturnedLine], tips_minor: int) -> Owed:
    goods_minor, cards_minor = tips_minor, 0
    for line in lines:
        if line.sold.card_id is None:
            goods_minor += line.total_minor
        else:
            cards_minor += line.total_minor
    return Owed(goods_minor, cards_minor)


def refunds(
    view: View,
    sale: m.Sale,
    command: t.Return,
    lines: tuple[m.ReturnedLine, ...],
    wanted: Owed,
    context: Context,
) -> tuple[m.Refund, ...] | Decision:
    """Refused: manager_needed, more_than_paid, refund_to_returned_card, gift_card_expires_soon, and
    what keeps a gift card from being paid onto."""
    amounts = _held(sale, wanted)
    total_minor = wanted.goods_minor + wanted.cards_minor
    if sum(amounts.values()) < total_minor:
        return refuse("more_than_paid", left=sum(amounts.values()))
    back = {line.sold.card_id for line in lines if line.sold.card_id is not None}
    found = []
    for number, amount in amounts.items():
        payment = sale.payments[number]
        method = command.refund_to or payment.method
        if method is not payment.method and method not in _FREE and not command.by_manager:
            return refuse("manager_needed", tender=payment.method)
        card_id = command.card_id
        if method is m.Method.STORE_CREDIT:
            card_id = command.new_card.card_id if command.new_card else None
        elif method is m.Method.GIFT_CARD:
            card_id = card_id or payment.card_id
            if refusal := _unfit(view, card_id, sale, command, back, context):
                return refusal
        reference = payment.reference if method is payment.method else None
        found.append(m.Refund(method, amount, number, card_id, reference))
    return tuple(found)


def _held(sale: m.Sale, wanted: Owed) -> dict[int, int]:
    """How much is held against which payment, by its number; in all less than what is wanted where
    that is more than is left."""
    numbers = sorted(
        range(len(sale.payments)), key=lambda number: _ORDER.index(sale.payments[number].method)
    )
    left = {number: sale.payments[number].left_minor for number in numbers}
    others = [n for n in numbers if sale.payments[n].method is not m.Method.GIFT_CARD]
    kept_minor = sum(line.total_minor for line in sale.lines if line.card_id and not line.returned)
    amounts = dict.fromkeys(numbers, 0)
    cards_minor = wanted.cards_minor
    for number in others:
        taken = min(cards_minor, left[number])
        cards_minor -= taken
        left[number] -= taken
        amounts[number] += taken
    kept_minor -= wanted.cards_minor
    goods_minor = wanted.goods_minor
    spare_minor = max(sum(left[number] for number in others) - kept_minor, 0)
    for number in numbers:
        taken = min(goods_minor, left[number])
        if number in others:
            taken = min(taken, spare_minor)
            spare_minor -= taken
        goods_minor -= taken
        amounts[number] += taken
    return {number: amount for number, amount in amounts.items() if amount}


def _unfit(
    view: View,
    card_id: UUID | None,
    sale: m.Sale,
    command: t.Return,
    back: set[UUID],
    context: Context,
) -> Decision | None:
    """Why no money may go onto a card, if it may not. A void takes back what was paid in the same
    shift, so a card that still holds then is as good as it was. Refused: refund_to_returned_card,
    gift_card_not_found, gift_card_expires_soon, and what `why_not` says."""
    if card_id in back:
        return refuse("refund_to_returned_card")
    card: m.GiftCard | None = view.get(card_key(context, card_id)) if card_id else None
    code = why_not(card, sale.currency, context)
    if card is None or code is not None:
        return refuse(code or "gift_card_not_found")
    if card.expires_at_ms is None or command.void:
        return None
    soon = card.expires_at_ms <= context.now_ms + MIN_LIFE_MS
    return refuse("gift_card_expires_soon") if soon else None
