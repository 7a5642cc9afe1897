"""Whom a full mailbox turns away."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from actors.runtime.batch import Work
from actors.runtime.family import Context
from actors.runtime.mailbox import (
    MAX_BATCH,
    MAX_BATCH_WEIGHT,
    MAX_WAIT_SECONDS,
    MIN_WEIGHT,
    Mailbox,
    Pace,
)
from actors.runtime.queue import QUANTUM
from store.hosts.leases import Shard

BOUND = 1_000
BIG, SMALL = uuid4(), uuid4()


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr(Pace, "bound", lambda *_: BOUND)
    return Mailbox()


def _work(tenant: UUID, weight: int) -> Work:
    nothing: Any = None
    context = Context(0, tenant, "anyone", uuid4(), 0, 0)
    return Work(nothing, Shard("commerce", 0), nothing, context, 1, weight=weight)


def _open(box: Mailbox, tenant: UUID, weight: int) -> Work:
    work = _work(tenant, weight)
    box.open(work)
    return work


def _close(box: Mailbox, work: Work) -> None:
    box._close(work)


def test_who_has_much_is_turned_away_and_who_has_little_is_not(box: Mailbox) -> None:
    _open(box, BIG, 100 * BOUND)
    few = [_open(box, SMALL, QUANTUM) for _ in range(3)]
    assert box.is_full(BIG, 0)
    assert not box.is_full(SMALL, 0)
    assert not box.is_full(uuid4(), 0)
    for work in few:
        _close(box, work)
    assert not box.is_full(SMALL, 0)


def test_more_tenants_than_can_be_served_in_time_are_turned_away(box: Mailbox) -> None:
    works = [_open(box, uuid4(), 1) for _ in range(BOUND // MIN_WEIGHT)]
    assert box.is_full(uuid4(), 0)
    _close(box, works.pop())
    assert not box.is_full(uuid4(), 0)


def test_what_is_weighed_anew_counts_as_that(box: Mailbox) -> None:
    work = _open(box, BIG, 1)
    box.weigh(work, 2 * BOUND)
    assert box.is_full(BIG, 0)
    box.weigh(work, 1)
    assert not box.is_full(BIG, 0)
    _close(box, work)
    assert (box._weight, box._one_turn_each, dict(box._weights)) == (0, 0, {})


@pytest.mark.parametrize("weight", [1, 2, 4, 40, 1_000])
def test_no_more_is_taken_in_than_is_served_in_time(weight: int) -> None:
    """Whichever of its bounds makes a batch full: how many works it has, or how heavy they are."""
    box, seconds = Mailbox(), 0.5
    in_a_batch = min(MAX_BATCH, MAX_BATCH_WEIGHT // weight)
    for number in range(20):
        box.pace.begin(number, [_work(BIG, weight)] * in_a_batch)
        box.pace.end(number + seconds)
    taken = 0
    while not box.is_full(BIG, 100):
        _open(box, BIG, weight)
        taken += 1
    assert taken / in_a_batch * seconds == pytest.approx(MAX_WAIT_SECONDS, rel=0.05)


def test_an_outage_says_nothing_of_the_batches_after_it() -> None:
    pace = Pace()
    pace.begin(0, [_work(BIG, 1)] * MAX_BATCH)
    pace.end(0.02)
    before = pace.bound(1)
    pace.begin(1, [_work(BIG, 1)] * MAX_BATCH)
    assert pace.bound(9) < before, "as long as it lasts, who comes would wait for too long"
    pace.end(9, done=False)
    assert pace.bound(9) == before
