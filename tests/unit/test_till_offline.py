"""Offline sales: told in any order and any number of times, they happened once."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.messages import Refused
from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.unit.offline_bench import FLOAT_MINOR, ITEMS, PLENTY, START_MS, offline, register, shop
from tests.unit.stock_bench import TENANT, StockBench
from tests.unit.till_bench import CURRENCY, REGISTER, line


def told(bench: StockBench, kind: str) -> list[dict[str, Any]]:
    """The events of one kind, as if all that happened were one batch."""
    rows = bench.rows()["outbox"]
    return [json.loads(row[4]) for row in rows if row[1] == kind]


def test_a_repeat_is_answered_with_the_sale_of_the_first_time() -> None:
    bench, sale = shop(), offline(ITEMS[0])
    made = bench.run(sale)
    assert isinstance(made, t.SaleMade)
    assert (made.cashier, made.at_ms) == ("ann", START_MS)
    bench.now_ms += 10**10
    again = bench.run(sale, by="bob")
    assert again == t.SaleKnown(sale.sale_id, made.sold.sale)
    assert register(bench).next_receipt_number == 2
    assert bench.stock(ITEMS[0]).on_hand == -1


def test_something_else_under_the_same_id_is_refused() -> None:
    bench, sale = shop(), offline(ITEMS[0])
    bench.run(sale)
    assert sale.offline is not None
    other = replace(sale, offline=replace(sale.offline, digest=b"other"))
    assert bench.run(other).code == "client_sale_id_reused"


def test_a_repeat_needs_neither_shift_nor_register() -> None:
    bench, sale = shop(), offline(ITEMS[0])
    bench.run(sale)
    bench.run(t.CloseShift(REGISTER, 0, by_manager=True))
    late = offline(ITEMS[0])
    assert bench.run(late).code == "shift_closed"
    assert isinstance(bench.run(sale), t.SaleKnown)
    bench.run(t.RemoveRegister(REGISTER))
    assert bench.run(late).code == "not_found"
    assert isinstance(bench.run(sale), t.SaleKnown)


def test_goods_that_are_gone_are_not_promised_and_promises_are_kept() -> None:
    bench, tea = shop(), ITEMS[0]
    bench.run(stock.AddStock(tea, 5))
    hold = bench.run(stock.Reserve(uuid7(), (stock.Line(tea, 4),), 60_000))
    bench.run(offline(tea, 3))
    assert (bench.stock(tea).on_hand, bench.stock(tea).available) == (2, -2)
    assert bench.run(stock.Reserve(uuid7(), (stock.Line(tea, 1),), 60_000)).code == (
        "insufficient_stock"
    )
    assert not isinstance(bench.run(stock.Confirm(hold.reservation_id)), Refused)
    assert bench.stock(tea).on_hand == -2
    bench.run(stock.AddStock(tea, 3))
    assert not isinstance(bench.run(stock.Reserve(uuid7(), (stock.Line(tea, 1),), 1)), Refused)


def test_each_sale_of_what_was_not_there_is_told() -> None:
    bench, tea = shop(), ITEMS[0]
    bench.run(stock.AddStock(tea, 2))
    bench.run(stock.SetItemTerms(tea, backorder_limit=1))
    for _ in range(5):
        bench.run(offline(tea))
    levels = [event["available"] for event in told(bench, "inventory.stock.oversold.v1")]
    # Three were there or might be promised.
    assert levels == [-2, -3]


def test_cash_of_before_the_shift_is_named() -> None:
    bench = shop()
    opened_ms = bench.now_ms
    bench.run(offline(ITEMS[0], price_minor=300, at_ms=opened_ms - 1))
    bench.run(offline(ITEMS[0], price_minor=200, at_ms=opened_ms))
    shift = register(bench).shift
    assert shift is not None
    assert shift.expected_minor == FLOAT_MINOR + 500
    assert shift.totals.earlier_cash_minor == 300


def test_no_sale_is_dated_ahead() -> None:
    bench = shop()
    made = bench.run(offline(ITEMS[0], at_ms=bench.now_ms + 50_000))
    assert made.at_ms == bench.now_ms


def test_what_is_written_tells_both_moments_and_both_people() -> None:
    bench, sale = shop(), offline(ITEMS[0], at_ms=5_000, by="ann")
    bench.run(sale, by="bob")
    (row,) = bench.rows()["pos_sales"]
    assert sale.offline is not None
    name = sale.offline.client_sale_id
    assert row[18:21] == ("ann", 5_000, 1)
    assert row[21:26] == (name, "OFF-1", sale.offline.digest, "bob", bench.now_ms)
    (event,) = told(bench, "pos.sale.completed.v1")
    assert (event["cashierId"], event["soldAtMs"], event["offline"]) == ("ann", 5_000, True)


def test_what_has_variants_by_now_was_one_of_them() -> None:
    bench, sale = shop(), offline(ITEMS[0])
    bench.run(stock.BecomeParents((ITEMS[0],)))
    assert bench.run(sale).code == "choose_variant"
    assert not isinstance(bench.run(replace(sale, lines=(line(ITEMS[1]),))), Refused)


uploads = st.lists(
    st.tuples(
        st.sampled_from(ITEMS),
        st.integers(1, 4),
        st.integers(0, 900),
        st.integers(1, 100),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=8,
)


@given(wanted=uploads, online=st.integers(0, 4), data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_order_and_any_number_of_times_come_to_the_same(
    wanted: list[tuple[UUID, int, int, int, int]], online: int, data: st.DataObject
) -> None:
    """Offline sales, each several times, a count from between them, and sales of meanwhile."""
    count = stock.Count(tuple(stock.CountLine(item, 7, START_MS - 50) for item in ITEMS))
    commands: list[Any] = [count]
    for item, quantity, price, ago_ms, times in wanted:
        sale = offline(item, quantity, at_ms=START_MS - ago_ms, price_minor=price)
        commands += [sale] * times
    for _ in range(online):
        paid = (t.Tender(m.Method.CASH, 100),)
        commands.append(t.Sell(uuid7(), REGISTER, TENANT, CURRENCY, (line(PLENTY),), paid))
    model = dict.fromkeys(ITEMS, 7)
    for item, quantity, _, ago_ms, _ in wanted:
        model[item] -= quantity if ago_ms < 50 else 0
    for _ in range(2):
        bench = shop()
        bench.run(stock.AddStock(PLENTY, 100))
        for command in data.draw(st.permutations(commands)):
            assert not isinstance(bench.run(command), Refused)
        assert {item: bench.stock(item).on_hand for item in ITEMS} == model
        assert bench.stock(PLENTY).on_hand == 100 - online
        for item in ITEMS:
            assert sum(row[5] for row in bench.ledger_of(item)) == bench.stock(item).on_hand
        shift = register(bench).shift
        assert shift is not None
        taken = sum(quantity * price for _, quantity, price, _, _ in wanted)
        assert shift.expected_minor == FLOAT_MINOR + taken + 100 * online
        numbers = [row[1] for row in bench.rows()["pos_receipts"]]
        assert numbers == list(range(1, len(wanted) + online + 1))
