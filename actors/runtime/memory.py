"""What one host holds in memory: committed states, nothing else, under a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from actors.runtime.family import Key, Unloaded

MAX_BYTES = 512_000_000
_ABSENT = object()
_NOTHING: frozenset[Key] = frozenset()

Size = Callable[[Key, Any], int]


def _one(key: Key, state: Any) -> int:
    return 1


class Memory:
    """States by key, least recently used first. None means: known not to exist.

    All states are clean (they equal what is committed), so that any may be evicted. What is read
    from the store comes in by `expect` and `arrive`: between the two a commit may have changed
    the same aggregate, and then what was read is old.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, size: Size = _one) -> None:
        self._states: OrderedDict[Key, Any] = OrderedDict()
        # The number of the earliest reading since which a key has neither been put nor dropped.
        self._expected: dict[Key, int] = {}
        self._readings = count(1)
        self._size = size
        self._max = max_bytes
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, key: object) -> bool:
        return key in self._states

    @property
    def states(self) -> Mapping[Key, Any]:
        """All that is loaded, as it is at any time."""
        return self._states

    def get(self, key: Key) -> Any:
        """The state, None when there is none. Raises Unloaded when memory does not know."""
        state = self._states.get(key, _ABSENT)
        if state is _ABSENT:
            raise Unloaded(key)
        return state

    def put(self, key: Key, state: Any) -> None:
        """What was committed."""
        self._expected.pop(key, None)
        before = self._states.get(key, _ABSENT)
        if before is not _ABSENT:
            self.bytes -= self._size(key, before)
        self._states[key] = state
        self._states.move_to_end(key)
        self.bytes += self._size(key, state)

    def expect(self, keys: Iterable[Key]) -> int:
        """To be called before the store is asked for these; returns the reading's number."""
        reading = next(self._readings)
        for key in keys:
            self._expected.setdefault(key, reading)
        return reading

    def arrive(self, key: Key, state: Any, reading: int) -> None:
        """What the store answered; of no use when it may be older than what was committed, or
        dropped, since it was asked: also where somebody else has asked again since."""
        if self._expected.get(key, reading + 1) <= reading:
            self.put(key, state)

    def give_up(self, keys: Iterable[Key], reading: int) -> None:
        """What was expected by this reading will not arrive."""
        for key in keys:
            if self._expected.get(key) == reading:
                del self._expected[key]

    def touch(self, key: Key) -> bool:
        """Whether it is loaded; then it is in use."""
        found = key in self._states
        if found:
            self._states.move_to_end(key)
        return found

    def evict(self, needed: Callable[[], frozenset[Key]] = lambda: _NOTHING) -> int:
        """Forgets the longest unused beyond the bound, but not what is `needed`; returns how
        many. Goes a little below the bound, so that the next batches need not look."""
        if self.bytes <= self._max:
            return 0
        kept, target = needed(), self._max - self._max // 64
        gone = []
        excess = self.bytes - target
        for key, state in self._states.items():
            if excess <= 0:
                break
            if key not in kept:
                gone.append(key)
                excess -= self._size(key, state)
        for key in gone:
            self._forget(key)
        return len(gone)

    def drop(self, shards: Iterable[int] | None = None) -> None:
        """Forgets everything, or all that lives in shards of these numbers, whatever their
        family: to forget too much costs a query, to forget too little would be a lie."""
        if shards is None:
            self._states.clear()
            self._expected.clear()
            self.bytes = 0
            return
        numbers = frozenset(shards)
        for key in [key for key in self._states if key.shard in numbers]:
            self._forget(key)
        for key in [key for key in self._expected if key.shard in numbers]:
            del self._expected[key]

    def _forget(self, key: Key) -> None:
        self.bytes -= self._size(key, self._states.pop(key))


class Working:
    """A batch's view: memory below, what this batch decided above. Dropping it is the undo.
    `asked` are answers to questions, which are kept for this batch only."""

    def __init__(self, memory: Memory, asked: Mapping[Key, Any] | None = None) -> None:
        self._memory = memory
        self._loaded = memory.states
        self._changed: dict[Key, Any] = {}
        self._asked: dict[Key, Any] = dict(asked or {})

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._loaded or key in self._asked

    def get(self, key: Key) -> Any:
        """The state, None when there is none. Raises Unloaded when nobody has looked: not to
        know an aggregate and to know that there is none are different things."""
        state = self._changed.get(key, _ABSENT)
        if state is _ABSENT:
            state = (self._asked if key.ephemeral else self._loaded).get(key, _ABSENT)
            if state is _ABSENT:
                raise Unloaded(key)
        return state

    def ask(self, answers: Mapping[Key, Any]) -> None:
        """Takes in what the store answered to questions."""
        self._asked.update(answers)

    def change(self, states: Mapping[Key, Any]) -> None:
        """What was decided."""
        self._changed.update(states)

    def fork(self) -> Working:
        """The same view without the changes: for deciding again."""
        return Working(self._memory, self._asked)

    def keep(self) -> None:
        """After the commit: what was decided is now what is true."""
        for key, state in self._changed.items():
            self._memory.put(key, state)
        self._changed.clear()
