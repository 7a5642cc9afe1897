"""What is stored in a currency stays readable when the list of those in use loses it; what somebody
chooses anew must be on the list."""

from __future__ import annotations

from decimal import Decimal

import pytest
from iso4217 import Currency

from core import money
from core.currencies import DIGITS
from core.errors import ValidationFailed
from core.money import check_in_use, exponent, from_minor, to_minor
from deployments.catalog.products.rules import changed
from deployments.catalog.products.schemas import ProductChanges, ProductOut
from tests.unit.test_catalog_rules import LATER, lamp


def test_the_table_has_all_that_the_list_has() -> None:
    """A currency that only the list knew could be lost with it: write it into the table."""
    assert {
        c.code: c.exponent for c in Currency if c.exponent is not None
    }.items() <= DIGITS.items()


@pytest.fixture
def without_sek(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update of the library that has dropped it."""

    def listed(code: str) -> Currency:
        if code == "SEK":
            raise ValueError(code)
        return Currency(code)

    monkeypatch.setattr(money, "Currency", listed)


@pytest.mark.usefixtures("without_sek")
def test_what_is_stored_in_a_currency_that_left_the_list_stays_readable() -> None:
    assert (exponent("SEK"), from_minor(125, "SEK")) == (2, Decimal("1.25"))
    assert to_minor(Decimal("1.25"), "SEK") == 125


@pytest.mark.usefixtures("without_sek")
def test_only_what_is_new_must_be_on_the_list() -> None:
    for code in ("SEK", "ZZZ", "XXX", "sek"):
        with pytest.raises(ValidationFailed):
            check_in_use(code)
    check_in_use("NOK")
    for fields in ({"currency": "SEK"}, {"prices": {"SEK": 1}}):
        with pytest.raises(ValidationFailed):
            lamp(**fields)


def test_goods_in_such_a_currency_are_changed_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lamp(currency="SEK", prices={"NOK": Decimal(2)})

    def listed(code: str) -> Currency:
        raise ValueError(code)

    monkeypatch.setattr(money, "Currency", listed)
    body = ProductChanges(price=Decimal("3.50"), prices={"NOK": Decimal(4)})
    after = changed(before, body, LATER)
    assert (after.price_minor, after.prices) == (350, {"NOK": 400})
    assert ProductOut.of(after).price == Decimal("3.50")
