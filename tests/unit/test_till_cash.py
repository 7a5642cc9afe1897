"""Cash is paid in amounts that there are coins for, and nothing of what was rounded is lost."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from core.cash import NO_ROUNDING, cash_step_minor, payable
from core.ids import uuid7
from tests.unit.till_bench import CURRENCY, REGISTER, TENANT, TillBench, line

TEA = UUID(int=1)
CASH, CARD = m.Method.CASH, m.Method.CARD


def opened(step_minor: int) -> TillBench:
    bench = TillBench()
    bench.run(t.PutRegister(REGISTER, TENANT, "Till 1", 100, create=True))
    bench.run(t.OpenShift(REGISTER, uuid7(), 1_000_000, CURRENCY, step_minor))
    bench.run(stock.AddStock(TEA, 1_000_000))
    return bench


def back(bench: TillBench, sale_id: UUID, units: int = 1, **rest: Any) -> Any:
    lines = (t.ReturnLine(0, units),)
    return bench.run(t.Return(uuid7(), sale_id, REGISTER, lines, **rest))


def paid_back(done: Any) -> int:
    return sum(refund.amount_minor for refund in done.record.refunds)


def balances(bench: TillBench) -> None:
    """What was sold and not returned is what is in the drawer and on cards, with the rounding."""
    totals = bench.shift().totals
    kept = sum(totals.taken.values()) - sum(totals.refunded.values())
    sold = totals.sales_minor - totals.returns_minor
    assert (
        sold + totals.tips_minor + totals.gift_cards_sold_minor + totals.cash_rounding_minor == kept
    )


@pytest.mark.parametrize(
    ("currency", "step"),
    [("CHF", 5), ("SEK", 100), ("DKK", 50), ("HUF", 500), ("NZD", 10), ("JPY", 1), ("KWD", 1)],
)
def test_steps_are_those_of_the_currency(currency: str, step: int) -> None:
    assert cash_step_minor(currency, None, currency) == step
    assert cash_step_minor(currency, 0, currency) == NO_ROUNDING
    assert cash_step_minor(currency, 20, currency) == 20
    assert cash_step_minor(currency, 20, "XXX") == step


@pytest.mark.parametrize(
    ("amount", "step", "rounded"),
    [(998, 5, 1_000), (1_002, 5, 1_000), (1_003, 5, 1_005), (2, 5, 0), (9_950, 100, 10_000)],
)
def test_amounts_are_rounded_to_the_nearest(amount: int, step: int, rounded: int) -> None:
    assert payable(amount, step) == rounded


@pytest.mark.parametrize(
    ("due", "handed", "change", "rounding"),
    [(998, 1_000, 0, 2), (1_002, 2_000, 1_000, -2), (1_000, 1_000, 0, 0), (2, 5, 5, -2)],
)
def test_change_comes_after_the_rounding(due: int, handed: int, change: int, rounding: int) -> None:
    bench = opened(5)
    made = bench.sell(line(TEA, 1, due), tenders=(t.Tender(CASH, handed),))
    assert (made.sold.change_minor, made.sold.sale.rounding_minor) == (change, rounding)
    assert bench.shift().totals.cash_rounding_minor == rounding
    assert bench.shift().expected_minor == 1_000_000 + due + rounding
    balances(bench)


def test_only_the_part_in_cash_is_rounded() -> None:
    bench = opened(5)
    tenders = (t.Tender(CARD, 501, "c"), t.Tender(CASH, 500))
    made = bench.sell(line(TEA, 1, 998), tenders=tenders)
    assert (made.sold.change_minor, made.sold.sale.rounding_minor) == (5, -2)
    by_card = bench.sell(line(TEA, 1, 998), tenders=(t.Tender(CARD, 998, "c"),))
    assert by_card.sold.sale.rounding_minor == 0
    # Cash that is not needed comes back as it was.
    both = bench.sell(line(TEA, 1, 998), tenders=(t.Tender(CARD, 998, "c"), t.Tender(CASH, 10)))
    assert (both.sold.change_minor, both.sold.sale.rounding_minor) == (10, 0)
    balances(bench)


def test_cash_that_there_are_no_coins_for_is_refused() -> None:
    bench = opened(5)
    refused = bench.sell(line(TEA, 1, 998))
    assert (refused.code, refused.facts["dueMinor"], refused.facts["stepMinor"]) == (
        "cash_not_in_coins",
        1_000,
        5,
    )
    refused = bench.sell(line(TEA, 1, 998), tenders=(t.Tender(CASH, 995),))
    assert (refused.code, refused.facts["dueMinor"]) == ("payment_short", 1_000)


@settings(max_examples=150, deadline=None)
@given(
    step=st.sampled_from([1, 5, 10, 50, 100]),
    price=st.integers(1, 2_000),
    units=st.integers(1, 6),
    by_card=st.integers(0, 3_000),
    discount=st.integers(0, 50),
    order=st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=6, max_size=6),
)
def test_pieces_bring_back_what_was_paid(
    step: int,
    price: int,
    units: int,
    by_card: int,
    discount: int,
    order: list[tuple[int, bool]],
) -> None:
    """In any pieces, in cash or as credit: never more than was paid, and in cash all of it."""
    bench = opened(step)
    due = max(units * price - discount, 0)
    by_card = min(by_card, due)
    cash = payable(due - by_card, step)
    tenders = (t.Tender(CARD, by_card, "c"), t.Tender(CASH, cash + step))
    sold = bench.sell(line(TEA, units, price, discount=units * price - due), tenders=tenders)
    paid, left, returned = by_card + cash, units, 0
    if due == by_card:
        paid = due
    credit = False
    for pieces, as_credit in order:
        pieces = min(pieces, left)
        if not pieces:
            break
        rest: dict[str, Any] = {"by_manager": True}
        if as_credit:
            rest |= {"refund_to": m.Method.STORE_CREDIT, "new_card": t.NewCard(uuid7(), "CRED")}
        done = back(bench, sold.sale_id, pieces, **rest)
        credit |= as_credit
        in_cash = sum(r.amount_minor for r in done.record.refunds if r.method is CASH)
        assert in_cash % step == 0
        returned += paid_back(done)
        left -= pieces
        balances(bench)
        assert returned <= paid
    if not left and not credit:
        assert returned == paid
        assert bench.shift().totals.cash_rounding_minor == 0
        assert bench.shift().expected_minor == 1_000_000


@pytest.mark.parametrize(("due", "paid"), [(998, 1_000), (1_002, 1_000)])
def test_all_at_once_brings_back_what_was_paid_as_credit_too(due: int, paid: int) -> None:
    bench = opened(5)
    sold = bench.sell(line(TEA, 2, due // 2), tenders=(t.Tender(CASH, 2_000),))
    rest = {"refund_to": m.Method.STORE_CREDIT, "new_card": t.NewCard(uuid7(), "CRED")}
    assert paid_back(back(bench, sold.sale_id, 2, **rest)) == paid
    assert bench.shift().totals.cash_rounding_minor == 0
    balances(bench)


def test_a_card_sale_goes_back_in_coins() -> None:
    bench = opened(5)
    sold = bench.sell(line(TEA, 2, 499), tenders=(t.Tender(CARD, 998, "c"),))
    rest = {"refund_to": CASH, "by_manager": True}
    assert paid_back(back(bench, sold.sale_id, **rest)) == 500
    # What is left of the payment is 498, and coins pay no more than 495 of it.
    assert paid_back(back(bench, sold.sale_id, **rest)) == 495
    balances(bench)


def test_without_a_receipt_coins_are_paid_too() -> None:
    bench = opened(5)
    wanted = t.ReturnUnreceipted(
        uuid7(), REGISTER, TENANT, CURRENCY, (line(TEA, 1, 333),), (True,), CASH, by_manager=True
    )
    done = bench.run(wanted)
    assert (paid_back(done), done.record.total_minor, done.record.rounding_minor) == (335, 333, 2)
    balances(bench)


def test_what_was_charged_offline_is_taken_as_it_was_rounded() -> None:
    bench = opened(NO_ROUNDING)
    told = m.Offline(uuid7(), bench.now_ms, "ann", b"digest")
    tenders = (t.Tender(CASH, 1_000),)
    sale = t.Sell(uuid7(), REGISTER, TENANT, CURRENCY, (line(TEA, 1, 998),), tenders)
    made = bench.run(t.Sell(**{**_fields(sale), "offline": told, "rounding_minor": 2}))
    assert (made.sold.change_minor, made.sold.sale.rounding_minor) == (0, 2)
    balances(bench)


def _fields(sale: t.Sell) -> dict[str, Any]:
    return {name: getattr(sale, name) for name in sale.__struct_fields__}
