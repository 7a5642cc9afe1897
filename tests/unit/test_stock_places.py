"""Stock at several locations: transfers, counts in every order, trouble that stays where it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from uuid import UUID

import pytest

from actors.families import commerce
from actors.messages import Command
from actors.stock import model as m
from actors.stock import transfers as t
from actors.stock.levels import location_of
from core.ids import uuid7
from tests.unit.stock_bench import KIND, OCCURRED, ON_HAND, RECORDED, RESERVED, TENANT, StockBench

TEA, CUP = UUID(int=1), UUID(int=2)
SHOP, BARN = TENANT, UUID(int=8)
HOUR_MS = 3_600_000


def bench(shop: int = 10, barn: int = 0) -> StockBench:
    made = StockBench()
    made.now_ms = 10 * HOUR_MS
    made.run(m.AddStock(TEA, shop))
    made.run(m.AddStock(TEA, barn, location_id=BARN))
    return made


def reserve(made: StockBench, quantity: int, place: UUID | None = None) -> object:
    return made.run(m.Reserve(uuid7(), (m.Line(TEA, quantity),), HOUR_MS, location_id=place))


def transfer(quantity: int, *, ship: bool = False) -> t.StartTransfer:
    return t.StartTransfer(uuid7(), (m.Line(TEA, quantity),), SHOP, BARN, ship)


def test_the_main_location_is_meant_where_none_is_named() -> None:
    made = bench(shop=3)
    made.run(m.AddStock(TEA, 2, location_id=TENANT))
    assert made.stock(TEA) == made.stock(TEA, TENANT)
    assert made.stock(TEA).on_hand == 5
    assert made.item(TEA).location_ids == (SHOP, BARN)


def test_a_level_everywhere_is_one_at_each_location() -> None:
    made = bench(shop=3, barn=4)
    levels = made.run(m.GetLevels((TEA, CUP), everywhere=True)).levels
    found = [(level.product_id, level.location_id, level.on_hand) for level in levels]
    assert found == [(TEA, SHOP, 3), (TEA, BARN, 4), (CUP, SHOP, 0)]
    assert made.run(m.GetLevels((TEA,), BARN)).levels == (levels[1],)


# --- transfers -----------------------------------------------------------------------------


def test_a_transfer_writes_both_ledgers_or_nothing() -> None:
    made = bench(shop=10)
    made.run(m.AddStock(CUP, 1))
    lines = (m.Line(TEA, 4), m.Line(CUP, 2))
    refused = made.run(t.StartTransfer(uuid7(), lines, SHOP, BARN))
    assert refused == m.Refused("insufficient_stock", (m.Shortage(CUP, 2, 1),))
    made.run(transfer(4))
    assert (made.stock(TEA).on_hand, made.stock(TEA, BARN).on_hand) == (6, 4)
    assert [line[KIND] for line in made.lines[-2:]] == ["transferred_out", "transferred_in"]


def test_a_transfer_to_itself_is_refused() -> None:
    made = bench()
    lines = (m.Line(TEA, 1),)
    assert made.run(t.StartTransfer(uuid7(), lines, SHOP, SHOP)) == m.Refused("same_location")


def test_two_lines_of_one_item_are_judged_together() -> None:
    made = bench(shop=5)
    lines = (m.Line(TEA, 3), m.Line(TEA, 3))
    refused = made.run(t.StartTransfer(uuid7(), lines, SHOP, BARN))
    assert refused == m.Refused("insufficient_stock", (m.Shortage(TEA, 6, 5),))


def test_what_is_shipped_is_incoming_until_it_arrives() -> None:
    made = bench(shop=10)
    shipped = made.run(transfer(4, ship=True))
    there = made.stock(TEA, BARN)
    assert (made.stock(TEA).on_hand, there.on_hand, there.incoming) == (6, 0, 4)
    for _ in range(2):  # once more changes nothing
        made.run(t.ReceiveTransfer(shipped.transfer_id))
    there = made.stock(TEA, BARN)
    assert (there.on_hand, there.incoming) == (4, 0)
    assert made.run(t.CancelTransfer(shipped.transfer_id)) == m.Refused("transfer_closed")


def test_what_was_reserved_cannot_be_transferred() -> None:
    made = bench(shop=5)
    reserve(made, 3)
    refused = made.run(transfer(3))
    assert refused == m.Refused("insufficient_stock", (m.Shortage(TEA, 3, 2),))


# --- one location's trouble ------------------------------------------------------------------


def test_a_location_that_owes_more_than_it_has_blocks_nobody_else() -> None:
    made = bench(shop=5, barn=5)
    reserve(made, 5)
    made.run(m.Count((m.CountLine(TEA, 2, made.now_ms),)))  # three of the five are not there
    assert made.stock(TEA).available == -3
    assert reserve(made, 1) == m.Refused("insufficient_stock", (m.Shortage(TEA, 1, 0),))
    assert reserve(made, 5, BARN).status is m.Status.OPEN
    # It may recover step by step, but never get worse.
    assert made.run(m.Adjust((m.Adjustment(TEA, 1),), "found")).levels[0].available == -2
    assert made.run(m.Adjust((m.Adjustment(TEA, -1),), "lost")).code == "insufficient_stock"


def test_open_holds_of_a_location_in_trouble_can_be_closed() -> None:
    made = bench(shop=5)
    hold = reserve(made, 4)
    other = reserve(made, 1)
    made.run(m.Count((m.CountLine(TEA, 2, made.now_ms),)))
    assert made.run(m.Release(other.reservation_id)).status is m.Status.RELEASED
    assert made.run(m.Confirm(hold.reservation_id)).status is m.Status.CONFIRMED
    assert (made.stock(TEA).on_hand, made.stock(TEA).reserved) == (-2, 0)


def test_backorder_goes_down_to_its_limit_at_each_location() -> None:
    made = bench(shop=1)
    made.run(m.SetItemTerms(TEA, backorder_limit=2))
    refused = reserve(made, 4)
    assert refused == m.Refused("insufficient_stock", (m.Shortage(TEA, 4, 3),))
    hold = reserve(made, 3)
    assert made.stock(TEA).available == -2
    # A lower limit leaves what is promised as it is.
    made.run(m.SetItemTerms(TEA, backorder_limit=0))
    assert made.run(m.Confirm(hold.reservation_id)).status is m.Status.CONFIRMED
    assert made.stock(TEA).on_hand == -2
    made.run(m.AddStock(TEA, 1))
    assert made.stock(TEA).available == -1
    assert reserve(made, 1).code == "insufficient_stock"


def test_backorder_at_a_location_that_never_had_any() -> None:
    made = StockBench()
    made.run(m.SetItemTerms(CUP, backorder_limit=3))
    lines = (m.Line(CUP, 2),)
    hold = made.run(m.Reserve(uuid7(), lines, HOUR_MS, location_id=BARN))
    assert hold.levels[0].available == -2
    assert made.item(CUP).location_ids == (BARN,)


# --- counts ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Something that happened at an hour and may arrive at any time."""

    hour: int
    command: str
    number: int

    def at(self, made: StockBench) -> Command:
        at_ms = self.hour * HOUR_MS
        if self.command == "count":
            return m.Count((m.CountLine(TEA, self.number, at_ms),))
        line = m.Adjustment(TEA, self.number, occurred_at_ms=at_ms)
        return m.Adjust((line,), "damaged")


