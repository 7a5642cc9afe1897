"""What falls due is taken out in turn by tenant, none of it too early, none of it never."""

from __future__ import annotations

from uuid import UUID, uuid4

from actors.runtime.agenda import MIN_SHARE, Agenda
from actors.runtime.family import Timer
from store.hosts.leases import Shard

SHARD, OTHER = Shard("commerce", 1), Shard("commerce", 2)
BIG, SMALL = uuid4(), uuid4()


def _agenda(*timers: tuple[Shard, int, UUID]) -> Agenda:
    agenda = Agenda()
    agenda.take_up([SHARD, OTHER])
    agenda.extend([SHARD, OTHER], 10_000)
    agenda.add((shard, Timer(due_ms, tenant, due_ms)) for shard, due_ms, tenant in timers)
    return agenda


def _take(agenda: Agenda, now_ms: int, at_most: int = 500, busy: UUID | None = None) -> list[int]:
    found = agenda.take(now_ms, {}, at_most, lambda tenant_id: tenant_id == busy)
    return [timer.due_ms for _, timer in found]


def test_what_is_due_comes_in_order_and_nothing_before_its_time() -> None:
    agenda = _agenda((SHARD, 30, BIG), (SHARD, 10, BIG), (SHARD, 20, BIG), (SHARD, 10_001, BIG))
    assert len(agenda) == 3, "beyond the horizon it stays in the database"
    assert not agenda.is_due(9)
    assert _take(agenda, 9) == []
    assert agenda.is_due_for(SHARD, BIG, 10)
    assert not agenda.is_due_for(SHARD, SMALL, 10)
    assert _take(agenda, 20) == [10, 20]
    assert not agenda.is_due(29)
    assert _take(agenda, 30) == [30]
    assert len(agenda) == 0


def test_tenants_take_turns_and_who_has_more_is_late() -> None:
    agenda = _agenda(
        *((SHARD, number, BIG) for number in range(1, 2_000)),
        (SHARD, 1_999, SMALL),
        (OTHER, 5, SMALL),
    )
    first = _take(agenda, 5_000, 300)
    assert len(first) <= 300
    assert {5, 1_999} < {*first}
    assert agenda.overdue == {BIG}
    assert agenda.is_due_for(SHARD, BIG, 5_000)
    assert _take(agenda, 5_000, busy=BIG) == []
    rest = []
    while some := _take(agenda, 5_000, 300):
        rest += some
    assert len(first) + len(rest) == 2_001
    assert agenda.overdue == set()


def test_everybody_gets_a_share_however_many_there_are() -> None:
    tenants = [uuid4() for _ in range(100)]
    agenda = _agenda(*((SHARD, number, tenant) for tenant in tenants for number in range(1, 101)))
    assert len(_take(agenda, 1_000, 64)) == 2 * MIN_SHARE
    assert agenda.overdue == {*tenants}


def test_a_floor_ahead_of_now_is_now() -> None:
    agenda = _agenda((SHARD, 50, BIG), (OTHER, 50, SMALL))
    assert [shard for shard, _ in agenda.take(10, {SHARD: 60}, 10, lambda tenant: False)] == [SHARD]


def test_what_is_put_back_falls_due_again_unless_its_shard_is_gone() -> None:
    agenda = _agenda((SHARD, 10, BIG), (OTHER, 10, SMALL))
    for shard, timer in agenda.take(10, {}, 10, lambda tenant: False):
        if shard is OTHER:
            agenda.drop([OTHER])
        # Further away than the horizon: nobody else knows of it.
        agenda.put_back(shard, timer._replace(due_ms=20_000))
    assert len(agenda) == 1
    assert _take(agenda, 20_000) == [20_000]


def test_a_shard_that_is_dropped_leaves_nothing() -> None:
    agenda = _agenda((SHARD, 10, BIG), (SHARD, 20, BIG), (OTHER, 10, BIG))
    assert len(agenda.take(5, {SHARD: 15}, 10, lambda tenant: True)) == 0
    agenda.drop([SHARD])
    assert agenda.overdue == set()
    assert _take(agenda, 100) == [10]
    assert agenda.horizon_ms(SHARD) == 0
