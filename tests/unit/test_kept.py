"""What a change leaves out is the owner's to keep, as it is when the change is decided."""

from __future__ import annotations

from uuid import UUID

import pytest

from actors.purchasing import model as p
from actors.till import messages as t
from tests.unit.stock_bench import StockBench
from tests.unit.till_bench import REGISTER, TENANT, TillBench

TEA, CUP, ORDER, BRANCH = UUID(int=1), UUID(int=2), UUID(int=9), UUID(int=8)
TERMS = p.Terms(UUID(int=10), TENANT, "GBP", "first", 1_000)
LINES = (p.WantedLine(TEA, 2, 100),)
ALL = ("supplier_id", "currency", "location_id", "reference", "expected_at_ms", "lines")


def test_a_register_keeps_what_another_changed_meanwhile() -> None:
    bench = TillBench()
    bench.run(t.PutRegister(REGISTER, TENANT, "One", 20, create=True))
    bench.run(t.PutRegister(REGISTER, TENANT, "Two", 20, keep=("location_id",)))
    late = t.PutRegister(REGISTER, BRANCH, "One", 5, keep=("location_id", "name"))
    after = bench.run(late).register
    assert (after.location_id, after.name, after.discount_limit_percent) == (TENANT, "Two", 5)


def test_with_an_open_shift_what_stays_is_no_move() -> None:
    bench = TillBench()
    bench.open()
    late = t.PutRegister(REGISTER, BRANCH, "Renamed", 20, keep=("location_id",))
    assert bench.run(late).register.name == "Renamed"


@pytest.mark.parametrize("given", ALL)
def test_an_order_keeps_what_another_changed_meanwhile(given: str) -> None:
    bench = StockBench()
    bench.run(p.PutPurchase(ORDER, TERMS, LINES, True))
    stale = p.Terms(UUID(int=11), BRANCH, "GBP", "stale", 2_000)
    keep = tuple(name for name in ALL if name != given)
    order = bench.run(p.PutPurchase(ORDER, stale, (p.WantedLine(CUP, 3, 5),), False, keep))
    for name in set(ALL) - {"lines"}:
        of = stale if name == given else TERMS
        assert getattr(order.terms, name) == getattr(of, name)
    assert [line.item_id for line in order.lines] == [CUP if given == "lines" else TEA]


@pytest.mark.parametrize("keep", [("lines",), ("supplier_id", "currency")])
def test_costs_are_never_taken_for_those_of_another_currency(keep: tuple[str, ...]) -> None:
    bench = StockBench()
    bench.run(p.PutPurchase(ORDER, TERMS, LINES, True))
    euros = p.Terms(UUID(int=11), TENANT, "EUR")
    refused = bench.run(p.PutPurchase(ORDER, euros, LINES, False, keep))
    assert refused.code == "purchase_changed"
