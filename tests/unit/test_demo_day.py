"""The plan of the demo's day: what comes back was sold before, and no more of it."""

from __future__ import annotations

from collections import Counter

from cli.data.product_rows import open_products
from cli.demo.day import DrawerMove, NeverSold, PlannedReturn, Purchase, plan_day
from cli.demo.retail import MAPPING, Invoice, Retail
from cli.demo.run import SAMPLE
from cli.demo.tenders import Tender, tender_of


def test_what_is_cancelled_is_returned_from_the_oldest_sales_before_it() -> None:
    plan = plan_day(
        [
            Invoice("1", False, Counter(a=2, b=1)),
            Invoice("2", False, Counter(a=5)),
            Invoice("C3", True, Counter(a=4, b=1, c=7)),
            Invoice("C4", True, Counter(a=9)),
            Invoice("5", False, Counter(a=1)),
        ],
        1,
        3,
    )
    first, second, back, part, unsold, rest, more, last = plan
    assert isinstance(first, Purchase)
    assert isinstance(second, Purchase)
    assert back == PlannedReturn("C3-of-1", first, {"a": 2, "b": 1})
    assert part == PlannedReturn("C3-of-2", second, {"a": 2})
    assert unsold == NeverSold("C3-unsold", {"c": 7})
    assert rest == PlannedReturn("C4-of-2", second, {"a": 3})
    assert more == NeverSold("C4-unsold", {"a": 6})
    assert isinstance(last, Purchase)
    assert [step.register for step in (first, second, last)] == [0, 1, 2]


def test_later_rounds_cancel_what_earlier_ones_sold() -> None:
    invoices = [Invoice("C1", True, Counter(a=3)), Invoice("2", False, Counter(a=2))]
    plan = plan_day(invoices, 3, 1)
    assert [type(job).__name__ for job in plan] == [
        *("NeverSold", "Purchase"),
        *("PlannedReturn", "NeverSold", "Purchase"),
        *("PlannedReturn", "NeverSold", "Purchase"),
    ]
    assert [job.reference for job in plan[2:5]] == ["C1/2-of-2/1", "C1/2-unsold", "2/2"]


def test_drawers_take_out_what_is_put_in_and_every_tender_has_its_turn() -> None:
    retail = Retail.read(open_products(SAMPLE, MAPPING))
    plan = plan_day(retail.invoices(), 10, 6)
    cash = Counter[str]()
    for job in plan:
        if isinstance(job, DrawerMove):
            cash[job.kind] += job.amount_minor
    assert cash["paid_in"] >= cash["paid_out"] > 0
    assert len({job.reference for job in plan}) == len(plan)
    sales = [job for job in plan if isinstance(job, Purchase)]
    assert len({(job.register, job.tender) for job in sales}) == 6 * len(Tender)
    assert {job.discount_percent for job in sales} == {0, 5}
    assert sum(isinstance(job, PlannedReturn) for job in plan) > 10
    sold, back = Counter[str](), Counter[str]()
    for job in plan:
        if isinstance(job, Purchase):
            sold.update(job.units)
        elif isinstance(job, PlannedReturn):
            back.update(job.units)
            assert all(units <= job.purchase.units[sku] for sku, units in job.units.items())
        assert back <= sold


def test_every_tender_comes_within_forty_customers() -> None:
    assert {tender_of(number) for number in range(40)} == set(Tender)
