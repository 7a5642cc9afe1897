"""A register in memory: a drawer, its receipts' numbers, and the sums of its report."""

from __future__ import annotations

from collections import Counter
from typing import Any

Body = dict[str, Any]


def pounds(amount_minor: int) -> float:
    return amount_minor / 100


class Register:
    """A drawer and its receipts, with sums for the Z report."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 1
        self.sums: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.refunded: Counter[str] = Counter()
        self.counted: int | None = None
        self.is_open = False

    @property
    def expected(self) -> int:
        cash = self.taken["cash"] - self.refunded["cash"]
        return self.sums["float"] + cash + self.sums["paid_in"] - self.sums["paid_out"]

    def receipt(self) -> int:
        self.number += 1
        return self.number - 1

    def report(self) -> Body:
        counted, sums = self.counted, self.sums
        net = sums["sales_minor"] - sums["returns_minor"] - sums["tax"]
        tenders = sorted({*self.taken, *self.refunded})
        return {
            "kind": "X" if counted is None else "Z",
            "id": f"shift of {self.name}",
            "registerId": self.name,
            "sales": sums["sales"],
            "salesTotal": pounds(sums["sales_minor"]),
            "returns": sums["returns"],
            "returnsTotal": pounds(sums["returns_minor"]),
            "discounts": pounds(sums["discounts"]),
            "giftCardsSold": pounds(sums["cards"]),
            "tenders": [
                {
                    "method": method,
                    "taken": pounds(self.taken[method]),
                    "refunded": pounds(self.refunded[method]),
                }
                for method in tenders
            ],
            "taxes": [{"taxPercent": 20.0, "net": pounds(net), "tax": pounds(sums["tax"])}]
            if sums["sales_minor"]
            else [],
            "openingFloat": pounds(sums["float"]),
            "paidIn": pounds(sums["paid_in"]),
            "paidOut": pounds(sums["paid_out"]),
            "noSales": sums["no_sale"],
            "expectedCash": pounds(self.expected),
            "countedCash": None if counted is None else pounds(counted),
            "difference": None if counted is None else pounds(counted - self.expected),
        }


def cents(amount: float) -> int:
    return round(amount * 100)
