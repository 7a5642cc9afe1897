"""The till's documents as the API gives them, read into integers. Pure.

Money is in minor units of a currency with two decimals, the only kind that the demo's business
has. Nothing is rounded: an amount that is no whole number of minor units is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from core import percents

PPM = 1_000_000
Json = Mapping[str, Any]
# Pieces, or kilograms of what is weighed.
Units = int | Decimal
Taxes = dict[int, tuple[int, int]]


class SoldLine(NamedTuple):
    """`total_minor` is what is paid for all units: discount off, tax included."""

    product_id: str
    quantity: Units
    unit_price_minor: int
    discount_minor: int
    rate_ppm: int
    tax_minor: int
    total_minor: int

    def share(self, amount_minor: int, units: Units) -> int:
        """What of an amount of the line goes back with its first units, in all returns together."""
        return int(amount_minor * units // self.quantity)


class Paid(NamedTuple):
    """A payment, without the change; `reference` is what the other side calls it."""

    method: str
    amount_minor: int
    reference: str | None


class Sale(NamedTuple):
    id: str
    register_id: str
    receipt_number: int
    lines: tuple[SoldLine, ...]
    payments: tuple[Paid, ...]
    tax_minor: int
    total_minor: int
    tendered_minor: int
    change_minor: int

    @property
    def card_payment_id(self) -> str | None:
        """Of what was charged for it: the provider's name for the first card's charge holds it."""
        for paid in self.payments:
            if paid.method == "card":
                return (paid.reference or "").rpartition("_")[2]
        return None

    @property
    def cards_minor(self) -> list[int]:
        """What each card paid, in their order."""
        return [paid.amount_minor for paid in self.payments if paid.method == "card"]


class ReturnedLine(NamedTuple):
    """Units of line `number` of the sale, counted from 1."""

    number: int
    quantity: Units
    tax_minor: int
    total_minor: int


class Return(NamedTuple):
    id: str
    sale_id: str
    register_id: str
    receipt_number: int
    lines: tuple[ReturnedLine, ...]
    refunds: tuple[Paid, ...]
    tax_minor: int
    total_minor: int


class SaleRow(NamedTuple):
    """A sale as the list of sales has it."""

    id: str
    receipt_number: int
    total_minor: int
    refunded_minor: int


class Report(NamedTuple):
    """An X or Z report. `taken` and `refunded` are by tender, `taxes` (net, tax) by rate."""

    kind: str
    shift_id: str
    sales: int
    sales_minor: int
    returns: int
    returns_minor: int
    discounts_minor: int
    gift_cards_sold_minor: int
    taken: dict[str, int]
    refunded: dict[str, int]
    taxes: Taxes
    float_minor: int
    paid_in_minor: int
    paid_out_minor: int
    no_sales: int
    expected_minor: int
    counted_minor: int | None
    difference_minor: int | None


def minor(amount: Decimal | int) -> int:
    """Major to minor units, exactly. Raises ValueError."""
    scaled = Decimal(amount) * 100
    if scaled != int(scaled):
        raise ValueError(f"{amount} is no whole number of minor units")
    return int(scaled)


def major(amount_minor: int) -> Decimal:
    return Decimal(amount_minor).scaleb(-2)


def sale_of(data: Json) -> Sale:
    return Sale(
        data["id"],
        data["registerId"],
        data["receiptNumber"],
        tuple(_sold(line) for line in data["lines"]),
        tuple(
            Paid(payment["method"], minor(payment["amount"]), payment["reference"])
            for payment in data["payments"]
        ),
        minor(data["tax"]),
        minor(data["total"]),
        minor(data["tendered"]),
        minor(data["change"]),
    )


def _sold(line: Json) -> SoldLine:
    return SoldLine(
        line["productId"],
        line["quantity"],
        minor(line["unitPrice"]),
        minor(line["discount"]),
        _ppm(line["taxPercent"]),
        minor(line["tax"]),
        minor(line["total"]),
    )


def return_of(data: Json) -> Return:
    return Return(
        data["id"],
        data["saleId"],
        data["registerId"],
        data["receiptNumber"],
        tuple(
            ReturnedLine(line["number"], line["quantity"], minor(line["tax"]), minor(line["total"]))
            for line in data["lines"]
        ),
        tuple(Paid(refund["method"], minor(refund["amount"]), None) for refund in data["refunds"]),
        minor(data["tax"]),
        minor(data["total"]),
    )


def row_of(data: Json) -> SaleRow:
    return SaleRow(data["id"], data["receiptNumber"], minor(data["total"]), minor(data["refunded"]))


def report_of(data: Json) -> Report:
    counted, difference = data["countedCash"], data["difference"]
    return Report(
        data["kind"],
        data["id"],
        data["sales"],
        minor(data["salesTotal"]),
        data["returns"],
        minor(data["returnsTotal"]),
        minor(data["discounts"]),
        minor(data["giftCardsSold"]),
        {tender["method"]: minor(tender["taken"]) for tender in data["tenders"]},
        {tender["method"]: minor(tender["refunded"]) for tender in data["tenders"]},
        {_ppm(tax["taxPercent"]): (minor(tax["net"]), minor(tax["tax"])) for tax in data["taxes"]},
        minor(data["openingFloat"]),
        minor(data["paidIn"]),
        minor(data["paidOut"]),
        data["noSales"],
        minor(data["expectedCash"]),
        None if counted is None else minor(counted),
        None if difference is None else minor(difference),
    )


def _ppm(percent: Decimal | int) -> int:
    return percents.to_ppm(Decimal(percent))
