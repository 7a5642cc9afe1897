"""Where the money of a return goes. It is always held against the sale's own payments, so that over
all returns no payment is refunded twice, whatever it is paid out in. Pure.

Each line goes back the way that it was paid: a gift card that was sold beside goods was not paid
for by the gift cards among the tenders, so nothing of it is held against these, and what is left of
the other tenders is kept for it until it comes back. Cash goes back in amounts that there are coins
for.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from actors.rules import refuse
from actors.runtime.family import Context, Decision, View
from actors.till import messages as t
from actors.till import model as m
from actors.till.cards import card_key, why_not
from core.cash import payable

# Money goes back first where it can be traced.
_ORDER = (m.Method.CARD, m.Method.EXTERNAL, m.Method.GIFT_CARD, m.Method.CASH)
_FREE = (None, m.Method.STORE_CREDIT)
# What goes back onto a card must be of use to its holder: they have a day at least to spend it.
MIN_LIFE_MS = 24 * 3_600_000


class Back(NamedTuple):
    """What a return takes back: its lines and tips, with what they are worth."""

    lines: tuple[m.ReturnedLine, ...]
    tips_minor: int

    @property
    def cards_minor(self) -> int:
        """The part of it that is gift cards."""
        return sum(line.total_minor for line in self.lines if line.sold.card_id is not None)

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines) + self.tips_minor


def refunds(
    view: View,
    sale: m.Sale,
    command: t.Return,
    back: Back,
    step_minor: int,
    context: Context,
) -> tuple[m.Refund, ...] | Decision:
    """`step_minor` is what cash at this register is paid in. Refused: manager_needed,
    more_than_paid, refund_to_returned_card, gift_card_expires_soon, and what keeps a gift card from
    being paid onto."""
    owed_minor, lacking_minor = _owed(sale, back)
    amounts = _held(sale, owed_minor, min(back.cards_minor, owed_minor))
    if sum(amounts.values()) + lacking_minor < owed_minor:
        return refuse("more_than_paid", left=sum(amounts.values()))
    methods = {number: command.refund_to or sale.payments[number].method for number in amounts}
    in_cash = [number for number in amounts if methods[number] is m.Method.CASH]
    _round(sale, amounts, in_cash, step_minor)
    returned = {line.sold.card_id for line in back.lines if line.sold.card_id is not None}
    found = []
    for number, amount in amounts.items():
        payment, method = sale.payments[number], methods[number]
        if method is not payment.method and method not in _FREE and not command.by_manager:
            return refuse("manager_needed", tender=payment.method)
        card_id = command.card_id
        if method is m.Method.STORE_CREDIT:
            card_id = command.new_card.card_id if command.new_card else None
        elif method is m.Method.GIFT_CARD:
            card_id = card_id or payment.card_id
            if refusal := _unfit(view, card_id, sale, command, returned, context):
                return refusal
        reference = payment.reference if method is payment.method else None
        if amount:
            found.append(m.Refund(method, amount, number, card_id, reference))
    return tuple(found)


def _owed(sale: m.Sale, back: Back) -> tuple[int, int]:
    """What is owed for what comes back, and how much of that may be lacking because less was paid.

    It is what was paid for it, to the coin: what comes back as a whole, whether at once or piece by
    piece, brings all back that was paid, and no piece brings more than is left. So the rounding of
    the sale goes back with the last piece, and each piece makes up for that of those before.
    """
    left_minor = sum(payment.left_minor for payment in sale.payments)
    units = {number: line.returned for number, line in enumerate(sale.lines)}
    before = sum(line.share(line.total_minor, line.returned) for line in sale.lines)
    open_minor = sum(line.total_minor for line in sale.lines) + sale.tips_minor - before
    # Of the sale's rounding and that of earlier returns, what has not gone back.
    rounding_minor = left_minor - open_minor
    for line in back.lines:
        units[line.number] += line.quantity
    is_all = all(units[number] == line.quantity for number, line in enumerate(sale.lines))
    if not is_all:
        rounding_minor -= sale.rounding_minor
    return max(back.total_minor + rounding_minor, 0), max(-sale.rounding_minor, 0)


def _held(sale: m.Sale, owed_minor: int, cards_minor: int) -> dict[int, int]:
    """How much is held against which payment, by its number; in all less than what is owed where
    that is more than is left."""
    numbers = sorted(
        range(len(sale.payments)), key=lambda number: _ORDER.index(sale.payments[number].method)
    )
    left = {number: sale.payments[number].left_minor for number in numbers}
    others = [n for n in numbers if sale.payments[n].method is not m.Method.GIFT_CARD]
    kept_minor = sum(line.total_minor for line in sale.lines if line.card_id and not line.returned)
    kept_minor -= cards_minor
    goods_minor = owed_minor - cards_minor
    amounts = dict.fromkeys(numbers, 0)
    for number in others:
        taken = min(cards_minor, left[number])
        cards_minor -= taken
        left[number] -= taken
        amounts[number] += taken
    spare_minor = max(sum(left[number] for number in others) - kept_minor, 0)
    for number in numbers:
        taken = min(goods_minor, left[number])
        if number in others:
            taken = min(taken, spare_minor)
            spare_minor -= taken
        goods_minor -= taken
        amounts[number] += taken
    return {number: amount for number, amount in amounts.items() if amount}


def _round(sale: m.Sale, amounts: dict[int, int], in_cash: list[int], step_minor: int) -> None:
    """Makes the sum of the amounts that go back in cash one that coins can pay, and no more than is
    left of their payments."""
    exact = sum(amounts[number] for number in in_cash)
    left = {number: sale.payments[number].left_minor for number in in_cash}
    paid = min(payable(exact, step_minor), sum(left.values()) // step_minor * step_minor)
    more = paid - exact
    for number in in_cash:
        moved = max(min(more, left[number] - amounts[number]), -amounts[number])
        amounts[number] += moved
        more -= moved


def _unfit(
    view: View,
    card_id: UUID | None,
    sale: m.Sale,
    command: t.Return,
    returned: set[UUID],
    context: Context,
) -> Decision | None:
    """Why no money may go onto a card, if it may not. A void takes back what was paid in the same
    shift, so a card that still holds then is as good as it was. Refused: refund_to_returned_card,
    gift_card_not_found, gift_card_expires_soon, and what `why_not` says."""
    if card_id in returned:
        return refuse("refund_to_returned_card")
    card: m.GiftCard | None = view.get(card_key(context, card_id)) if card_id else None
    code = why_not(card, sale.currency, context)
    if card is None or code is not None:
        return refuse(code or "gift_card_not_found")
    if card.expires_at_ms is None or command.void:
        return None
    soon = card.expires_at_ms <= context.now_ms + MIN_LIFE_MS
    return refuse("gift_card_expires_soon") if soon else None
