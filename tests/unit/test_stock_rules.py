"""The rules of stock, one by one."""

from __future__ import annotations

from uuid import UUID

from actors.families import commerce
from actors.stock import model as m
from core.ids import uuid7
from tests.unit.stock_bench import StockBench

TEA, CUP = UUID(int=1), UUID(int=2)


def bench(tea: int = 10, cup: int = 5) -> StockBench:
    made = StockBench()
    made.run(m.AddStock(TEA, tea))
    made.run(m.AddStock(CUP, cup))
    made.ledger.clear()
    return made


def reserve(made: StockBench, *lines: m.Line, ttl_ms: int = 60_000, by: str = "alice"):
    return made.run(m.Reserve(uuid7(), lines, ttl_ms), by=by)


def test_a_hold_counts_at_once_and_leaves_on_hand_alone() -> None:
    made = bench()
    hold = reserve(made, m.Line(TEA, 3))
    assert (made.stock(TEA).on_hand, made.stock(TEA).available) == (10, 7)
    assert hold.levels[0].available == 7
    assert hold.expires_at_ms == made.now_ms + 60_000


def test_two_lines_of_one_product_are_held_for_their_sum() -> None:
    made = bench(tea=5)
    refused = reserve(made, m.Line(TEA, 3), m.Line(TEA, 3))
    assert refused == m.Refused("insufficient_stock", (m.Shortage(TEA, 6, 5),))
    assert reserve(made, m.Line(TEA, 3), m.Line(TEA, 2)).lines == (m.Line(TEA, 5),)


def test_all_lines_are_held_or_none() -> None:
    made = bench(tea=10, cup=1)
    refused = reserve(made, m.Line(TEA, 1), m.Line(CUP, 2))
    assert refused.code == "insufficient_stock"
    assert made.stock(TEA).reserved == 0
    assert made.ledger == []


def test_confirm_takes_the_goods_and_a_second_one_changes_nothing() -> None:
    made = bench()
    hold = reserve(made, m.Line(TEA, 4))
    confirmed = made.run(m.Confirm(hold.reservation_id))
    assert confirmed.status is m.Status.CONFIRMED
    made.ledger.clear()
    assert made.run(m.Confirm(hold.reservation_id)).status is m.Status.CONFIRMED
    assert made.ledger == []
    assert (made.stock(TEA).on_hand, made.stock(TEA).reserved) == (6, 0)


def test_released_goods_are_free_and_cannot_be_confirmed() -> None:
    made = bench(tea=4)
    hold = reserve(made, m.Line(TEA, 4))
    assert made.run(m.Release(hold.reservation_id)).status is m.Status.RELEASED
    assert made.stock(TEA).available == 4
    assert made.run(m.Confirm(hold.reservation_id)) == m.Refused("not_open")


def test_confirmed_goods_cannot_be_released() -> None:
    made = bench()
    hold = reserve(made, m.Line(TEA, 4))
    made.run(m.Confirm(hold.reservation_id))
    assert made.run(m.Release(hold.reservation_id)) == m.Refused("not_open")


def test_a_hold_survives_its_expiry_by_the_grace_and_no_longer() -> None:
    made = bench(tea=4)
    hold = reserve(made, m.Line(TEA, 4), ttl_ms=1_000)
    made.now_ms = hold.expires_at_ms + m.GRACE_MS - 1
    assert made.run(m.Expire(hold.reservation_id)) == m.Refused("not_due")
    assert made.run(m.Confirm(hold.reservation_id)).status is m.Status.CONFIRMED
    assert made.stock(TEA).on_hand == 0


def test_a_late_confirm_takes_the_goods_again_if_they_are_still_there() -> None:
    made = bench(tea=4)
    hold = reserve(made, m.Line(TEA, 4), ttl_ms=1_000)
    made.now_ms = hold.expires_at_ms + m.GRACE_MS
    assert made.run(m.Expire(hold.reservation_id)).status is m.Status.EXPIRED
    assert made.stock(TEA).available == 4
    assert made.run(m.Confirm(hold.reservation_id)).status is m.Status.CONFIRMED
    assert (made.stock(TEA).on_hand, made.stock(TEA).reserved) == (0, 0)


def test_a_late_confirm_says_so_when_somebody_else_was_faster() -> None:
    made = bench(tea=4)
    hold = reserve(made, m.Line(TEA, 4), ttl_ms=1_000)
    made.now_ms = hold.expires_at_ms + m.GRACE_MS
    made.run(m.Expire(hold.reservation_id))
    reserve(made, m.Line(TEA, 1), by="bob")
    assert made.run(m.Confirm(hold.reservation_id)) == m.Refused(
        "reservation_expired", (m.Shortage(TEA, 4, 3),)
    )


