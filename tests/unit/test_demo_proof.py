"""The demo's proof of the stock holds for true books, and for no falsified ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.demo.books import Account, Books
from cli.demo.meter import Meter, percentile_ms
from cli.demo.proof import Proof
from cli.demo.proof_stock import Level, Movement, prove_stock

Case = tuple[Account, Level, list[Movement]]


def movement(
    sequence: int,
    kind: str,
    deltas: tuple[int, int],
    after: tuple[int, int],
    reservation_id: str | None = None,
    reason: str | None = None,
    reference: str | None = None,
) -> Movement:
    return Movement(sequence, kind, *deltas, *after, reason, reference, reservation_id)


def true_case() -> Case:
    """Opened with 10; sales of 3 and 2, one of them at a till; one released hold; one unit back
    to the till, one that was never sold."""
    ledger = [
        movement(1, "received", (10, 0), (10, 0)),
        movement(2, "reserved", (0, 3), (10, 3), "r1"),
        movement(3, "reserved", (0, 4), (10, 7), "r2"),
        movement(4, "confirmed", (-3, -3), (7, 4), "r1"),
        movement(6, "released", (0, -4), (7, 0), "r2"),
        movement(7, "adjusted", (1, 0), (8, 0), reason="returned"),
        movement(8, "returned", (1, 0), (9, 0), reference="return b1"),
        movement(9, "sold", (-2, 0), (7, 0), reference="sale s1"),
    ]
    account = Account(10, {"r1": 3, "sale s1": 2}, {"return b1": 1}, 1)
    return account, Level(7, 7, 0), ledger


def proved(account: Account, level: Level, ledger: list[Movement]) -> Proof:
    proof = Proof()
    prove_stock(proof, "sku", account, level, ledger)
    return proof


def renumbered(ledger: list[Movement]) -> list[Movement]:
    """The ledger with sums that fit its deltas, as one who falsifies would write it."""
    on_hand = reserved = 0
    fitting = []
    for line in ledger:
        on_hand, reserved = on_hand + line.on_hand_delta, reserved + line.reserved_delta
        fitting.append(line._replace(on_hand_after=on_hand, reserved_after=reserved))
    return fitting


def test_true_books_hold() -> None:
    proof = proved(*true_case())
    assert proof.faults == []
    stock = proof.stock
    figures = (stock.opening, stock.sold, stock.returned, stock.adjusted, stock.stock)
    assert figures == (10, 5, 2, 1, 7)
    assert stock.movements == 8


def test_nothing_proves_nothing() -> None:
    assert not Proof().holds


def _lost_sale(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, Level(9, 9, 0), ledger[:-1]


def _doubled_sale(account: Account, level: Level, ledger: list[Movement]) -> Case:
    again = ledger[-1]._replace(sequence=10)
    return account, Level(5, 5, 0), renumbered([*ledger, again])


def _sale_for_another(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level, [*ledger[:-1], ledger[-1]._replace(reference="sale s2")]


def _confirmed_for_another(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level, [*ledger[:3], ledger[3]._replace(reservation_id="r2"), *ledger[4:]]


def _sale_of_other_size(account: Account, level: Level, ledger: list[Movement]) -> Case:
    account.taken = {"r1": 2, "sale s1": 3}
    return account, level, ledger


def _level_off_by_one(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, Level(8, 8, 0), ledger


def _hold_left_over(account: Account, level: Level, ledger: list[Movement]) -> Case:
    extra = movement(10, "reserved", (0, 1), (7, 1), "r4")
    return account, Level(6, 7, 1), [*ledger, extra]


def _wrong_sum(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level, [*ledger[:3], ledger[3]._replace(on_hand_after=6), *ledger[4:]]


def _line_missing(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level, [*ledger[:3], *ledger[4:]]


def _line_twice(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level, [*ledger[:5], *ledger[4:]]


def _return_lost(account: Account, level: Level, ledger: list[Movement]) -> Case:
    kept = [line for line in ledger if line.kind != "returned"]
    return account, Level(6, 6, 0), renumbered(kept)


def _adjustment_lost(account: Account, level: Level, ledger: list[Movement]) -> Case:
    kept = [line for line in ledger if line.kind != "adjusted"]
    return account, Level(6, 6, 0), renumbered(kept)


def _return_by_nobody(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level, [line._replace(reason=None) for line in ledger]


def _opened_with_more(account: Account, level: Level, ledger: list[Movement]) -> Case:
    more = ledger[0]._replace(on_hand_delta=12)
    return account, Level(9, 9, 0), renumbered([more, *ledger[1:]])


def _oversold(account: Account, level: Level, ledger: list[Movement]) -> Case:
    account.opening = 2
    fewer = ledger[0]._replace(on_hand_delta=2)
    return account, Level(-1, -1, 0), renumbered([fewer, *ledger[1:]])


def _available_made_up(account: Account, level: Level, ledger: list[Movement]) -> Case:
    return account, level._replace(quantity=8), ledger


@pytest.mark.parametrize(
    "falsify",
    [
        _lost_sale,
        _doubled_sale,
        _sale_for_another,
        _confirmed_for_another,
        _sale_of_other_size,
        _level_off_by_one,
        _hold_left_over,
        _wrong_sum,
        _line_missing,
        _line_twice,
        _return_lost,
        _adjustment_lost,
        _return_by_nobody,
        _opened_with_more,
        _oversold,
        _available_made_up,
    ],
)
def test_falsified_books_do_not_hold(
    falsify: Callable[[Account, Level, list[Movement]], Case],
) -> None:
    proof = proved(*falsify(*true_case()))
    assert not proof.holds
    assert proof.faults[0].startswith("sku: ")


def test_one_reservation_for_two_sales_is_told() -> None:
    books = Books()
    books.opened("p", 5)
    books.confirmed("r", {"p": 2})
    books.confirmed("r", {"p": 2})
    assert books.faults == ["reservation r was given to two sales"]


def test_faults_are_counted_and_some_kept() -> None:
    proof = Proof()
    proof.found((str(number) for number in range(1000)), "till")
    assert (proof.fault_count, len(proof.faults), proof.holds) == (1000, 100, False)
    assert proof.faults[0] == "till: 0"


def test_percentiles_are_nearest_rank() -> None:
    hundred = [number / 1000 for number in range(1, 101)]
    assert [percentile_ms(hundred, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile_ms([0.5], 0.99) == 500
    assert percentile_ms([], 0.5) == 0


def test_the_rate_is_up_to_the_last_sale() -> None:
    meter = Meter("Stage")
    assert meter.phase(0, 0, 0).sales_per_second == 0
    meter.began -= 10
    meter.sold(units=2)
    meter.timed(meter.began)
    phase = meter.phase(repeated=3, errors=2, waited=1)
    assert 0.09 <= phase.sales_per_second <= 0.1
    assert (phase.sales, phase.repeated, phase.errors, phase.waited) == (1, 3, 2, 1)