# Five sold before the count, three after it, four came back; and an earlier count.
STEPS = (
    Step(2, "count", 20),
    Step(3, "move", -5),
    Step(5, "count", 14),
    Step(6, "move", -3),
    Step(7, "move", 4),
)


@pytest.mark.parametrize("order", list(permutations(range(len(STEPS)))))
def test_counts_and_late_movements_in_every_order(order: tuple[int, ...]) -> None:
    made = bench(shop=30)
    for number in order:
        made.now_ms += 1
        made.run(STEPS[number].at(made))
    # The opening of 30 was recorded at hour 10, which is after the counts.
    assert made.stock(TEA).on_hand == 14 - 3 + 4 + 30
    assert sum(line[ON_HAND] for line in made.ledger_of(TEA)) == made.stock(TEA).on_hand


@pytest.mark.parametrize("order", list(permutations(range(len(STEPS)))))
def test_the_same_in_one_batch(order: tuple[int, ...]) -> None:
    made = bench(shop=30)
    made.now_ms += 1
    made.batch(*(STEPS[number].at(made) for number in order))
    assert made.stock(TEA).on_hand == 14 - 3 + 4 + 30
    lines = made.ledger_of(TEA)
    assert sum(line[ON_HAND] for line in lines) == made.stock(TEA).on_hand
    assert sum(line[ON_HAND] for line in lines if line[OCCURRED] <= 5 * HOUR_MS) == 14


