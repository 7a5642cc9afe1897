"""What a host gives away while it reads what falls due is gone with its timers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from actors.runtime import agenda, ownership
from actors.runtime.family import Family, Timer
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory
from actors.runtime.ownership import Ownership
from actors.runtime.tenure import Tenure
from core.clock import SystemClock
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import Cause, Rejected
from store.hosts.leases import Lease, Shard

KEPT, GIVEN = Shard("goods", 1), Shard("goods", 2)
TENANT = uuid4()


class Clock(SystemClock):
    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class Store:
    """Of each shard something falls due every second, without end; it answers when `gate` is
    open."""

    def __init__(self) -> None:
        self.leases = {KEPT: Lease(1, 0), GIVEN: Lease(1, 0)}
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.broken = self.silent = False
        self.locked: set[int] = set()
        self.refusals = 0

    async def owned(self) -> dict[Shard, Lease]:
        if self.silent:
            self.asked.set()
            await self.gate.wait()
        return dict(self.leases)

    async def hand_over(self, epochs: Mapping[Shard, int], *_: Any) -> None:
        for shard in epochs:
            del self.leases[shard]

    async def due(
        self, loader: Any, after_ms: Mapping[int, int], until_ms: int, at_most: int
    ) -> list[tuple[int, int]]:
        self.asked.set()
        await self.gate.wait()
        if self.broken and max(after_ms.values()):
            raise OutcomeUnknown
        if self.locked & after_ms.keys():
            self.refusals += 1
            raise Rejected("somebody holds the table", Cause.BROKEN)
        nexts = {number: max(ms, until_ms - 5_000) + 1_000 for number, ms in after_ms.items()}
        return [(number, ms) for number, ms in nexts.items() if ms <= until_ms]


def _ownership(store: Any, clock: Clock) -> Ownership:
    rules: Any = SimpleNamespace(due=lambda row: Timer(row, TENANT, None))
    loader: Any = None
    families = {"goods": Family("goods", loader, rules)}

    async def renew() -> None: ...

    return Ownership(store, families, clock, Mailbox(), Memory(), Tenure(clock), renew)


async def _take_up(owner: Ownership) -> None:
    """All that is to be had, with its timers."""
    await owner.sync()
    await owner.look_further()


def _of(owner: Ownership) -> set[Shard]:
    """Whose timers it has."""
    later_ms = 1 << 60
    return {shard for shard, _ in owner.agenda.take(later_ms, {}, 500, lambda tenant_id: False)}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "MAX_READ", 2)


async def test_a_shard_that_goes_while_its_timers_are_read_leaves_none() -> None:
    store, clock = Store(), Clock()
    owner = _ownership(store, clock)
    store.gate.set()
    await _take_up(owner)
    assert _of(owner) == {KEPT, GIVEN}
    clock.ahead_ms = 45_000
    store.gate.clear()
    store.asked.clear()
    reading = asyncio.create_task(owner.look_further())
    await store.asked.wait()
    await owner.hand_over([GIVEN], uuid4())
    store.gate.set()
    await reading
    assert owner.agenda.horizon_ms(GIVEN) == 0
    assert _of(owner) == {KEPT}, "nobody would ever drop what is of others"


async def test_timers_that_could_not_be_read_are_read_again() -> None:
    store, clock = Store(), Clock()
    owner = _ownership(store, clock)
    store.gate.set()
    store.broken = True
    await owner.sync()
    with pytest.raises(OutcomeUnknown):
        await owner.look_further()
    far_ms = clock.now_ms() + 58_000
    assert owner.agenda.behind([KEPT, GIVEN], far_ms) == [KEPT, GIVEN], "a page is not all"
    store.broken = False
    clock.ahead_ms = 45_000
    await owner.look_further()
    assert owner.agenda.behind([KEPT, GIVEN], far_ms) == []
    assert _of(owner) == {KEPT, GIVEN}


def _unread(owner: Ownership) -> set[Shard]:
    return {shard for shard in (KEPT, GIVEN) if owner.awaits_timers(shard)}


async def test_a_shard_whose_timers_cannot_be_read_waits_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, clock = Store(), Clock()
    owner = _ownership(store, clock)
    store.gate.set()
    store.locked = {GIVEN.number}
    await _take_up(owner)
    await owner.look_further()
    assert _unread(owner) == {GIVEN}
    assert _of(owner) == {KEPT}
    refusals = store.refusals
    await owner.look_further()
    assert store.refusals == refusals + 1, "it is read apart from now on"
    later = clock.boot_seconds() + ownership.TIMERS_WAIT_SECONDS
    monkeypatch.setattr(clock, "boot_seconds", lambda: later)
    assert _unread(owner) == set(), "it does not wait without end"
    store.locked = set()
    await owner.look_further()
    assert GIVEN in _of(owner)


async def test_where_all_is_locked_one_is_tried_at_a_time() -> None:
    """Each attempt takes its time, and other families have timers too."""
    store = Store()
    owner = _ownership(store, Clock())
    store.gate.set()
    store.locked = {KEPT.number, GIVEN.number}
    await _take_up(owner)
    refusals = store.refusals
    await owner.look_further()
    assert store.refusals == refusals + 1
    store.locked = {KEPT.number}
    await owner.look_further()
    await owner.look_further()
    assert _of(owner) == {GIVEN}, "nobody's turn comes before that of the others"


class Rows:
    """Of one shard all that falls due, as the database has it."""

    def __init__(self) -> None:
        self.due_ms: list[int] = []

    async def owned(self) -> dict[Shard, Lease]:
        return {KEPT: Lease(1, 0)}

    async def due(
        self, loader: Any, after_ms: Mapping[int, int], until_ms: int, at_most: int
    ) -> list[tuple[int, int]]:
        ((number, ms),) = after_ms.items()
        found = sorted(due_ms for due_ms in self.due_ms if ms < due_ms <= until_ms)
        await asyncio.sleep(0)
        last = found[at_most - 1] if len(found) >= at_most else until_ms
        return [(number, due_ms) for due_ms in found if due_ms <= last]


async def test_commands_wait_as_long_as_what_fell_due_comes_page_after_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour's abandoned carts are more than a second's reading."""
    clock, waits, boot_seconds = Clock(), list[bool](), 0.0

    class Slow(Rows):
        async def due(self, *arguments: Any) -> list[tuple[int, int]]:
            nonlocal boot_seconds
            boot_seconds += 0.7
            waits.append(owner.awaits_timers(KEPT))
            return await super().due(*arguments)

    monkeypatch.setattr(clock, "boot_seconds", lambda: boot_seconds)
    store = Slow()
    store.due_ms = [clock.now_ms() - 1_000 * number for number in range(1, 12)]
    owner = _ownership(store, clock)
    await _take_up(owner)
    assert waits == [True] * 6
    assert not owner.awaits_timers(KEPT)
    assert len(owner.agenda) == 11


