"""What shards have to do later: holds that fall due."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from uuid import UUID

from actors.runtime.family import Timer
from store.hosts.leases import Shard

# Of one tenant at once, however many others have something due.
MIN_SHARE = 32
# How many timers are kept that fall due later than soon.
MAX_TIMERS = 100_000
NEAR_MS = 10_000

_Whose = tuple[Shard, UUID]


class Agenda:
    """Timers of the host's shards that fall due within each shard's horizon; later ones wait in
    the database until the horizon reaches them. They are kept by tenant, so that tenants take
    turns where many fall due at once. A timer may be here twice, or be overtaken: its command
    looks at the state and then does nothing."""

    def __init__(self) -> None:
        self._heaps: dict[_Whose, list[tuple[int, int, Timer]]] = {}
        # By shard, when tenants' first timers fall due; an entry may be overtaken.
        self._firsts: dict[Shard, list[tuple[int, UUID]]] = {}
        # Whose timers have fallen due and are not taken out yet, in turn.
        self._overdue: dict[_Whose, None] = {}
        self._horizons_ms: dict[Shard, int] = {}
        self._number = count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def take_up(self, shards: Iterable[Shard]) -> None:
        """Shards whose timers are kept until they are dropped. Nothing is known of them yet."""
        for shard in shards:
            self._horizons_ms.setdefault(shard, 0)

    def extend(self, shards: Iterable[Shard], horizon_ms: int) -> None:
        """Moves horizons. To be called before the database is asked for what lies within, so
        that what is decided meanwhile is added twice rather than never. Of no use where a shard
        was dropped while it was asked."""
        for shard in shards:
            if shard in self._horizons_ms:
                self._horizons_ms[shard] = horizon_ms

    def horizon_ms(self, shard: Shard) -> int:
        return self._horizons_ms.get(shard, 0)

    def behind(self, shards: Iterable[Shard], until_ms: int) -> list[Shard]:
        """Those whose horizon is nearer than `until_ms`."""
        return [shard for shard in shards if self._horizons_ms.get(shard, 0) < until_ms]

    @property
    def is_full(self) -> bool:
        """Whether only what falls due soon is taken in."""
        return self._size >= MAX_TIMERS

    def add(self, timers: Iterable[tuple[Shard, Timer]]) -> None:
        """Those of what was read that fall due within the horizon."""
        for shard, timer in timers:
            if timer.due_ms <= self._horizons_ms.get(shard, 0):
                self._push(shard, timer)

    def begin(self, timers: Iterable[tuple[Shard, Timer]], now_ms: int) -> None:
        """The same of new ones. When there are too many the horizon draws near: the database has
        them, too."""
        near_ms = now_ms + NEAR_MS
        for shard, timer in timers:
            if timer.due_ms <= self._horizons_ms.get(shard, 0):
                if self.is_full and timer.due_ms > near_ms:
                    self._horizons_ms[shard] = near_ms
                else:
                    self._push(shard, timer)

    def put_back(self, shard: Shard, timer: Timer) -> None:
        """One that was taken out and could not be decided, to be due again: nobody else knows of
        it. Of no use when the shard was dropped meanwhile."""
        if shard in self._horizons_ms:
            self._push(shard, timer)

    def _push(self, shard: Shard, timer: Timer) -> None:
        heap = self._heaps.setdefault((shard, timer.tenant_id), [])
        if not heap or timer.due_ms < heap[0][0]:
            heapq.heappush(self._firsts.setdefault(shard, []), (timer.due_ms, timer.tenant_id))
        heapq.heappush(heap, (timer.due_ms, next(self._number), timer))
        self._size += 1

    def take(
        self,
        now_ms: int,
        last_decided_ms: Mapping[Shard, int],
        at_most: int,
        is_busy: Callable[[UUID], bool],
    ) -> list[tuple[Shard, Timer]]:
        """Takes out what has fallen due, up to a number: tenants take turns, but for those that
        are busy with what they were given before. For a shard whose last
        decision was later than now, by that time."""
        self._fall_due(now_ms, last_decided_ms)
        found: list[tuple[Shard, Timer]] = []
        share = max(at_most // max(len(self._overdue), 1), MIN_SHARE)
        for whose in list(self._overdue):
            if len(found) >= at_most:
                break
            if not is_busy(whose[1]):
                shard = whose[0]
                until_ms = max(now_ms, last_decided_ms.get(shard, 0))
                found += ((shard, timer) for timer in self._take_of(whose, until_ms, share))
        return found

    def _fall_due(self, now_ms: int, last_decided_ms: Mapping[Shard, int]) -> None:
        for shard, firsts in self._firsts.items():
            if firsts:
                until_ms = max(now_ms, last_decided_ms.get(shard, 0))
                while firsts and firsts[0][0] <= until_ms:
                    self._overdue[shard, heapq.heappop(firsts)[1]] = None

    def _take_of(self, whose: _Whose, until_ms: int, share: int) -> list[Timer]:
        """Some of a tenant; if it has more, its next turn comes after those of the others."""
        del self._overdue[whose]
        heap = self._heaps.get(whose, [])
        found: list[Timer] = []
        while heap and heap[0][0] <= until_ms and len(found) < share:
            found.append(heapq.heappop(heap)[2])
        self._size -= len(found)
        if not heap:
            self._heaps.pop(whose, None)
        elif heap[0][0] <= until_ms:
            self._overdue[whose] = None
        else:
            heapq.heappush(self._firsts[whose[0]], (heap[0][0], whose[1]))
        return found

    @property
    def overdue(self) -> set[UUID]:
        """Tenants of which more has fallen due than was taken out."""
        return {tenant_id for _, tenant_id in self._overdue}

    def is_due(self, now_ms: int) -> bool:
        """Whether there is anything to take out."""
        firsts = self._firsts.values()
        return bool(self._overdue) or any(heap and heap[0][0] <= now_ms for heap in firsts)

    def is_due_for(self, shard: Shard, tenant_id: UUID, now_ms: int) -> bool:
        """Whether a tenant has something to be taken out."""
        heap = self._heaps.get((shard, tenant_id))
        return heap is not None and heap[0][0] <= now_ms

    def drop(self, shards: Iterable[Shard]) -> None:
        gone = frozenset(shards)
        for shard in gone:
            self._firsts.pop(shard, None)
            self._horizons_ms.pop(shard, None)
        for whose in [whose for whose in self._heaps if whose[0] in gone]:
            self._overdue.pop(whose, None)
            self._size -= len(self._heaps.pop(whose))
