"""The till's rules where a model says little: holds, bundles, places, cards that expire."""

from __future__ import annotations

from uuid import UUID

import pytest
from msgspec.structs import replace

from actors.messages import Refused
from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.unit.till_bench import CURRENCY, REGISTER, TENANT, TillBench, line

TEA, CUP = UUID(int=1), UUID(int=2)
BRANCH, BRANCH_REGISTER = UUID(int=8), UUID(int=80)


@pytest.fixture
def bench() -> TillBench:
    bench = TillBench()
    bench.open()
    bench.run(stock.AddStock(TEA, 5))
    bench.run(stock.AddStock(CUP, 5))
    return bench


def hold(bench: TillBench, quantity: int, ttl_ms: int = 60_000) -> UUID:
    reservation_id = uuid7()
    bench.run(stock.Reserve(reservation_id, (stock.Line(TEA, quantity),), ttl_ms))
    return reservation_id


def expire(bench: TillBench, reservation_id: UUID) -> None:
    bench.now_ms += 60_000 + stock.GRACE_MS
    assert not isinstance(bench.run(stock.Expire(reservation_id)), Refused)


def test_a_hold_is_sold_with_more_from_the_shelf(bench: TillBench) -> None:
    held = hold(bench, 4)
    assert bench.sell(line(TEA, 2)).code == "insufficient_stock"
    assert bench.sell(line(TEA, 3), reservation_id=held).code == "reservation_differs"
    assert isinstance(bench.sell(line(TEA, 5), reservation_id=held), t.SaleMade)
    assert (bench.stock(TEA).on_hand, bench.stock(TEA).reserved) == (0, 0)
    assert bench.sell(line(TEA, 5), reservation_id=held).code == "not_open"


def test_an_expired_hold_is_sold_if_its_goods_are_still_there(bench: TillBench) -> None:
    held, other = hold(bench, 3), hold(bench, 2)
    expire(bench, held)
    bench.run(stock.Expire(other))
    assert isinstance(bench.sell(line(TEA, 3), reservation_id=held), t.SaleMade)
    assert bench.sell(line(TEA, 3), reservation_id=other).code == "insufficient_stock"
    assert bench.stock(TEA).on_hand == 2


@pytest.mark.parametrize("late", [False, True])
def test_what_was_given_up_is_never_sold(bench: TillBench, late: bool) -> None:
    held = hold(bench, 3)
    if late:
        expire(bench, held)
    for _ in range(2):
        assert isinstance(bench.run(t.Abandon(held)), t.Abandoned)
    assert bench.sell(line(TEA, 3), reservation_id=held).code == "not_open"
    assert (bench.stock(TEA).on_hand, bench.stock(TEA).reserved) == (5, 0)


def test_what_was_sold_cannot_be_given_up(bench: TillBench) -> None:
    held = hold(bench, 3)
    bench.sell(line(TEA, 3), reservation_id=held)
    assert bench.run(t.Abandon(held)).code == "not_open"


def test_a_bundle_leaves_and_comes_back_in_parts(bench: TillBench) -> None:
    parts = (m.Part(TEA, 2), m.Part(CUP, 1))
    box = m.SaleLine(uuid7(), uuid7(), "Box", "B", 2, 900, 0, 0, 0, 1_800, parts)
    sale = bench.sell(box, line(TEA, 1))
    assert (bench.stock(TEA).on_hand, bench.stock(CUP).on_hand) == (0, 3)
    back = t.Return(uuid7(), sale.sale_id, REGISTER, (t.ReturnLine(0, 1),))
    assert bench.run(back).record.total_minor == 900
    assert (bench.stock(TEA).on_hand, bench.stock(CUP).on_hand) == (2, 4)


def test_a_product_with_variants_is_neither_sold_nor_put_back_on_the_shelf(
    bench: TillBench,
) -> None:
    sale = bench.sell(line(TEA, 5))
    bench.run(stock.SetItemTerms(TEA, backorder_limit=5))
    assert bench.run(stock.BecomeParents((TEA,))).levels == ()
    choose = Refused("choose_variant", facts={"productId": str(TEA)})
    assert bench.sell(line(TEA, 1)) == choose
    back = t.Return(uuid7(), sale.sale_id, REGISTER, (t.ReturnLine(0, 1),))
    assert bench.run(back) == choose
    back = t.Return(uuid7(), sale.sale_id, REGISTER, (t.ReturnLine(0, 1, False),))
    assert isinstance(bench.run(back), t.ReturnDone)
    assert bench.stock(TEA).on_hand == 0


