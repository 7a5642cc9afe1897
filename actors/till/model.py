"""States and events of the till. Money is in minor units of the business's currency, quantities
are whole steps (`core.quantities`), times are in ms since the epoch, UTC.

A register has at most one open shift, and gives its receipts numbers without gaps: the number is
taken in the commit that makes the sale or the return true. expected cash = opening float + cash
taken - cash refunded + paid in - paid out, never below zero.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from core.cash import NO_ROUNDING
from core.money import line_minor
from core.quantities import PIECE

MAX_SALE_LINES = 500
MAX_PAYMENTS = 20
MAX_AMOUNT_MINOR = 10**13 - 1
PPM = 1_000_000

REGISTER, SALE, RETURN, GIFT_CARD = "register", "sale", "return", "gift_card"


class Method(StrEnum):
    """How money changes hands. `external` is what another device settled; `store_credit` is how
    a return may be paid, by a new gift card."""

    CASH = "cash"
    CARD = "card"
    GIFT_CARD = "gift_card"
    EXTERNAL = "external"
    STORE_CREDIT = "store_credit"


class Part(NamedTuple):
    """What leaves the shelf for each step of a line: the item itself, or a bundle's parts."""

    item_id: UUID
    quantity: int


class SaleLine(msgspec.Struct, frozen=True, array_like=True):
    """A line as it was sold. `total_minor` is what is paid for it: all units, less discounts,
    tax included; `tax_minor` is the tax in it. A line with a `card_id` sells a gift card, which
    has no parts and no tax, a service no parts. `quantity` and `returned` are steps of
    10^-decimals of `unit`, whose price is `unit_price_minor`."""

    item_id: UUID
    product_id: UUID
    name: str
    sku: str
    quantity: int
    unit_price_minor: int
    discount_minor: int
    tax_rate_ppm: int
    tax_minor: int
    total_minor: int
    parts: tuple[Part, ...] = ()
    card_id: UUID | None = None
    returned: int = 0
    decimals: int = 0
    unit: str = PIECE

    @property
    def measured_by(self) -> str | None:
        """The unit of what is not sold by the piece."""
        return None if self.unit == PIECE else self.unit

    @property
    def listed_minor(self) -> int:
        """What it costs without discounts."""
        return line_minor(self.unit_price_minor, self.quantity, self.decimals)

    def share(self, amount_minor: int, units: int) -> int:
        """What of an amount of the whole line belongs to its first `units`. Shares of parts that
        follow each other add up to the amount, to the cent."""
        return amount_minor * units // self.quantity


class Payment(msgspec.Struct, frozen=True, array_like=True):
    """`amount_minor` is what counts towards the sale, without change; `card_id` the gift card
    that paid; `reference` what the other side calls it."""

    method: Method
    amount_minor: int
    reference: str | None = None
    card_id: UUID | None = None
    refunded_minor: int = 0

    @property
    def left_minor(self) -> int:
        return self.amount_minor - self.refunded_minor


