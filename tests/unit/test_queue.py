"""Lanes take turns by weight, keep their order, and stand still while something is fetched."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from actors.runtime.batch import Work
from actors.runtime.family import Context, Key
from actors.runtime.queue import QUANTUM, FairQueue
from store.hosts.leases import Shard

BIG, SMALL = uuid4(), uuid4()


def _work(tenant: UUID, weight: int = 1) -> Work:
    nothing: Any = None
    context = Context(0, tenant, "anyone", uuid4(), 0, 0)
    return Work(nothing, Shard("commerce", 0), nothing, context, 1, weight=weight)


def _queue(*works: Work) -> FairQueue:
    queue = FairQueue()
    for work in works:
        queue.put(work)
    return queue


def test_a_lane_keeps_its_order() -> None:
    works = [_work(BIG) for _ in range(100)]
    queue = _queue(*works)
    taken, _ = queue.take(60, 1_000)
    rest, _ = queue.take(60, 1_000)
    assert [*taken, *rest] == works
    assert len(queue) == 0


def test_who_comes_last_with_little_need_not_wait_for_who_has_much() -> None:
    many, one = [_work(BIG) for _ in range(1_000)], _work(SMALL)
    taken, _ = _queue(*many, one).take(200, 10_000)
    assert one in taken


def test_whoever_has_much_takes_half_of_a_batch_that_others_share() -> None:
    many, one = [_work(BIG, 2) for _ in range(1_000)], _work(SMALL, 2)
    taken, _ = _queue(*many, one).take(500, 2_000)
    assert (len(taken), one in taken) == (251, True)
    taken, _ = _queue(*many, *(_work(SMALL, 2) for _ in range(1_000))).take(500, 2_000)
    assert len(taken) == 500
    assert len(_queue(*many).take(500, 2_000)[0]) == 500, "alone it has all of it"


def test_a_light_work_does_not_share_its_batch_with_a_heavy_one() -> None:
    heavy, light = [_work(BIG, 2_000) for _ in range(5)], _work(SMALL, 3)
    queue = _queue(*heavy, light)
    assert queue.take(500, 2_000)[0] == [light]
    assert queue.take(500, 2_000)[0] == [heavy[0]], "alone it goes, however heavy"


def test_works_that_are_not_heavy_fill_a_batch() -> None:
    """Baskets of twenty goods, each more than a turn's worth, and nobody else there."""
    taken, _ = _queue(*(_work(BIG, QUANTUM + 9) for _ in range(100))).take(500, 2_000)
    assert sum(work.weight for work in taken) >= 2_000
    assert len(_queue(*(_work(BIG, 300) for _ in range(5))).take(500, 2_000)[0]) == 1


def test_lanes_share_by_weight_in_the_long_run() -> None:
    queue = _queue(*(_work(BIG, 200) for _ in range(100)), *(_work(SMALL, 2) for _ in range(3_000)))
    spent = {BIG: 0, SMALL: 0}
    for _ in range(40):
        for work in queue.take(500, 100)[0]:
            spent[work.context.tenant_id] += work.weight
    assert 0.5 < spent[BIG] / spent[SMALL] < 2, spent


def test_a_batch_is_bounded_by_weight_and_number_and_has_one_at_least() -> None:
    assert len(_queue(*(_work(uuid4()) for _ in range(900))).take(500, 10_000)[0]) == 500
    taken, _ = _queue(*(_work(uuid4(), QUANTUM) for _ in range(900))).take(500, 320)
    assert len(taken) == 10
    assert len(_queue(_work(BIG, 10**6)).take(500, 10)[0]) == 1


def test_a_held_lane_stands_still_and_what_fell_due_goes_first() -> None:
    first, due, other = _work(BIG), _work(BIG), _work(SMALL)
    queue = _queue(first, other)
    queue.hold(first)
    assert queue.take(10, 100)[0] == [other]
    assert not queue.is_ready
    queue.put_due(due)
    queue.release(first)
    assert queue.is_behind(due.lane)
    assert queue.take(10, 100)[0] == [due, first]


def test_a_lane_stops_at_a_question_and_is_held_until_it_is_answered() -> None:
    before, asks, asks_too, after = (_work(BIG) for _ in range(4))
    for work in (asks, asks_too):
        work.questions = [Key("question", 0, BIG, uuid4(), None, True)]
    queue = _queue(before, asks, asks_too, after)
    taken, stopped = queue.take(10, 100, lambda work: bool(work.questions))
    assert (taken, stopped) == ([before], [[asks, asks_too]])
    assert not queue.is_ready, "nothing of the tenant is decided before the answer is there"
    for work in (asks, asks_too):
        work.questions = []
    queue.put_asked([asks, asks_too])
    queue.release(asks)
    assert queue.take(10, 100)[0] == [asks, asks_too, after]


def test_no_more_questions_are_put_at_once_than_a_batch_decides() -> None:
    """Rules bridge what a batch changes after the answer, and no more."""
    works = [_work(BIG) for _ in range(30)]
    for work in works:
        work.questions = [Key("question", 0, BIG, uuid4(), None, True)]
    queue = _queue(*works)
    taken, stopped = queue.take(20, 100, lambda work: bool(work.questions))
    assert (taken, stopped) == ([], [works[:20]])
    queue.release(works[0])
    assert queue.take(20, 100, lambda work: bool(work.questions))[1] == [works[20:]]


def test_what_is_withdrawn_is_gone_and_lanes_leave_nothing_behind() -> None:
    works = [_work(BIG), _work(SMALL), _work(BIG)]
    queue = _queue(*works)
    assert queue.withdraw(lambda work: work.context.tenant_id == BIG) == [works[0], works[2]]
    assert queue.take(10, 100)[0] == [works[1]]
    assert (len(queue), queue._lanes) == (0, {})
