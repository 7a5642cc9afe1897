"""Where money goes back: the way that each line was paid, and onto no card that is of no use."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from actors.till.refunds import MIN_LIFE_MS
from core.ids import uuid7
from tests.unit.till_bench import REGISTER, TillBench, card_line, line

TEA, GREEN, CUP = UUID(int=1), UUID(int=2), UUID(int=3)
OLD, NEW = UUID(int=90), UUID(int=91)
GOODS, CARD = 0, 1


@pytest.fixture
def bench() -> TillBench:
    bench = TillBench()
    bench.open()
    for item in (TEA, CUP):
        bench.run(stock.AddStock(item, 50))
    return bench


def issue(bench: TillBench, card: UUID, amount: int, expires_at_ms: int | None = None) -> UUID:
    sold = bench.sell(card_line(card, amount), new_cards=(t.NewCard(card, "WXYZ", expires_at_ms),))
    return sold.sale_id


def back(bench: TillBench, sale_id: UUID, *numbers: int, **rest: Any) -> Any:
    lines = tuple(t.ReturnLine(number, 1) for number in numbers)
    return bench.run(t.Return(uuid7(), sale_id, REGISTER, lines, **rest))


def paid_out(done: Any) -> list[tuple[m.Method, int]]:
    return [(refund.method, refund.amount_minor) for refund in done.record.refunds]


def by_both(bench: TillBench, other: m.Method = m.Method.CASH) -> UUID:
    """Goods of 2,000 by the old card, a new card of 2,000 by another tender."""
    issue(bench, OLD, 2_000)
    tenders = (t.Tender(m.Method.GIFT_CARD, 2_000, card_id=OLD), t.Tender(other, 2_000))
    lines = (line(TEA, 1, 2_000), card_line(NEW, 2_000))
    return bench.sell(*lines, tenders=tenders, new_cards=(t.NewCard(NEW, "NEWC"),)).sale_id


def test_what_comes_back_does_not_receive_its_refund(bench: TillBench) -> None:
    sale_id = issue(bench, NEW, 4_000)
    before = dict(bench.states)
    onto = {"refund_to": m.Method.GIFT_CARD, "card_id": NEW, "by_manager": True}
    assert back(bench, sale_id, 0, **onto).code == "refund_to_returned_card"
    assert bench.states == before
    assert paid_out(back(bench, sale_id, 0)) == [(m.Method.CASH, 4_000)]


@pytest.mark.parametrize("other", [m.Method.CASH, m.Method.CARD, m.Method.EXTERNAL])
@pytest.mark.parametrize("first", [CARD, GOODS])
def test_each_line_goes_back_the_way_that_it_was_paid(
    bench: TillBench, other: m.Method, first: int
) -> None:
    sale_id = by_both(bench, other)
    in_turn = (first, 1 - first)
    refunds = {number: paid_out(back(bench, sale_id, number)) for number in in_turn}
    assert refunds == {CARD: [(other, 2_000)], GOODS: [(m.Method.GIFT_CARD, 2_000)]}
    assert bench.card(OLD).balance_minor == 2_000
    assert (bench.card(NEW).balance_minor, bench.card(NEW).disabled) == (0, True)


def test_all_at_once_comes_to_the_same(bench: TillBench) -> None:
    done = back(bench, by_both(bench), CARD, GOODS)
    assert sorted(paid_out(done)) == [(m.Method.CASH, 2_000), (m.Method.GIFT_CARD, 2_000)]


def test_goods_take_of_another_tender_what_the_card_did_not_cost(bench: TillBench) -> None:
    issue(bench, OLD, 500)
    tenders = (t.Tender(m.Method.GIFT_CARD, 500, card_id=OLD), t.Tender(m.Method.CARD, 2_500, "c"))
    lines = (line(TEA, 2, 500), card_line(NEW, 2_000))
    sale = bench.sell(*lines, tenders=tenders, new_cards=(t.NewCard(NEW, "NEWC"),))
    assert paid_out(back(bench, sale.sale_id, GOODS)) == [(m.Method.CARD, 500)]
    assert paid_out(back(bench, sale.sale_id, GOODS)) == [(m.Method.GIFT_CARD, 500)]
    assert paid_out(back(bench, sale.sale_id, CARD)) == [(m.Method.CARD, 2_000)]


@pytest.mark.parametrize(
    ("left_ms", "code"),
    [(-1, "gift_card_expired"), (MIN_LIFE_MS, "gift_card_expires_soon"), (MIN_LIFE_MS + 1, None)],
)
def test_nothing_goes_onto_a_card_that_nobody_can_spend(
    bench: TillBench, left_ms: int, code: str | None
) -> None:
    end = bench.now_ms + 10 * MIN_LIFE_MS
    issue(bench, OLD, 500, end)
    tender = (t.Tender(m.Method.GIFT_CARD, 200, card_id=OLD),)
    sale_id = bench.sell(line(TEA, 2), tenders=tender).sale_id
    bench.now_ms = end - left_ms
    done = back(bench, sale_id, 0)
    if code is None:
        assert paid_out(done) == [(m.Method.GIFT_CARD, 100)]
        return
    assert done.code == code
    assert bench.card(OLD).balance_minor == 300
    credit = {"refund_to": m.Method.STORE_CREDIT, "new_card": t.NewCard(uuid7(), "CRED")}
    assert paid_out(back(bench, sale_id, 0, **credit)) == [(m.Method.STORE_CREDIT, 100)]
    assert back(bench, sale_id, 0, refund_to=m.Method.CASH).code == "manager_needed"
    cash = {"refund_to": m.Method.CASH, "by_manager": True}
    assert paid_out(back(bench, sale_id, 0, **cash)) == [(m.Method.CASH, 100)]


def test_a_void_gives_back_to_a_card_that_still_holds(bench: TillBench) -> None:
    issue(bench, OLD, 500, bench.now_ms + 1_000)
    tender = (t.Tender(m.Method.GIFT_CARD, 200, card_id=OLD),)
    sale_id = bench.sell(line(TEA, 2), tenders=tender).sale_id
    undone = t.Return(uuid7(), sale_id, REGISTER, (), void=True, by_manager=True)
    assert paid_out(bench.run(undone)) == [(m.Method.GIFT_CARD, 200)]
    assert bench.card(OLD).balance_minor == 500


def test_goods_that_have_variants_by_now_go_onto_the_shelf_of_one(bench: TillBench) -> None:
    sale = bench.sell(line(TEA, 50))
    bench.run(stock.BecomeParents((TEA,)))

    def put(restock_as: UUID | None, number: int = 0) -> Any:
        lines = (t.ReturnLine(number, 2, True, restock_as),)
        return bench.run(t.Return(uuid7(), sale.sale_id, REGISTER, lines))

    assert put(None).code == "choose_variant"
    assert put(TEA).code == "choose_variant"
    assert put(GREEN).record.total_minor == 200
    assert (bench.stock(TEA).on_hand, bench.stock(GREEN).on_hand) == (0, 2)
    assert bench.rows()["pos_return_lines"][0].restocked_as == GREEN


def test_what_has_several_parts_is_not_one_variant(bench: TillBench) -> None:
    parts = (m.Part(TEA, 2), m.Part(CUP, 1))
    sale = bench.sell(m.SaleLine(uuid7(), uuid7(), "Box", "B", 1, 900, 0, 0, 0, 900, parts))
    lines = (t.ReturnLine(0, 1, True, GREEN),)
    refused = bench.run(t.Return(uuid7(), sale.sale_id, REGISTER, lines))
    assert (refused.code, refused.facts) == ("restock_unclear", {"line": 0})
