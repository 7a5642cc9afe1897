"""The proof: what the clients were told against what the API says now. Pure.

Two accounts are held side by side. The clients' own (`cli.demo.books`): what they opened with,
which sales, returns and confirmations were acknowledged to them. The API's: levels, ledgers,
receipts, Z reports, gift cards, card payments. If a thing that was acknowledged were lost, or one
happened twice, or a penny went astray, they could not agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cli.demo.documents import Units

MAX_FAULTS_KEPT = 100


@dataclass(slots=True)
class StockTotals:
    """Over all products, in units; `movements` is lines of their ledgers."""

    products: int = 0
    movements: int = 0
    opening: Units = 0
    sold: Units = 0
    returned: Units = 0
    adjusted: Units = 0
    stock: Units = 0


@dataclass(slots=True)
class TillTotals:
    """One register's day, in minor units: what its Z report and the books agree on. `tenders` is
    what was taken less what was refunded."""

    name: str
    receipts: int
    sales: int
    returns: int
    turnover_minor: int
    tax_minor: int
    tenders: dict[str, int]
    float_minor: int
    change_minor: int
    expected_minor: int
    counted_minor: int


@dataclass(slots=True)
class Proof:
    """Totals, and every contradiction found (the first hundred)."""

    stock: StockTotals = field(default_factory=StockTotals)
    tills: list[TillTotals] = field(default_factory=list)
    gift_cards: int = 0
    gift_cards_minor: int = 0
    card_payments: int = 0
    card_sales: int = 0
    split_sales: int = 0
    cards_minor: int = 0
    fault_count: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Nothing proves nothing."""
        return self.fault_count == 0 and self.stock.products > 0 and bool(self.tills)

    def found(self, faults: Iterable[str], about: str = "") -> None:
        for fault in faults:
            self.fault_count += 1
            if len(self.faults) < MAX_FAULTS_KEPT:
                self.faults.append(f"{about}: {fault}" if about else fault)
