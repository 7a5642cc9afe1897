"""The owner of the stock knows how it is measured: whoever means something else is refused, and
moves nothing."""

from __future__ import annotations

from uuid import UUID

import pytest

from actors.messages import Command
from actors.purchasing import model as p
from actors.stock import model as m
from actors.stock.transfers import StartTransfer
from tests.unit.stock_bench import StockBench

HAM, CUP, PLACE, ORDER = (UUID(int=number) for number in range(20, 24))
BY_GRAM = (m.Measure(HAM, 3),)


def _commands(quantity: int, measures: m.Measures) -> list[Command]:
    """All that say a quantity of it, as somebody means it."""
    lines = (m.Line(HAM, quantity),)
    return [
        m.AddStock(HAM, quantity, measures=measures),
        m.Adjust((m.Adjustment(HAM, -quantity),), "waste", measures=measures),
        m.Adjust((m.Adjustment(HAM, quantity, action="set"),), measures=measures),
        m.Count((m.CountLine(HAM, quantity, 1_000_000),), measures=measures),
        m.Reserve(UUID(int=90), lines, 60_000, measures=measures),
        m.ReleaseOldest(HAM, quantity, measures=measures),
        StartTransfer(UUID(int=91), lines, UUID(int=7), PLACE, measures=measures),
        m.SetItemTerms(HAM, backorder_limit=quantity, decimals=dict(measures).get(HAM, 0)),
    ]


@pytest.fixture
def bench() -> StockBench:
    """With 5 kg, of which somebody has reserved 2."""
    made = StockBench()
    made.run(m.SetMeasure((HAM,), 3))
    made.run(m.AddStock(HAM, 5_000, measures=BY_GRAM))
    made.run(m.Reserve(UUID(int=80), (m.Line(HAM, 2_000),), 60_000, measures=BY_GRAM))
    return made


@pytest.mark.parametrize("meant", [(), (m.Measure(HAM, 2),)])
@pytest.mark.parametrize("place", range(len(_commands(2, ()))))
def test_two_pieces_never_become_two_grams(
    bench: StockBench, place: int, meant: m.Measures
) -> None:
    before, told = dict(bench.states), len(bench.ledger)
    refused = bench.run(_commands(2, meant)[place])
    assert (refused.code, refused.facts["quantityDecimals"]) == ("measure_changed", 3)
    assert (bench.states, len(bench.ledger)) == (before, told)


@pytest.mark.parametrize("place", range(len(_commands(2, ()))))
def test_who_means_the_same_is_served(bench: StockBench, place: int) -> None:
    assert not isinstance(bench.run(_commands(2_000, BY_GRAM)[place]), m.Refused)


def test_pieces_stay_pieces_once_they_have_moved() -> None:
    made = StockBench()
    made.run(m.AddStock(CUP, 4))
    levels = made.run(m.SetMeasure((CUP,), 3)).levels
    assert [(level.on_hand, level.decimals) for level in levels] == [(4, 0)]
    refused = made.run(m.AddStock(CUP, 4_000, measures=(m.Measure(CUP, 3),)))
    assert refused.code == "measure_changed"


def test_of_what_nothing_is_known_the_first_movement_says_it() -> None:
    made = StockBench()
    [level] = made.run(m.AddStock(HAM, 350, measures=BY_GRAM)).levels
    assert (level.on_hand, level.decimals) == (350, 3)
    assert level.low_stock_threshold == m.DEFAULT_LOW_STOCK_THRESHOLD * 1_000
    assert made.run(m.AddStock(HAM, 1)).code == "measure_changed"


def test_a_draft_that_meant_pieces_is_not_placed(bench: StockBench) -> None:
    terms = p.Terms(UUID(int=99), UUID(int=7), "EUR")
    bench.run(p.PutPurchase(ORDER, terms, (p.WantedLine(HAM, 2, 100),), True))
    assert bench.run(p.PlacePurchase(ORDER)).code == "measure_changed"
    by_gram = p.PutPurchase(ORDER, terms, (p.WantedLine(HAM, 2_000, 100),), False, measures=BY_GRAM)
    bench.run(by_gram)
    placed = bench.run(p.PlacePurchase(ORDER))
    assert [line.total_minor for line in placed.lines] == [200]
