"""How the demo's customers pay, and what a basket must cost. Pure; money is in minor units.

What is due is worked out here from price, quantity, discount and rate, so that a wrong total or
tax of the server's is found on the receipt itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from cli.demo.documents import PPM, Sale, SoldLine, Units, major

VAT_PERCENT = 20
VAT_PPM = 200_000
_NOTE_MINOR = 500
_DENOMINATIONS = (5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)


class Tender(StrEnum):
    """How a customer pays. Whose card is declined, the second one too, or called off, pays cash
    after all; of an unknown one the till hears later."""

    CASH = "cash"
    CARD = "card"
    SPLIT = "card and cash"
    TWO_CARDS = "two cards"
    GIFT_CARD = "gift card"
    EXTERNAL = "other terminal"
    DECLINED = "declined card"
    SECOND_DECLINED = "second card declined"
    UNKNOWN = "unknown card"
    UNKNOWN_DECLINED = "unknown card, declined"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The sandbox's cards, in the order in which they are charged."""
        return _TOKENS.get(self, ())

    @property
    def is_slow(self) -> bool:
        """Whether the sandbox never answers for it, so that only later it is known what became
        of it."""
        return self in (Tender.UNKNOWN, Tender.UNKNOWN_DECLINED)


_TOKENS = {
    Tender.CARD: ("tok_approve",),
    Tender.SPLIT: ("tok_approve",),
    Tender.TWO_CARDS: ("tok_approve", "tok_approve"),
    Tender.DECLINED: ("tok_decline",),
    Tender.SECOND_DECLINED: ("tok_approve", "tok_decline"),
    Tender.UNKNOWN: ("tok_unknown",),
    Tender.UNKNOWN_DECLINED: ("tok_unknown_declined",),
}

# One customer after the other, again and again. Their number is a prime, so that each register
# sees every tender.
_USUAL = (
    Tender.CASH,
    Tender.CARD,
    Tender.CASH,
    Tender.SPLIT,
    Tender.CASH,
    Tender.GIFT_CARD,
    Tender.CASH,
    Tender.TWO_CARDS,
    Tender.EXTERNAL,
)
_WHEEL = (
    *_USUAL,
    Tender.DECLINED,
    *_USUAL,
    Tender.UNKNOWN,
    *_USUAL,
    Tender.SECOND_DECLINED,
    *_USUAL,
    Tender.UNKNOWN_DECLINED,
    Tender.CASH,
)


def tender_of(number: int) -> Tender:
    """How the customer of that number pays."""
    return _WHEEL[number % len(_WHEEL)]


@dataclass(frozen=True, slots=True)
class Bill:
    """What a basket must cost, line by line. `discount_percent` is off each line."""

    lines: tuple[SoldLine, ...]
    discount_percent: int = 0

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)

    @property
    def units(self) -> dict[str, Units]:
        return {line.product_id: line.quantity for line in self.lines}

    def basket(self) -> list[dict[str, Any]]:
        """As a sale's `lines`."""
        discount = {"discount": {"percent": self.discount_percent}} if self.discount_percent else {}
        return [
            {"productId": line.product_id, "quantity": line.quantity, **discount}
            for line in self.lines
        ]

    def faults(self, sale: Sale) -> list[str]:
        """What the receipt of this basket has wrong."""
        found = []
        if sale.lines != self.lines:
            found.append(f"has the lines {sale.lines}, due was {self.lines}")
        if sale.total_minor != self.total_minor:
            found.append(f"comes to {sale.total_minor}, due was {self.total_minor}")
        if sale.tax_minor != sum(line.tax_minor for line in self.lines):
            found.append(f"has {sale.tax_minor} of tax, which is not that of its lines")
        if sale.tendered_minor - sale.change_minor != self.total_minor:
            found.append(f"took {sale.tendered_minor} and gave {sale.change_minor} back")
        if sum(paid.amount_minor for paid in sale.payments) != self.total_minor:
            found.append(f"is paid with {sale.payments}")
        return found


def bill_of(
    units: Mapping[str, Units], prices_minor: Mapping[str, int], discount_percent: int = 0
) -> Bill:
    """The bill for units by product id, at prices that include VAT. What it costs, discount and
    tax are rounded per line, half up."""
    lines = []
    for product_id, quantity in units.items():
        price = prices_minor[product_id]
        listed = _rounded(Decimal(price * quantity))
        discount = _rounded(Decimal(listed * discount_percent) / 100)
        total = listed - discount
        tax = _rounded(Decimal(total) * VAT_PPM / (PPM + VAT_PPM))
        lines.append(SoldLine(product_id, quantity, price, discount, VAT_PPM, tax, total))
    return Bill(tuple(lines), discount_percent)


def payments_for(tender: Tender, due_minor: int, gift_card: str | None = None) -> list[Any]:
    """A sale's `payments`. Cash is handed over in notes, so that there is change; `gift_card` is
    the code of one with what `gift_card_for` says."""
    payments: list[dict[str, Any]] = []
    left = due_minor
    if tender is Tender.GIFT_CARD and gift_card is not None:
        amount = -(-left // 2)
        payments.append({"method": "gift_card", "amount": major(amount), "code": gift_card})
        left -= amount
    elif tender is Tender.EXTERNAL:
        payments.append({"method": "external", "amount": major(left), "reference": "terminal 7"})
        left = 0
    parts = len(tender.tokens) + (tender is Tender.SPLIT)
    for place, token in enumerate(tender.tokens):
        # A penny is too little for two.
        if amount := -(-left // (parts - place)):
            payments.append({"method": "card", "amount": major(amount), "token": token})
            left -= amount
    if left:
        payments.append({"method": "cash", "amount": major(in_notes(left))})
    return payments


def in_notes(amount_minor: int) -> int:
    """The least that covers an amount without coins."""
    return -(-amount_minor // _NOTE_MINOR) * _NOTE_MINOR


def gift_card_for(due_minor: int) -> int:
    """What is put on the gift card that pays for half of a bill, and has some change left."""
    return in_notes(-(-due_minor // 2))


def denominations(amount_minor: int) -> list[dict[str, Any]]:
    """A drawer's cash, counted by note and coin."""
    counts = []
    for value in _DENOMINATIONS:
        pieces, amount_minor = divmod(amount_minor, value)
        if pieces:
            counts.append({"value": major(value), "pieces": pieces})
    return counts


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