class Totals(msgspec.Struct, frozen=True):
    """What a shift has seen so far. `taxes` are by rate in ppm: what was taxed (without the tax)
    and the tax, less what returns took back; `taken` and `refunded` are by tender, and so is
    `payments`, how many were taken. `earlier_cash_minor` is what was taken of it in cash before
    the shift was opened, offline; `cash_rounding_minor` how much more cash was kept than was due,
    because there are no smaller coins, so that sales - returns + tips + gift cards sold + cash
    rounding = taken - refunded."""

    sales: int = 0
    sales_minor: int = 0
    returns: int = 0
    returns_minor: int = 0
    discounts_minor: int = 0
    tips_minor: int = 0
    gift_cards_sold_minor: int = 0
    taken: dict[str, int] = {}
    refunded: dict[str, int] = {}
    taxes: dict[int, tuple[int, int]] = {}
    paid_in_minor: int = 0
    paid_out_minor: int = 0
    no_sales: int = 0
    payments: dict[str, int] = {}
    earlier_cash_minor: int = 0
    cash_rounding_minor: int = 0

    @property
    def cash_minor(self) -> int:
        """What all of it did to the drawer."""
        cash = self.taken.get(Method.CASH, 0) - self.refunded.get(Method.CASH, 0)
        return cash + self.paid_in_minor - self.paid_out_minor

    def plus(self, more: Totals) -> Totals:
        """Both together."""
        taxes = dict(self.taxes)
        for rate, (net, tax) in more.taxes.items():
            before = taxes.get(rate, (0, 0))
            taxes[rate] = (before[0] + net, before[1] + tax)
        return Totals(
            self.sales + more.sales,
            self.sales_minor + more.sales_minor,
            self.returns + more.returns,
            self.returns_minor + more.returns_minor,
            self.discounts_minor + more.discounts_minor,
            self.tips_minor + more.tips_minor,
            self.gift_cards_sold_minor + more.gift_cards_sold_minor,
            _sums(self.taken, more.taken),
            _sums(self.refunded, more.refunded),
            taxes,
            self.paid_in_minor + more.paid_in_minor,
            self.paid_out_minor + more.paid_out_minor,
            self.no_sales + more.no_sales,
            _sums(self.payments, more.payments),
            self.earlier_cash_minor + more.earlier_cash_minor,
            self.cash_rounding_minor + more.cash_rounding_minor,
        )