def test_a_late_movement_shows_when_it_happened_and_when_it_was_recorded() -> None:
    made = bench(shop=10)
    counted_at_ms = made.now_ms
    made.run(m.Count((m.CountLine(TEA, 8, counted_at_ms),)))
    made.now_ms += HOUR_MS
    made.run(STEPS[1].at(made))
    late, taken_back = made.ledger_of(TEA)[-2:]
    assert (late[KIND], late[ON_HAND], late[OCCURRED]) == ("adjusted", -5, 3 * HOUR_MS)
    assert (taken_back[KIND], taken_back[ON_HAND], taken_back[OCCURRED]) == (
        "counted",
        5,
        counted_at_ms,
    )
    assert {late[RECORDED], taken_back[RECORDED]} == {made.now_ms}
    assert made.stock(TEA).on_hand == 8


def test_a_late_movement_crosses_no_threshold() -> None:
    made = bench(shop=100)
    made.run(m.Count((m.CountLine(TEA, 100, made.now_ms),)))
    made.ledger.clear()
    line = m.Adjustment(TEA, -100, occurred_at_ms=HOUR_MS)
    made.run(m.Adjust((line,), "damaged"))
    kinds = [row[1] for row in commerce.project(made.ledger)["outbox"]]
    assert kinds == ["inventory.stock.updated.v1"]


# --- compare and set, batches ----------------------------------------------------------------


def test_a_level_that_has_moved_on_is_left_alone() -> None:
    made = bench(shop=10)
    seen = made.stock(TEA)

    def change(delta: int) -> m.Adjust:
        line = m.Adjustment(TEA, delta, expected_sequence=seen.sequence)
        return m.Adjust((m.Adjustment(CUP, 5), line), "recount")

    made.run(change(-1))
    refused = made.run(change(-1))
    assert (refused.code, refused.facts["line"], refused.facts["onHand"]) == ("stock_changed", 1, 9)
    assert (made.stock(TEA).on_hand, made.stock(CUP).on_hand) == (9, 5)


def test_a_batch_happens_together_or_not_at_all() -> None:
    made = bench(shop=10, barn=3)
    lines = (
        m.Adjustment(TEA, 7, None, "set"),
        m.Adjustment(CUP, 5, BARN, "add", None, None, 2),
        m.Adjustment(TEA, -4, BARN),
    )
    assert made.run(m.Adjust(lines, "recount")).code == "insufficient_stock"
    assert (made.stock(TEA).on_hand, made.stock(CUP, BARN).on_hand) == (10, 0)
    levels = made.run(m.Adjust(lines[:2], "recount")).levels
    assert [(level.on_hand, level.low_stock_threshold) for level in levels] == [(7, 10), (5, 2)]


# --- repair ----------------------------------------------------------------------------------


def test_a_level_that_drifted_is_brought_back_to_its_ledger() -> None:
    made = bench(shop=10)
    reserve(made, 2)
    key = next(key for key in made.states if key.kind == m.STOCK and location_of(key) == SHOP)
    good = made.states[key]
    made.states[key] = m.Stock(7, 5, 1, 10, True, 0, None, good.sequence)
    told = made.run(m.Repair(TEA, "drift"))
    assert told.repaired
    assert (told.before.on_hand, told.after.on_hand, told.after.reserved) == (7, 10, 2)
    assert (made.stock(TEA).incoming, made.lines[-1][KIND]) == (0, "repaired")
    assert not made.run(m.Repair(TEA, "drift")).repaired


def test_what_is_reserved_by_nobody_is_free_again() -> None:
    """Reserved that has drifted, ledger and all: a hold that vanished."""
    made = bench(shop=10)
    hold = reserve(made, 4)
    gone = next(key for key in made.states if key.id == hold.reservation_id)
    del made.states[gone]
    told = made.run(m.Repair(TEA, "drift"))
    assert (told.before.reserved, told.after.reserved) == (4, 0)
    assert made.lines[-1][RESERVED] == -4
    assert sum(line[RESERVED] for line in made.ledger_of(TEA)) == 0


def test_a_repair_waits_for_a_neighbour_that_moves_the_same_goods() -> None:
    made = bench(shop=10)
    added, repaired = made.batch(m.AddStock(TEA, 1), m.Repair(TEA, "drift"))
    assert added.levels[0].on_hand == 11
    assert repaired == m.Refused("moved_meanwhile")
