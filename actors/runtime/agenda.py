"""What shards have to do later: holds that fall due."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import count

from actors.runtime.family import Timer
from store.leases import Shard


class Agenda:
    """Timers of the host's shards that fall due within each shard's horizon; later ones wait in
    the database until the horizon reaches them. A timer may be here twice, or be overtaken: its
    command looks at the state and then does nothing."""

    def __init__(self) -> None:
        self._heaps: dict[Shard, list[tuple[int, int, Timer]]] = {}
        self._horizons_ms: dict[Shard, int] = {}
        self._number = count()

    def extend(self, shards: Iterable[Shard], horizon_ms: int) -> None:
        """Moves horizons. To be called before the database is asked for what lies within, so
        that what is decided meanwhile is added twice rather than never."""
        for shard in shards:
            self._horizons_ms[shard] = horizon_ms

    def behind(self, shards: Iterable[Shard], until_ms: int) -> list[Shard]:
        """Those whose horizon is nearer than `until_ms`."""
        return [shard for shard in shards if self._horizons_ms.get(shard, 0) < until_ms]

    def add(self, timers: Iterable[tuple[Shard, Timer]]) -> None:
        for shard, timer in timers:
            if timer.due_ms <= self._horizons_ms.get(shard, 0):
                heap = self._heaps.setdefault(shard, [])
                heapq.heappush(heap, (timer.due_ms, next(self._number), timer))

    def due(
        self, now_ms: int, floors_ms: Mapping[Shard, int], at_most: int
    ) -> list[tuple[Shard, Timer]]:
        """Takes out what has fallen due, in any shard, up to a number. For a shard whose floor
        is later than now it is as late as that."""
        found: list[tuple[Shard, Timer]] = []
        for shard, heap in self._heaps.items():
            until_ms = max(now_ms, floors_ms.get(shard, 0)) if heap else 0
            while heap and heap[0][0] <= until_ms and len(found) < at_most:
                found.append((shard, heapq.heappop(heap)[2]))
        return found

    def is_due(self, now_ms: int) -> bool:
        return any(heap and heap[0][0] <= now_ms for heap in self._heaps.values())

    def is_due_in(self, shard: Shard, now_ms: int) -> bool:
        heap = self._heaps.get(shard, [])
        return bool(heap) and heap[0][0] <= now_ms

    def drop(self, shards: Iterable[Shard]) -> None:
        for shard in shards:
            self._heaps.pop(shard, None)
            self._horizons_ms.pop(shard, None)
