"""What a basket costs: tax, discounts, and cents that must not get lost."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.till.model import PPM
from core.errors import ChooseVariant, NotFound, ValidationFailed
from deployments.pos.errors import CurrencyMismatch
from deployments.pos.sales.price_book import by_name
from deployments.pos.sales.pricing import priced, spread, tax_of
from deployments.pos.sales.schemas import NewDiscount, NewLine
from store.business.profile import TillTerms
from store.business.taxes import Rate
from store.catalog.bundles import Component, SaleItem

CLASS = UUID(int=1)
amounts = st.integers(0, 10**13 - 1)


def terms(*, included: bool = True, rate_ppm: int = 200_000, currency: str = "EUR") -> TillTerms:
    rates = {CLASS: Rate("VAT", rate_ppm)}
    return TillTerms("Shop", "Main", currency, "UTC", included, "", "", CLASS, rates)


def item(price_minor: int, **changes: object) -> SaleItem:
    fields: dict[str, object] = {
        "item_id": uuid4(),
        "product_id": uuid4(),
        "variant_id": None,
        "name": "Tea",
        "sku": "T",
        "barcode": None,
        "price_minor": price_minor,
        "currency": "EUR",
        "tax_class_id": None,
        "kind": "simple",
    }
    return SaleItem(**(fields | changes))  # type: ignore[arg-type]


def line(of: SaleItem, quantity: int = 1, **rest: object) -> NewLine:
    return NewLine.model_validate({"productId": of.item_id, "quantity": quantity, **rest})


@given(amount=amounts, rate_ppm=st.integers(0, 10 * PPM))
def test_tax_is_rounded_half_away_from_zero(amount: int, rate_ppm: int) -> None:
    for included, exact in (
        (True, Fraction(amount * rate_ppm, PPM + rate_ppm)),
        (False, Fraction(amount * rate_ppm, PPM)),
    ):
        rounded = tax_of(amount, rate_ppm, included=included)
        assert abs(rounded - exact) <= Fraction(1, 2)
        assert rounded == int(exact + Fraction(1, 2))


@given(over=st.lists(st.integers(0, 10**6), max_size=20), share=st.fractions(0, 1))
def test_a_discount_is_spread_to_the_cent(over: list[int], share: Fraction) -> None:
    amount = int(sum(over) * share)
    parts = spread(amount, over)
    assert sum(parts) == amount
    for part, whole in zip(parts, over, strict=True):
        assert 0 <= part <= whole
        assert abs(part - (Fraction(amount * whole, sum(over)) if sum(over) else 0)) < 1


@given(
    wanted=st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(1, 9), st.integers(0, 10_000)), min_size=1
    ),
    percent=st.decimals(0, 100, places=2),
    included=st.booleans(),
)
def test_a_ticket_adds_up(
    wanted: list[tuple[int, int, int]], percent: Decimal, included: bool
) -> None:
    items = [item(price, sku=str(number)) for number, (price, _, _) in enumerate(wanted)]
    lines = [
        line(named, quantity, discount={"amount": Decimal(min(off, price * quantity)).scaleb(-2)})
        for named, (price, quantity, off) in zip(items, wanted, strict=True)
    ]
    whole = NewDiscount(percent=percent)
    ticket = priced(lines, by_name(items), terms(included=included), whole, Decimal("0.50"))
    left = sum(price * n - min(off, price * n) for price, n, off in wanted)
    off = int((left * percent / 100).to_integral_value(ROUND_HALF_UP))
    tax = sum(line.tax_minor for line in ticket.lines)
    assert ticket.due_minor == left - off + 50 + (0 if included else tax)
    for priced_line in ticket.lines:
        paid = priced_line.quantity * priced_line.unit_price_minor - priced_line.discount_minor
        assert priced_line.total_minor == paid + (0 if included else priced_line.tax_minor) >= 0


def test_what_a_ticket_refuses() -> None:
    tea, other = item(100), item(100, currency="USD")
    parent = item(100, kind="parent")
    with pytest.raises(NotFound) as unknown:
        priced([line(tea), line(item(1))], by_name([tea]), terms())
    assert unknown.value.errors[0].field == "lines[1].productId"
    with pytest.raises(ChooseVariant):
        priced([line(parent)], by_name([parent]), terms())
    with pytest.raises(CurrencyMismatch):
        priced([line(other)], by_name([other]), terms())
    with pytest.raises(ValidationFailed) as too_much:
        priced([line(tea, discount={"amount": Decimal("1.01")})], by_name([tea]), terms())
    assert too_much.value.errors[0].field == "lines[0].discount.amount"
    with pytest.raises(ValidationFailed) as too_fine:
        priced([line(tea)], by_name([tea]), terms(), tips=Decimal("0.001"))
    assert too_fine.value.errors[0].field == "tips"


def test_a_bundle_remembers_its_parts() -> None:
    parts = (Component(uuid4(), 2), Component(uuid4(), 1))
    box = item(500, kind="bundle", components=parts)
    sold = priced([line(box, 3)], by_name([box]), terms()).lines[0]
    assert sold.parts == tuple(part[:2] for part in parts)
    many = item(500, kind="bundle", components=(Component(uuid4(), 1_000),))
    with pytest.raises(ValidationFailed):
        priced([line(many, 1_001)], by_name([many]), terms())
