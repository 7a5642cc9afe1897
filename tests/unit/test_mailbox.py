"""Whom a full mailbox turns away."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from actors.runtime.batch import Work
from actors.runtime.family import Context
from actors.runtime.mailbox import Mailbox, Pace
from actors.runtime.queue import QUANTUM
from store.leases import Shard

BOUND = 1_000
BIG, SMALL = uuid4(), uuid4()


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr(Pace, "bound", lambda *_: BOUND)
    return Mailbox()


def _open(box: Mailbox, tenant: UUID, weight: int) -> Work:
    nothing: Any = None
    context = Context(0, tenant, "anyone", uuid4(), 0, 0)
    work = Work(nothing, Shard("commerce", 0), nothing, context, 1, weight=weight)
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
    works = [_open(box, uuid4(), 2) for _ in range(BOUND // 2)]
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
