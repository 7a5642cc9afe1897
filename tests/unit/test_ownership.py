"""What a host gives away while it reads what falls due is gone with its timers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from actors.runtime import ownership
from actors.runtime.family import Family, Timer
from actors.runtime.mailbox import Mailbox
from actors.runtime.memory import Memory
from actors.runtime.ownership import Ownership
from actors.runtime.tenure import Tenure
from core.clock import SystemClock
from store.journal import OutcomeUnknown
from store.leases import Lease, Shard

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
        self.broken = False

    async def owned(self) -> dict[Shard, Lease]:
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
        nexts = {number: max(ms, until_ms - 5_000) + 1_000 for number, ms in after_ms.items()}
        return [(number, ms) for number, ms in nexts.items() if ms <= until_ms]


def _ownership(store: Any, clock: Clock) -> Ownership:
    rules: Any = SimpleNamespace(due=lambda row: Timer(row, TENANT, None))
    loader: Any = None
    families = {"goods": Family("goods", loader, rules)}

    async def renew() -> None: ...

    return Ownership(store, families, clock, Mailbox(), Memory(), Tenure(clock), renew)


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
    await owner.sync()
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


async def test_a_shard_that_could_not_be_taken_up_leaves_no_timers() -> None:
    store, clock = Store(), Clock()
    owner = _ownership(store, clock)
    store.gate.set()
    store.broken = True
    with pytest.raises(OutcomeUnknown):
        await owner.sync()
    assert _of(owner) == set()
    store.broken = False
    await owner.sync()
    assert _of(owner) == {KEPT, GIVEN}