def _sums(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    if not other:
        return one
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


class Shift(msgspec.Struct, frozen=True):
    """`cash_step_minor` is what amounts in cash are multiples of, for as long as it is open."""

    id: UUID
    number: int
    opened_by: str
    opened_at_ms: int
    opening_float_minor: int
    currency: str
    totals: Totals = Totals()
    cash_step_minor: int = NO_ROUNDING

    @property
    def expected_minor(self) -> int:
        """The cash that should be in the drawer."""
        return self.opening_float_minor + self.totals.cash_minor


class Register(msgspec.Struct, frozen=True):
    """A till. `discount_limit_percent` is how much of a sale may be given away without a manager;
    `shifts` counts those opened so far."""

    location_id: UUID
    name: str
    discount_limit_percent: int
    next_receipt_number: int = 1
    shifts: int = 0
    shift: Shift | None = None
    removed: bool = False
    sequence: int = 0


class SaleStatus(StrEnum):
    COMPLETED = "completed"
    PARTLY_RETURNED = "partly_returned"
    RETURNED = "returned"
    VOIDED = "voided"


class Offline(msgspec.Struct, frozen=True, array_like=True):
    """Of a sale that a register made without a network and uploaded later. `client_sale_id` is
    the register's own name for it, `number` the one on its paper, `digest` that of all it said of
    the sale; `cashier` is who sold; `clock_ahead_ms` how much later than it was uploaded it says to
    have happened, by a clock that is fast."""

    client_sale_id: UUID
    occurred_at_ms: int
    cashier: str
    digest: bytes
    number: str | None = None
    clock_ahead_ms: int = 0


class Sale(msgspec.Struct, frozen=True):
    """What a return is held against. `tips_minor` goes back with a void only; `digest` is that of
    an upload, by which its repeat is known; `rounding_minor` is how much more was paid than was
    due, because there are no smaller coins, or with a sign how much less."""

    register_id: UUID
    location_id: UUID
    shift_id: UUID
    receipt_number: int
    currency: str
    status: SaleStatus
    tips_minor: int
    lines: tuple[SaleLine, ...]
    payments: tuple[Payment, ...]
    sequence: int = 1
    digest: bytes | None = None
    rounding_minor: int = 0


class GiftCard(msgspec.Struct, frozen=True):
    """A card with money on it. Its id is a digest of its code, so that a buyer with the code finds
    it, and a reader of the database does not have the code."""

    currency: str
    last_four: str
    initial_minor: int
    balance_minor: int
    expires_at_ms: int | None = None
    disabled: bool = False
    sequence: int = 0


# --- events --------------------------------------------------------------------------------


class RegisterSet(msgspec.Struct, frozen=True):
    location_id: UUID
    name: str
    discount_limit_percent: int


class RegisterRemoved(msgspec.Struct, frozen=True):
    pass


class ShiftOpened(msgspec.Struct, frozen=True):
    shift_id: UUID
    opened_by: str
    opened_at_ms: int
    opening_float_minor: int
    currency: str
    cash_step_minor: int = NO_ROUNDING


class CashMove(StrEnum):
    PAID_IN = "paid_in"
    PAID_OUT = "paid_out"
    NO_SALE = "no_sale"


class CashMoved(msgspec.Struct, frozen=True):
    """Money put into the drawer or taken out of it beside sales; or it was just opened."""

    kind: CashMove
    amount_minor: int
    reason: str | None


class Count(NamedTuple):
    """So many pieces of one coin or note."""

    value_minor: int
    pieces: int


class ShiftClosed(msgspec.Struct, frozen=True):
    counted_minor: int
    counts: tuple[Count, ...]
    note: str | None


class ReceiptIssued(msgspec.Struct, frozen=True):
    """A receipt was given, with what it added to the shift."""

    totals: Totals


class Sold(msgspec.Struct, frozen=True):
    """A sale happened; `change_minor` is cash that was handed back, `tendered_minor` all that
    was handed over."""

    sale: Sale
    customer_id: UUID | None
    note: str | None
    prices_include_tax: bool
    tendered_minor: int
    change_minor: int
    reservation_id: UUID | None
    offline: Offline | None = None
    tax_exemption: str | None = None


class ReturnedLine(msgspec.Struct, frozen=True, array_like=True):
    """What came back of a line of the sale; without a receipt `number` counts the return's own
    lines. `sold` is the line that it is a part of, `restocked_as` the variant as which it went onto
    the shelf, if not as what was sold."""

    number: int
    quantity: int
    restock: bool
    total_minor: int
    tax_minor: int
    discount_minor: int
    sold: SaleLine
    restocked_as: UUID | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What goes onto the shelf for each unit."""
        if self.restocked_as is None:
            return self.sold.parts
        (part,) = self.sold.parts
        return (Part(self.restocked_as, part.quantity),)


class Refund(msgspec.Struct, frozen=True, array_like=True):
    """Money that went back. `payment` is the place of the payment it is held against, None
    without a receipt; `card_id` the gift card that it went onto."""

    method: Method
    amount_minor: int
    payment: int | None = None
    card_id: UUID | None = None
    reference: str | None = None


class ReturnMade(msgspec.Struct, frozen=True):
    """The record of a return, which never changes; `void` takes a whole sale back."""

    sale_id: UUID | None
    register_id: UUID
    location_id: UUID
    shift_id: UUID
    receipt_number: int
    currency: str
    lines: tuple[ReturnedLine, ...]
    refunds: tuple[Refund, ...]
    tips_minor: int
    reason: str | None
    void: bool
    sequence: int = 1

    @property
    def total_minor(self) -> int:
        """What came back is worth."""
        return sum(line.total_minor for line in self.lines) + self.tips_minor

    @property
    def rounding_minor(self) -> int:
        """How much more was paid back than that, because there are no smaller coins."""
        return sum(refund.amount_minor for refund in self.refunds) - self.total_minor


class TakenBack(msgspec.Struct, frozen=True):
    """What a return did to its sale."""

    lines: tuple[ReturnedLine, ...]
    refunds: tuple[Refund, ...]
    void: bool


class CardIssued(msgspec.Struct, frozen=True):
    currency: str
    last_four: str
    amount_minor: int
    expires_at_ms: int | None
    source_id: UUID


class CardMoved(msgspec.Struct, frozen=True):
    """`kind`: redeemed or refunded. `source_id` is the sale or the return."""

    kind: str
    delta_minor: int
    source_id: UUID


class CardDisabled(msgspec.Struct, frozen=True):
    pass