async def test_who_comes_while_much_is_read_does_not_wait_for_all_of_it() -> None:
    clock, asked = Clock(), list[set[int]]()

    class Long(Rows):
        """Of one shard much has fallen due; the other one comes with the third page of it."""

        leases = {KEPT: Lease(1, 0)}

        async def owned(self) -> dict[Shard, Lease]:
            return dict(self.leases)

        async def due(
            self, loader: Any, after_ms: Mapping[int, int], until_ms: int, at_most: int
        ) -> list[tuple[int, int]]:
            asked.append({*after_ms})
            if len(asked) == 3:
                self.leases = {KEPT: Lease(1, 0), GIVEN: Lease(1, 0)}
                await owner.sync()
            kept_ms = {KEPT.number: after_ms[KEPT.number]}
            return await super().due(loader, kept_ms, until_ms, at_most)

    store = Long()
    store.due_ms = [clock.now_ms() - 1_000 * number for number in range(1, 40)]
    owner = _ownership(store, clock)
    await _take_up(owner)
    await owner.look_further()
    assert asked[2:4] == [{KEPT.number}, {KEPT.number, GIVEN.number}]
    assert _unread(owner) == set()
    assert len(owner.agenda) == 39


async def _most_kept(seconds: int) -> int:
    """Timers begin in bursts, for up to a minute each, also in the middle of a reading. Each falls
    due, none before its time; so many are in memory at most."""
    store, clock, rng = Rows(), Clock(), random.Random(7)
    owner = _ownership(store, clock)
    await _take_up(owner)
    most, taken, begun_ms = 0, set[int](), clock.now_ms()
    for _ in range(seconds):
        for _ in range(5):
            reading = asyncio.create_task(owner.look_further())
            for _ in range(rng.randrange(40)):
                await asyncio.sleep(0)
            now_ms = clock.now_ms()
            number = 150 if rng.random() < 0.01 else rng.randrange(2)
            dues_ms = [now_ms + rng.randrange(100, 60_000) for _ in range(number)]
            store.due_ms += dues_ms
            owner.agenda.begin(((KEPT, Timer(ms, TENANT, None)) for ms in dues_ms), now_ms)
            await reading
            most = max(most, len(owner.agenda))
            clock.ahead_ms += 200
        found = owner.agenda.take(clock.now_ms(), {}, 10_000, lambda tenant_id: False)
        taken |= {timer.due_ms for _, timer in found}
        assert taken >= {ms for ms in store.due_ms if ms <= begun_ms + clock.ahead_ms - 1_000}
    return most


async def test_more_timers_than_are_kept_come_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unbounded = await _most_kept(300)
    monkeypatch.setattr(agenda, "MAX_TIMERS", 100)
    bounded = await _most_kept(300)
    assert bounded < unbounded / 2, "only what falls due soon is kept"


async def test_a_horizon_that_draws_near_while_it_is_drawn_forward_overlooks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agenda, "MAX_TIMERS", 100)
    store, clock = Rows(), Clock()
    owner = _ownership(store, clock)
    await _take_up(owner)
    clock.ahead_ms += 31_000
    now_ms = clock.now_ms()
    store.due_ms += [now_ms + seconds * 1_000 for seconds in (40, 41, 42)]
    reading = asyncio.create_task(owner.look_further())
    while owner.agenda.horizon_ms(KEPT) < now_ms + 50_000:
        await asyncio.sleep(0)
    begun_ms = [now_ms + 1_000 + number for number in range(100)] + [now_ms + 35_000]
    store.due_ms += begun_ms
    owner.agenda.begin(((KEPT, Timer(ms, TENANT, None)) for ms in begun_ms), now_ms)
    await reading
    taken: list[int] = []
    for _ in range(43):
        clock.ahead_ms += 1_000
        found = owner.agenda.take(clock.now_ms(), {}, 500, lambda tenant_id: False)
        taken += [timer.due_ms for _, timer in found]
        await owner.look_further()
    assert sorted({*taken}) == sorted(store.due_ms)


async def test_who_asks_what_it_owns_keeps_no_batch_waiting() -> None:
    store = Store()
    owner = _ownership(store, Clock())
    store.gate.set()
    await _take_up(owner)
    store.gate.clear()
    store.asked.clear()
    store.silent = True
    looking = asyncio.create_task(owner.sync())
    await store.asked.wait()
    assert not owner.turn.locked()
    del store.leases[GIVEN]
    store.gate.set()
    await looking
    assert _of(owner) == {KEPT}
