"""Is a history of concurrent operations one that a single sequential owner could have given?

The search is that of Wing and Gong with Lowe's memory of what was tried: take some operation
that nobody else ended before, see whether the model agrees with what it was told, go on.
An operation of unknown outcome may happen at any time after it began, or never.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Operation:
    """`told` is None when the outcome is unknown; then it ended at `inf`."""

    began: float
    ended: float
    asked: Any
    told: Any = None


class Model(Protocol):
    """What a sequential owner does."""

    start: Hashable

    def step(self, state: Any, asked: Any, told: Any) -> Any:
        """The state after `asked`; None if it could not have been told `told` in `state`.
        Told None, it may have been told anything."""
        ...


MAX_TRIES = 300_000


class TooHard(Exception):
    """The search was given up: nobody knows."""


def is_linearizable(history: Sequence[Operation], model: Model, max_tries: int = MAX_TRIES) -> bool:
    """Whether some order explains the history. Exponential in how many operations overlap, above
    all in those of unknown outcome: raises TooHard after `max_tries` steps."""
    operations = sorted(history, key=lambda operation: operation.began)
    known = sum(1 << index for index, operation in enumerate(operations) if operation.ended < inf)
    tried: set[tuple[int, Hashable]] = set()
    paths: list[tuple[int, Any]] = [(0, model.start)]
    while paths:
        done, state = paths.pop()
        if done & known == known:
            return True
        for index in _next(operations, done):
            operation = operations[index]
            after = model.step(state, operation.asked, operation.told)
            if after is None:
                continue
            path = (done | 1 << index, after)
            if path not in tried:
                if len(tried) == max_tries:
                    raise TooHard
                tried.add(path)
                paths.append(path)
    return False


def _next(operations: Sequence[Operation], done: int) -> list[int]:
    """Those that may come next: not done, and begun before any that is not done ended."""
    found: list[int] = []
    earliest_end = inf
    for index, operation in enumerate(operations):
        if operation.began > earliest_end:
            break
        if not done >> index & 1:
            found.append(index)
            earliest_end = min(earliest_end, operation.ended)
    # The last one is tried first; what ended soonest is the best guess.
    found.sort(key=lambda index: -operations[index].ended)
    return [index for index in found if operations[index].began <= earliest_end]


class Shelf(NamedTuple):
    """One product: units on hand, and the open holds with their quantities."""

    on_hand: int
    holds: frozenset[tuple[Any, int]]

    @property
    def reserved(self) -> int:
        return sum(quantity for _, quantity in self.holds)


class ShelfModel:
    """Asked ("add", n), ("reserve", id, n), ("release", id) or ("read",); told the level after it
    as (on hand, reserved), or ("no", available), or ("unheld",)."""

    start = Shelf(0, frozenset())

    def step(self, state: Shelf, asked: Any, told: Any) -> Shelf | None:
        after = state
        answer: Any = None
        match asked:
            case ("add", quantity):
                after = state._replace(on_hand=state.on_hand + quantity)
            case ("reserve", hold, quantity):
                available = state.on_hand - state.reserved
                if quantity > available:
                    answer = ("no", available)
                else:
                    after = state._replace(holds=state.holds | {(hold, quantity)})
            case ("release", hold):
                mine = {held for held in state.holds if held[0] == hold}
                if not mine:
                    answer = ("unheld",)
                after = state._replace(holds=state.holds - mine)
        answer = answer or (after.on_hand, after.reserved)
        return after if told is None or told == answer else None
