"""What the demo's customers owe and how they pay it, to the penny."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.demo.documents import Paid, Sale, major, minor
from cli.demo.tenders import (
    Bill,
    Tender,
    bill_of,
    denominations,
    gift_card_for,
    in_notes,
    payments_for,
)

AMOUNTS = st.integers(1, 10**9)


def test_a_bill_is_rounded_per_line() -> None:
    bill = bill_of({"a": 3, "b": 1}, {"a": 255, "b": 3}, 5)
    # 5 % of 7.65 is 0.3825; a sixth of 7.27 is 1.2116...; a sixth of 0.03 is half a penny.
    assert [(line.discount_minor, line.total_minor, line.tax_minor) for line in bill.lines] == [
        (38, 727, 121),
        (0, 3, 1),
    ]
    assert (bill.total_minor, bill.units) == (730, {"a": 3, "b": 1})
    assert bill.basket()[0] == {"productId": "a", "quantity": 3, "discount": {"percent": 5}}
    assert "discount" not in bill_of({"a": 1}, {"a": 1}).basket()[0]


@given(AMOUNTS)
def test_the_tax_in_a_total_is_a_sixth(total: int) -> None:
    tax = bill_of({"a": 1}, {"a": total}).lines[0].tax_minor
    assert abs(Fraction(total, 6) - tax) <= Fraction(1, 2)


@given(AMOUNTS, st.sampled_from(Tender))
def test_payments_cover_what_is_due_and_change_is_cash(due: int, tender: Tender) -> None:
    payments = payments_for(tender, due, "code")
    sums: Counter[str] = Counter()
    for payment in payments:
        assert minor(payment["amount"]) > 0
        sums[payment["method"]] += minor(payment["amount"])
    change = sum(sums.values()) - due
    assert 0 <= change < 500
    assert change <= sums.get("cash", 0)
    assert sums.get("gift_card", 0) <= gift_card_for(due)
    cards = [payment["token"] for payment in payments if payment["method"] == "card"]
    assert cards == list(tender.tokens)[: min(due, len(tender.tokens))]


@given(st.integers(0, 10**9))
def test_a_drawer_is_counted_by_its_pieces(amount: int) -> None:
    counted = denominations(amount)
    assert sum(minor(count["value"]) * count["pieces"] for count in counted) == amount


def test_amounts_are_exact() -> None:
    assert (in_notes(500), in_notes(501), gift_card_for(300), gift_card_for(1001)) == (
        500,
        1000,
        500,
        1000,
    )
    assert (minor(Decimal("0.1")), minor(7), major(1)) == (10, 700, Decimal("0.01"))
    with pytest.raises(ValueError, match=r"0\.005 is no whole number"):
        minor(Decimal("0.005"))


def receipt(bill: Bill, **changes: Any) -> Sale:
    total, tax = bill.total_minor, sum(line.tax_minor for line in bill.lines)
    paid = (Paid("cash", total, None),)
    sale = Sale("s", "r", 1, bill.lines, paid, tax, total, total + 5, 5)
    return sale._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"total_minor": 1201}, "comes to 1201, due was 1200"),
        ({"tax_minor": 201}, "has 201 of tax, which is not that of its lines"),
        ({"change_minor": 4}, "took 1205 and gave 4 back"),
        ({"payments": ()}, "is paid with ()"),
        ({"lines": ()}, "has the lines ()"),
    ],
)
def test_a_wrong_receipt_is_told(changes: dict[str, Any], fault: str) -> None:
    bill = bill_of({"a": 2}, {"a": 600})
    assert bill.faults(receipt(bill)) == []
    assert any(found.startswith(fault) for found in bill.faults(receipt(bill, **changes)))