def test_extending_moves_the_expiry_and_the_timer_with_it() -> None:
    made = bench()
    hold = reserve(made, m.Line(TEA, 1), ttl_ms=1_000)
    made.ledger.clear()
    made.now_ms += 500
    extended = made.run(m.Extend(hold.reservation_id, 5_000))
    assert extended.expires_at_ms == made.now_ms + 5_000
    due = [timer for change in made.ledger for timer in commerce.timers(change)]
    assert [timer.due_ms for timer in due] == [extended.expires_at_ms + m.GRACE_MS]
    made.now_ms = hold.expires_at_ms + m.GRACE_MS
    assert made.run(m.Expire(hold.reservation_id)) == m.Refused("not_due")


def test_release_without_an_id_frees_the_callers_own_oldest_holds_first() -> None:
    made = bench(tea=10)
    first = reserve(made, m.Line(TEA, 2), m.Line(CUP, 1))
    second = reserve(made, m.Line(TEA, 2))
    reserve(made, m.Line(TEA, 3), by="bob")
    freed = made.run(m.ReleaseOldest(TEA, 3))
    assert freed.reservation_ids == (first.reservation_id, second.reservation_id)
    assert freed.level.available == 6
    # The first hold lives on with its other line, the second with what is left.
    assert made.reservation(first.reservation_id).lines == (m.Line(CUP, 1),)
    assert made.reservation(second.reservation_id).lines == (m.Line(TEA, 1),)
    assert made.run(m.ReleaseOldest(TEA, 2)).code == "no_open_hold"
    assert made.run(m.ReleaseOldest(TEA, 1)).quantity == 1
    assert made.reservation(second.reservation_id).status is m.Status.RELEASED


def test_adjustments_never_go_below_what_is_reserved_and_happen_together() -> None:
    made = bench(tea=10, cup=5)
    reserve(made, m.Line(TEA, 8))
    lines = (m.Adjustment(CUP, 1), m.Adjustment(TEA, -3))
    refused = made.run(m.Adjust(lines, "damaged"))
    assert refused == m.Refused("insufficient_stock", (m.Shortage(TEA, 3, 2),))
    assert made.stock(CUP).on_hand == 5
    made.run(m.Adjust((m.Adjustment(CUP, 1), m.Adjustment(TEA, -2)), "damaged"))
    assert (made.stock(CUP).on_hand, made.stock(TEA).available) == (6, 0)


def test_low_stock_is_told_once_per_crossing() -> None:
    made = StockBench()
    made.run(m.AddStock(TEA, 5, 3))  # from nothing: it was never above the threshold
    for _ in range(2):
        hold = reserve(made, m.Line(TEA, made.stock(TEA).available - 2))
        reserve(made, m.Line(TEA, 1))  # lower still, but it has been told
        made.run(m.Release(hold.reservation_id))
        made.run(m.AddStock(TEA, 5))
    low = [
        row for row in commerce.project(made.ledger)["outbox"] if row[1] == "inventory.stock.low.v1"
    ]
    assert len(low) == 2


def test_what_a_batch_both_begins_and_changes_is_new() -> None:
    made = StockBench()
    product = uuid7()
    made.run(m.AddStock(product, 5))
    hold = reserve(made, m.Line(product, 1))
    made.run(m.Release(hold.reservation_id))
    rows = made.rows()
    assert [row[0] for row in rows["stock_levels"]] == [product]
    assert [row[0] for row in rows["reservations"]] == [hold.reservation_id]
    assert not rows["stock_levels moved"]
    assert not rows["reservations changed"]


def test_a_batch_writes_net_levels_and_every_movement() -> None:
    made = bench()
    hold = reserve(made, m.Line(TEA, 2), m.Line(CUP, 1))
    made.run(m.Confirm(hold.reservation_id))
    rows = commerce.project(made.ledger)
    assert not rows["stock_levels"], "they were there before"
    assert len(rows["stock_levels moved"]) == 2
    assert len(rows["reservations"]) == 1
    assert len(rows["stock_movements"]) == 4
    assert sorted(row[2] for row in rows["stock_movements"]) == [2, 2, 3, 3]


def test_a_discontinued_product_takes_no_new_holds_and_keeps_the_old() -> None:
    made = bench()
    hold = reserve(made, m.Line(TEA, 2))
    made.run(m.SetItemTerms(TEA, discontinued=True))
    assert reserve(made, m.Line(TEA, 1)) == m.Refused("product_discontinued")
    assert made.run(m.Confirm(hold.reservation_id)).status is m.Status.CONFIRMED


def test_stock_has_a_limit() -> None:
    made = StockBench()
    made.run(m.AddStock(TEA, m.MAX_ON_HAND))
    assert made.run(m.AddStock(TEA, 1)) == m.Refused("stock_limit")
    assert made.run(m.Adjust((m.Adjustment(TEA, 1),), "found")) == m.Refused("stock_limit")


def test_what_is_not_there_is_not_found() -> None:
    made = bench()
    for command in (m.Confirm(uuid7()), m.Extend(uuid7(), 1), m.Release(uuid7())):
        assert made.run(command) == m.Refused("not_found")
    assert reserve(made, m.Line(UUID(int=99), 1)).code == "insufficient_stock"
