"""Waiting commands, in lanes that take turns: nobody pays for what another asks for.

A lane is what one tenant changes, or what is read of it. Within a lane commands keep their order.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from actors.runtime.batch import Lane, Work

_NONE: deque[Work] = deque()

# What a lane may take in one turn: some ten commands of one line.
QUANTUM = 32
# What weighs more than this part of a batch is heavy: it shares one with no other that is.
HEAVY = 8
# Of a batch that it shares, a lane takes this part at most: those who have little wait for all
# of it.
SHARE = 2


@dataclass(slots=True, eq=False)
class _Lane:
    """What stands in it, in the order in which it is taken: `asked` are those whose questions have
    been answered, `due` the shard's own, which have fallen due, `waiting` the callers'. A lane is
    held while something is fetched that its next decision must wait for. It is overdue while more
    has fallen due than stands in it: what waits then waits for that, too."""

    asked: deque[Work] = field(default_factory=deque)
    due: deque[Work] = field(default_factory=deque)
    waiting: deque[Work] = field(default_factory=deque)
    credit: int = 0
    # Of the batch that is being taken, or was taken last.
    taken: int = 0
    holds: int = 0
    overdue: bool = False

    def __bool__(self) -> bool:
        return bool(self.waiting or self.due or self.asked or self.holds or self.overdue)

    def front(self) -> deque[Work]:
        """Where the next one stands that may be taken."""
        if self.holds:
            return _NONE
        return self.asked or self.due or (_NONE if self.overdue else self.waiting)

    def behind(self, work: Work) -> deque[Work]:
        """Where a work that had been taken stands when it comes back."""
        if work.asked:
            return self.asked
        return self.due if work.envelope is None else self.waiting


def _weight(lane: _Lane) -> int:
    """Of the next one that may be taken."""
    return lane.front()[0].weight


class FairQueue:
    """Lanes in turn, by weight: a lane with heavy works gives them as seldom as they are heavy."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[Lane, _Lane] = OrderedDict()
        self._overdue: frozenset[Lane] = frozenset()
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Work]:
        for lane in self._lanes.values():
            yield from lane.asked
            yield from lane.due
            yield from lane.waiting

    def put(self, work: Work) -> None:
        self._lane(work).waiting.append(work)
        self._number += 1

    def put_back(self, works: Sequence[Work]) -> None:
        """Those that were taken: before all others of their kind and lane, in their order."""
        for work in reversed(works):
            self._lane(work).behind(work).appendleft(work)
        self._number += len(works)

    def put_asked(self, works: Sequence[Work]) -> None:
        """Those whose questions are answered: nothing of their lane comes before them."""
        for work in reversed(works):
            self._lane(work).asked.appendleft(work)
        self._number += len(works)

    def put_due(self, work: Work) -> None:
        """Before what waits, and after what fell due before it."""
        self._lane(work).due.append(work)
        self._number += 1

    def let_wait(self, overdue: Set[Lane]) -> None:
        """In these lanes, and in no others, more has fallen due than stands there."""
        for name in self._overdue - overdue:
            self._lanes[name].overdue = False
            self._tidy(name, self._lanes[name])
        for name in overdue - self._overdue:
            self._lanes.setdefault(name, _Lane()).overdue = True
        self._overdue = frozenset(overdue)

    @property
    def overdue(self) -> frozenset[Lane]:
        return self._overdue

    def hold(self, work: Work) -> None:
        """Nothing of the work's lane is taken until `release`."""
        self._lane(work).holds += 1

    def release(self, work: Work) -> None:
        lane = self._lane(work)
        lane.holds -= 1
        self._tidy(work.lane, lane)

    def is_behind(self, name: Lane) -> bool:
        """Whether a lane has something to do before anything that waits in it."""
        lane = self._lanes.get(name)
        return lane is not None and (lane.holds > 0 or bool(lane.due or lane.asked))

    @property
    def is_ready(self) -> bool:
        """Whether there is anything to take."""
        return any(lane.front() for lane in self._lanes.values())

    def take(
        self, number: int, weight: int, stops: Callable[[Work], bool] = lambda work: False
    ) -> tuple[list[Work], list[list[Work]]]:
        """Works up to a number and a weight, at least one if there is any. A work at which a lane
        `stops` is not among them, nor is anything behind it: what stands at a lane's front is
        returned apart, a list for each such lane, and the lane is held."""
        taken: list[Work] = []
        stopped: list[list[Work]] = []
        # What a work takes of a batch at least: there are no more than `number`.
        least, heavy = -(-weight // number), weight // HEAVY
        ready = [(name, lane) for name, lane in self._lanes.items() if lane.front()]
        share = weight if len(ready) < 2 else weight // SHARE
        for _, lane in ready:
            lane.taken = 0
        while ready and weight > 0:
            before = len(taken)
            for name, lane in ready:
                if weight <= 0:
                    break  # a tenant without a turn is first in the next batch
                self._lanes.move_to_end(name)
                lane.credit += QUANTUM
                most = min(weight, share - lane.taken)
                spent = self._take_from(lane, taken, most, least, stops)
                lane.taken += spent
                weight -= spent
                if (front := lane.front()) and stops(front[0]):
                    stopped.append(self._stop(lane, number, stops))
            ready = [entry for entry in ready if entry[1].front() and entry[1].taken < share]
            if taken and len(taken) == before and all(_weight(lane) > heavy for _, lane in ready):
                break  # a light tenant need not wait for what is left
        for name, lane in list(self._lanes.items()):
            self._tidy(name, lane)
        return taken, stopped

    def _take_from(
        self,
        lane: _Lane,
        taken: list[Work],
        most: int,
        least: int,
        stops: Callable[[Work], bool],
    ) -> int:
        """Takes what the lane's credit pays for, `most` of the batch if one of its works takes
        `least`; returns how much that is."""
        spent = 0
        while (front := lane.front()) and spent < most:
            work = front[0]
            if stops(work) or work.weight > lane.credit:
                break
            front.popleft()
            self._number -= 1
            lane.credit -= work.weight
            spent += max(work.weight, least)
            taken.append(work)
        return spent

    def _stop(self, lane: _Lane, number: int, stops: Callable[[Work], bool]) -> list[Work]:
        """No more than a batch: what is asked together rests on what was before all of it."""
        found: list[Work] = []
        while (front := lane.front()) and len(found) < number and stops(front[0]):
            found.append(front.popleft())
            self._number -= 1
        lane.holds += 1
        return found

    def withdraw(self, belongs: Callable[[Work], bool]) -> list[Work]:
        """Takes out what waits and `belongs`."""
        chosen = [work for work in self if belongs(work)]
        if chosen:
            gone = set(map(id, chosen))
            for name, lane in list(self._lanes.items()):
                lane.asked = deque(work for work in lane.asked if id(work) not in gone)
                lane.due = deque(work for work in lane.due if id(work) not in gone)
                lane.waiting = deque(work for work in lane.waiting if id(work) not in gone)
                self._tidy(name, lane)
            self._number -= len(chosen)
        return chosen

    def _lane(self, work: Work) -> _Lane:
        name = work.lane
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane()
        return lane

    def _tidy(self, name: Lane, lane: _Lane) -> None:
        if not lane:
            self._lanes.pop(name, None)
        elif not (lane.waiting or lane.due or lane.asked):
            lane.credit = 0
