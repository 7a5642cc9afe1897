"""Quantities are exact, and what a line costs is rounded once."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from actors.till.model import SaleLine
from core.errors import ValidationFailed
from core.money import line_minor
from core.quantities import from_steps, shown_steps, steps_of, to_steps
from gateway import json_body
from gateway.quantities import LineQuantity

ITEM = UUID(int=1)
_LINE = TypeAdapter(LineQuantity)
decimals = st.integers(0, 3)
# Of what may be on hand.
steps = st.integers(-2_000_000_000_000, 2_000_000_000_000)


@given(steps, decimals)
def test_units_and_steps_say_the_same(count: int, places: int) -> None:
    units = from_steps(count, places)
    assert to_steps(units, places) == count
    written, several = steps_of(units)
    assert from_steps(written, several) == units
    assert json_body.loads(repr(shown_steps(count, places)).encode()) == units


@pytest.mark.parametrize(
    ("given", "places"), [("1.5", 0), ("0.3555", 3), ("0.35", 1), ("1E+400", 3), ("NaN", 3)]
)
def test_what_a_product_is_not_sold_by_is_refused(given: str, places: int) -> None:
    with pytest.raises(ValidationFailed) as wrong:
        to_steps(Decimal(given), places, "lines[2].quantity")
    assert [error.field for error in wrong.value.errors] == ["lines[2].quantity"]


@pytest.mark.parametrize("text", ["0.35", "0.350", "35e-2", "100000", "1.0", "0.001"])
def test_a_quantity_is_read_without_a_float(text: str) -> None:
    found = _LINE.validate_python(json_body.loads(text.encode()))
    assert found == Decimal(text)
    assert isinstance(found, int) == (Decimal(text) == int(Decimal(text)))


@pytest.mark.parametrize(
    "text", ["0", "-1", "0.0001", "100000.001", "1e400", "1e-400", "true", '"1"', "null"]
)
def test_what_no_line_may_have_is_refused(text: str) -> None:
    with pytest.raises((ValidationError, ValidationFailed)):
        _LINE.validate_python(json_body.loads(text.encode()))


@given(st.integers(0, 10**13), st.integers(0, 10**8), decimals)
def test_a_line_is_rounded_once_half_away_from_zero(price: int, count: int, places: int) -> None:
    exact = Decimal(price) * Decimal(count).scaleb(-places)
    assert line_minor(price, count, places) == exact.to_integral_value(ROUND_HALF_UP)


@given(st.data())
def test_parts_that_come_back_add_up_to_what_was_paid(data: st.DataObject) -> None:
    places, count = data.draw(decimals), data.draw(st.integers(1, 5_000))
    total = line_minor(data.draw(st.integers(0, 10**7)), count, places)
    line = SaleLine(ITEM, ITEM, "", "", count, 0, 0, 0, 0, total, decimals=places)
    cuts = sorted(data.draw(st.sets(st.integers(1, count), max_size=8)) | {count})
    given_back = [
        line.share(total, after) - line.share(total, before)
        for before, after in zip([0, *cuts], cuts, strict=False)
    ]
    assert sum(given_back) == total
    assert min(given_back) >= 0
