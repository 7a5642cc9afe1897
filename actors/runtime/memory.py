"""What one host holds in memory: committed states, nothing else, under a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from actors.runtime.family import Key

MAX_AGGREGATES = 200_000
_ABSENT = object()


class Memory:
    """States by key, least recently used first. None means: known not to exist.

    All states are clean (they equal what is committed), so that any may be evicted.
    """

    def __init__(self, max_aggregates: int = MAX_AGGREGATES) -> None:
        self._states: OrderedDict[Key, Any] = OrderedDict()
        self._max = max_aggregates

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, key: object) -> bool:
        return key in self._states

    def get(self, key: Key) -> Any:
        return self._states.get(key)

    def put(self, key: Key, state: Any) -> None:
        self._states[key] = state
        self._states.move_to_end(key)

    def touch(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if key in self._states:
                self._states.move_to_end(key)

    def evict(self) -> int:
        """Forgets the longest unused beyond the bound; returns how many."""
        excess = len(self._states) - self._max
        for _ in range(excess):
            self._states.popitem(last=False)
        return max(excess, 0)

    def drop(self, shards: Iterable[int] | None = None) -> None:
        """Forgets everything, or all that lives in shards of these numbers, whatever their
        family: to forget too much costs a query, to forget too little would be a lie."""
        if shards is None:
            self._states.clear()
            return
        gone = frozenset(shards)
        for key in [key for key in self._states if key.shard in gone]:
            del self._states[key]


class Working:
    """A batch's view: memory below, what this batch decided above. Dropping it is the undo."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._changed: dict[Key, Any] = {}
        self._asked: dict[Key, Any] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._memory or key in self._asked

    def get(self, key: Key) -> Any:
        state = self._changed.get(key, _ABSENT)
        if state is not _ABSENT:
            return state
        if key.ephemeral:
            return self._asked.get(key)
        return self._memory.get(key)

    def loaded(self, key: Key, state: Any) -> None:
        """Takes in what the store answered; questions are kept for this batch only."""
        if key.ephemeral:
            self._asked[key] = state
        else:
            self._memory.put(key, state)

    def change(self, key: Key, state: Any) -> None:
        self._changed[key] = state

    def fork(self) -> Working:
        """The same view without the changes: for deciding again, one by one."""
        fresh = Working(self._memory)
        fresh._asked = self._asked
        return fresh

    def keep(self) -> None:
        """After the commit: what was decided is now what is true."""
        for key, state in self._changed.items():
            self._memory.put(key, state)
        self._changed.clear()
