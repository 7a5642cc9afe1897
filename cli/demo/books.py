"""The clients' own books: everything that was acknowledged to them, and nothing else. Pure.

Units are exact, money is in minor units. A document that is acknowledged twice, or with another
content than the first time, is a fault at once; the rest is for `cli.demo.proof` to find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.demo.documents import Report, Return, Sale, Taxes, Units


@dataclass(slots=True)
class Account:
    """What the clients know of one product, in units. What was sold, confirmed or taken back is
    by what the ledger calls it."""

    opening: Units = 0
    taken: dict[str, Units] = field(default_factory=dict)
    returned: dict[str, Units] = field(default_factory=dict)
    adjusted: Units = 0

    @property
    def sold(self) -> Units:
        return sum(self.taken.values())

    @property
    def came_back(self) -> Units:
        return sum(self.returned.values()) + self.adjusted

    @property
    def expected(self) -> Units:
        return self.opening - self.sold + self.came_back


@dataclass(slots=True)
class TillBook:
    """One register's shift. `receipts` is what each receipt number was given to; `taken` and
    `refunded` are by tender, `net` and `tax` by rate."""

    name: str
    register_id: str
    shift_id: str = ""
    float_minor: int = 0
    receipts: dict[int, str] = field(default_factory=dict)
    sales: int = 0
    sales_minor: int = 0
    returns: int = 0
    returns_minor: int = 0
    discounts_minor: int = 0
    gift_cards_sold_minor: int = 0
    change_minor: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    refunded: Counter[str] = field(default_factory=Counter)
    net: Counter[int] = field(default_factory=Counter)
    tax: Counter[int] = field(default_factory=Counter)
    paid_in_minor: int = 0
    paid_out_minor: int = 0
    no_sales: int = 0

    @property
    def cash_minor(self) -> int:
        """What must be in the drawer."""
        cash = self.taken["cash"] - self.refunded["cash"]
        return self.float_minor + cash + self.paid_in_minor - self.paid_out_minor

    @property
    def taxes(self) -> Taxes:
        return {rate: (self.net[rate], self.tax[rate]) for rate in sorted(self.net)}

    def moved(self, kind: str, amount_minor: int) -> None:
        match kind:
            case "paid_in":
                self.paid_in_minor += amount_minor
            case "paid_out":
                self.paid_out_minor += amount_minor
            case _:
                self.no_sales += 1


@dataclass(slots=True)
class GiftCard:
    """What was put on a card, paid with it, and refunded to it."""

    issued_minor: int
    redeemed_minor: int = 0
    refunded_minor: int = 0

    @property
    def balance_minor(self) -> int:
        return self.issued_minor - self.redeemed_minor + self.refunded_minor


@dataclass(slots=True)
class Books:
    """Accounts by product id, tills by register id, gift cards by code, sales and returns by id;
    `units_back` is by sale and line, counted from 1; `reports` are the Z reports by register id;
    `card_payments` is the sale of each payment by card, None if it came to none. `faults` is
    what was seen that must not be."""

    accounts: dict[str, Account] = field(default_factory=dict)
    tills: dict[str, TillBook] = field(default_factory=dict)
    gift_cards: dict[str, GiftCard] = field(default_factory=dict)
    card_payments: dict[str, str | None] = field(default_factory=dict)
    sales: dict[str, Sale] = field(default_factory=dict)
    returns: dict[str, Return] = field(default_factory=dict)
    units_back: dict[tuple[str, int], Units] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _paid_by: dict[str, str] = field(default_factory=dict)

    def opened(self, product_id: str, units: Units) -> None:
        self.accounts[product_id] = Account(opening=units)

    def sold(self, sale: Sale, gift_card: str | None = None) -> None:
        """An acknowledged sale of goods; `gift_card` is the code of the card that paid."""
        till = self._receipt(sale.register_id, sale.receipt_number, sale.id)
        payment_id = sale.card_payment_id
        source = f"sale {sale.id}" if payment_id is None else f"card payment {payment_id}"
        for line in sale.lines:
            taken = self.accounts[line.product_id].taken
            taken[source] = taken.get(source, 0) + line.quantity
            till.net[line.rate_ppm] += line.total_minor - line.tax_minor
            till.tax[line.rate_ppm] += line.tax_minor
        till.sales_minor += sum(line.total_minor for line in sale.lines)
        till.discounts_minor += sum(line.discount_minor for line in sale.lines)
        self._rung(till, sale)
        for paid in sale.payments:
            if paid.method == "gift_card" and gift_card is not None:
                self.gift_cards[gift_card].redeemed_minor += paid.amount_minor
                self._paid_by[sale.id] = gift_card
        if payment_id is not None:
            self.card_payment(payment_id, sale.id)

    def issued(self, sale: Sale, code: str) -> None:
        """An acknowledged sale of a gift card."""
        till = self._receipt(sale.register_id, sale.receipt_number, sale.id)
        if code in self.gift_cards:
            self.faults.append(f"the gift card of sale {sale.id} was sold before")
        self.gift_cards[code] = GiftCard(sale.total_minor)
        till.gift_cards_sold_minor += sale.total_minor
        self._rung(till, sale)

    def returned(self, back: Return) -> None:
        """An acknowledged return, all of it put back on the shelf."""
        till = self._receipt(back.register_id, back.receipt_number, back.id)
        sale = self.sales[back.sale_id]
        self.returns[back.id] = back
        for line in back.lines:
            of = sale.lines[line.number - 1]
            shelf = self.accounts[of.product_id].returned
            shelf[f"return {back.id}"] = shelf.get(f"return {back.id}", 0) + line.quantity
            till.net[of.rate_ppm] -= line.total_minor - line.tax_minor
            till.tax[of.rate_ppm] -= line.tax_minor
            before = self.units_back.get((sale.id, line.number), 0)
            after = self.units_back[sale.id, line.number] = before + line.quantity
            till.discounts_minor += of.share(of.discount_minor, before)
            till.discounts_minor -= of.share(of.discount_minor, after)
        till.returns += 1
        till.returns_minor += back.total_minor
        for refund in back.refunds:
            till.refunded[refund.method] += refund.amount_minor
            if refund.method == "gift_card":
                self.gift_cards[self._paid_by[sale.id]].refunded_minor += refund.amount_minor

    def confirmed(self, reservation_id: str, units: Mapping[str, Units]) -> None:
        """An acknowledged confirmation of a hold, units by product id."""
        for product_id, quantity in units.items():
            taken = self.accounts[product_id].taken
            if reservation_id in taken:
                self.faults.append(f"reservation {reservation_id} was given to two sales")
            taken[reservation_id] = quantity

    def adjusted(self, units: Mapping[str, Units]) -> None:
        """Goods that came back without a sale, units by product id."""
        for product_id, quantity in units.items():
            self.accounts[product_id].adjusted += quantity

    def card_payment(self, payment_id: str, sale_id: str | None) -> None:
        """How a payment by card ended."""
        if self.card_payments.setdefault(payment_id, sale_id) != sale_id:
            self.faults.append(f"card payment {payment_id} ended twice")

    def _receipt(self, register_id: str, number: int, document_id: str) -> TillBook:
        till = self.tills[register_id]
        if number in till.receipts:
            self.faults.append(f"{till.name} gave receipt {number} to two")
        till.receipts[number] = document_id
        return till

    def _rung(self, till: TillBook, sale: Sale) -> None:
        if sale.id in self.sales:
            self.faults.append(f"sale {sale.id} was acknowledged to two")
        self.sales[sale.id] = sale
        till.sales += 1
        till.change_minor += sale.change_minor
        for paid in sale.payments:
            till.taken[paid.method] += paid.amount_minor
