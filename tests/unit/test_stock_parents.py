"""A product with variants takes in and promises nothing itself, and none gets them with stock."""

from __future__ import annotations

from uuid import UUID

import pytest

from actors.messages import Command, Refused
from actors.purchasing import model as p
from actors.stock import model as m
from actors.stock import transfers as t
from core.ids import uuid7
from tests.unit.stock_bench import TENANT, StockBench

TEA, CUP = UUID(int=1), UUID(int=2)
BARN, ORDER = UUID(int=8), UUID(int=9)
MARK = m.BecomeParents((TEA,))
CHOOSE = Refused("choose_variant", facts={"productId": str(TEA)})


def bench(tea: int = 0) -> StockBench:
    made = StockBench()
    made.run(m.AddStock(TEA, tea))
    made.run(m.AddStock(CUP, 5))
    return made


def order() -> p.PutPurchase:
    terms = p.Terms(UUID(int=10), TENANT, "GBP")
    return p.PutPurchase(ORDER, terms, (p.WantedLine(TEA, 2, 100),), True)


def test_what_has_anything_anywhere_stays_what_it_is() -> None:
    for tea in (1, 4):
        made = bench(tea)
        made.run(t.StartTransfer(uuid7(), (m.Line(TEA, tea),), TENANT, BARN, tea == 4))
        assert made.stock(TEA).on_hand == 0
        levels = made.run(MARK).levels
        assert [(level.location_id, level.on_hand, level.incoming) for level in levels] == [
            (BARN, 1 if tea == 1 else 0, 4 if tea == 4 else 0)
        ]
        assert not made.item(TEA).parent


def test_a_promise_of_what_is_not_there_counts_too() -> None:
    made = bench()
    made.run(m.SetItemTerms(TEA, backorder_limit=5))
    hold = made.run(m.Reserve(uuid7(), (m.Line(TEA, 2),), 1_000))
    assert [level.reserved for level in made.run(MARK).levels] == [2]
    made.run(m.Release(hold.reservation_id))
    assert made.run(MARK).levels == ()
    assert made.item(TEA).parent
    assert made.item(TEA).backorder_limit == 5


def test_one_command_tells_those_with_stock_from_the_others() -> None:
    made = bench()
    stocked = made.run(m.BecomeParents((TEA, CUP))).levels
    assert [(level.product_id, level.on_hand) for level in stocked] == [(CUP, 5)]
    assert (made.item(TEA).parent, made.item(CUP).parent) == (True, False)


@pytest.mark.parametrize(
    "command",
    [
        m.AddStock(TEA, 1),
        m.Adjust((m.Adjustment(CUP, 1), m.Adjustment(TEA, 1, BARN))),
        m.Count((m.CountLine(TEA, 1, 1),)),
        m.Reserve(uuid7(), (m.Line(CUP, 1), m.Line(TEA, 1)), 1_000),
        t.StartTransfer(uuid7(), (m.Line(TEA, 1),), TENANT, BARN),
        p.PlacePurchase(ORDER),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_parent_takes_nothing_in_and_promises_nothing(command: Command) -> None:
    made = bench()
    made.run(m.SetItemTerms(TEA, backorder_limit=5))
    made.run(order())
    made.run(MARK)
    assert made.batch(command) == [CHOOSE]
    assert made.stock(TEA).available == 0


def test_more_than_ordered_does_not_come_in_for_a_parent() -> None:
    made = bench()
    terms = p.Terms(UUID(int=10), TENANT, "GBP")
    lines = (p.WantedLine(TEA, 2, 100), p.WantedLine(CUP, 2, 100))
    made.run(p.PutPurchase(ORDER, terms, lines, True))
    made.run(p.PlacePurchase(ORDER))
    made.run(p.ReceivePurchase(ORDER, (p.Delivered(TEA, 2),)))
    made.run(m.Adjust((m.Adjustment(TEA, -2),)))
    made.run(MARK)
    more = p.ReceivePurchase(ORDER, (p.Delivered(TEA, 1),), allow_excess=True)
    assert made.run(more) == CHOOSE


def test_a_hold_that_ran_out_is_not_honoured_late() -> None:
    made = bench(2)
    hold = made.run(m.Reserve(uuid7(), (m.Line(TEA, 2),), 1_000))
    made.now_ms = hold.expires_at_ms + m.GRACE_MS
    made.run(m.Expire(hold.reservation_id))
    made.run(m.Adjust((m.Adjustment(TEA, -2),)))
    made.run(m.SetItemTerms(TEA, backorder_limit=5))
    made.run(MARK)
    assert made.run(m.Confirm(hold.reservation_id)) == Refused("reservation_expired")


def test_what_was_said_before_the_first_variant_counts_no_more() -> None:
    made = bench()
    made.run(MARK)
    late = m.BecomeSimple(TEA, made.item(TEA).sequence)
    made.run(MARK)
    assert made.run(late) == Refused("moved_meanwhile")
    assert made.item(TEA).parent
    made.run(m.BecomeSimple(TEA, made.item(TEA).sequence))
    made.run(m.AddStock(TEA, 3))
    assert made.stock(TEA).on_hand == 3