def test_goods_come_back_where_they_are_brought(bench: TillBench) -> None:
    bench.run(t.PutRegister(BRANCH_REGISTER, BRANCH, "Branch", 20, create=True))
    bench.run(t.OpenShift(BRANCH_REGISTER, uuid7(), 5_000, CURRENCY))
    sale = bench.sell(line(TEA, 2))
    wrong = t.Sell(uuid7(), BRANCH_REGISTER, TENANT, CURRENCY, (line(TEA),), ())
    assert bench.run(wrong).code == "wrong_location"
    made = bench.run(t.Return(uuid7(), sale.sale_id, BRANCH_REGISTER, (t.ReturnLine(0, 2),)))
    assert made.record.receipt_number == 1
    assert bench.stock(TEA).on_hand == 3
    levels = bench.run(stock.GetLevels((TEA,), BRANCH)).levels
    assert levels[0].on_hand == 2
    assert bench.shift(BRANCH_REGISTER).expected_minor == 4_800


def test_goods_are_held_for_a_sale_that_could_be_made(bench: TillBench) -> None:
    before = dict(bench.states)
    unpaid = t.Sell(uuid7(), REGISTER, TENANT, CURRENCY, (line(TEA, 6),), ())
    assert bench.run(t.HoldSale(unpaid, uuid7(), 5_000, "card payment")).code == "payment_short"
    assert bench.states == before
    hold_id, paid = uuid7(), (t.Tender(m.Method.CARD, 500),)
    good = t.Sell(uuid7(), REGISTER, TENANT, CURRENCY, (line(TEA, 5),), paid)
    held = bench.run(t.HoldSale(good, hold_id, 5_000, "card payment"))
    limits = {"shift_id": bench.shift().id, "until_ms": bench.now_ms + 5_000}
    assert held == t.SaleHeld(replace(good, reservation_id=hold_id, **limits))
    assert (bench.stock(TEA).on_hand, bench.stock(TEA).reserved) == (5, 5)
    # A sale that brings its hold keeps it.
    assert bench.run(t.HoldSale(held.sale, uuid7(), 9_000, "card payment")) == held
    assert bench.run(replace(held.sale, shift_id=uuid7())).code == "shift_closed"
    bench.now_ms += 5_001
    assert bench.run(held.sale).code == "sale_too_late"
    bench.now_ms -= 1
    assert isinstance(bench.run(held.sale), t.SaleMade)
    assert (bench.stock(TEA).on_hand, bench.stock(TEA).reserved) == (0, 0)


def test_a_register_moves_and_goes_only_when_its_shift_is_closed(bench: TillBench) -> None:
    moving = t.PutRegister(REGISTER, BRANCH, "Till 1", 20)
    assert bench.run(moving).code == "shift_open"
    assert bench.run(t.RemoveRegister(REGISTER)).code == "shift_open"
    assert bench.run(t.CloseShift(REGISTER, 0), "bob").code == "not_your_shift"
    bench.run(t.CloseShift(REGISTER, 0, by_manager=True), "bob")
    assert bench.run(moving).register.location_id == BRANCH
    assert not isinstance(bench.run(t.RemoveRegister(REGISTER)), Refused)
    assert bench.run(t.OpenShift(REGISTER, uuid7(), 0, CURRENCY)).code == "not_found"


def test_an_expired_card_pays_nothing(bench: TillBench) -> None:
    card = uuid7()
    sold = m.SaleLine(card, card, "Gift card", "", 1, 500, 0, 0, 0, 500, (), card)
    bench.sell(sold, new_cards=(t.NewCard(card, "WXYZ", bench.now_ms + 1_000),))
    tender = (t.Tender(m.Method.GIFT_CARD, 100, card_id=card),)
    assert isinstance(bench.sell(line(TEA), tenders=tender), t.SaleMade)
    bench.now_ms += 2_000
    assert bench.sell(line(TEA), tenders=tender).code == "gift_card_expired"


def test_a_discount_beyond_the_limit_needs_a_manager(bench: TillBench) -> None:
    generous = line(TEA, 1, 1_000, discount=201)
    refused = bench.sell(generous)
    assert (refused.code, refused.facts) == ("discount_limit", {"limitPercent": 20})
    assert isinstance(bench.sell(generous, by_manager=True), t.SaleMade)
    assert isinstance(bench.sell(line(TEA, 1, 1_000, discount=200)), t.SaleMade)
    # A fifth of three cents is rounded for the customer.
    assert isinstance(bench.sell(line(TEA, 1, 3, discount=1)), t.SaleMade)


def test_money_goes_back_to_cards_first(bench: TillBench) -> None:
    tenders = (t.Tender(m.Method.CASH, 60), t.Tender(m.Method.CARD, 40, "ch_1"))
    sale = bench.sell(line(TEA, 2, 50), tenders=tenders)
    one = bench.run(t.Return(uuid7(), sale.sale_id, REGISTER, (t.ReturnLine(0, 1),)))
    assert [(r.method, r.amount_minor, r.reference) for r in one.record.refunds] == [
        (m.Method.CARD, 40, "ch_1"),
        (m.Method.CASH, 10, None),
    ]
    owed = bench.rows()["card_refunds"]
    assert [(row[3], row[4]) for row in owed] == [("ch_1", 40)]
