"""Joins pure modules into one family: what each declares is found by exact type, so that a
command of one module may change the aggregates of another in the same decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, Union

import msgspec
from msgspec.structs import replace

from actors.messages import TURNED_DOWN, Refused, TurnDown, replies_of
from actors.runtime.family import Change, Context, Decision, Key, Timer, View

K = TypeVar("K")
V = TypeVar("V")

# Rows by the name of the write in the store, each in the order of its columns.
Rows = defaultdict[str, list[tuple[Any, ...]]]
Project = Callable[[Change, Rows], None]


class Rule(NamedTuple):
    """`keys(command, context, view)`: what must be loaded; `decide(view, command, context)`."""

    keys: Callable[[Any, Context, View], Iterable[Key]]
    decide: Callable[[View, Any, Context], Decision]


class Restore(NamedTuple):
    """A state from what the store read: `row` is a NamedTuple of the columns, in their order."""

    row: Any
    state: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Module:
    """What a pure module brings into its family.

    - `commands`: a rule for each type of command, which says itself what it is answered with.
    - `events`: for each type of event `evolve(state, event)`, whose state has a `sequence`.
    - `records`: for types of event of which every single one is written down (a ledger's line).
    - `states`: for each kind of key, the rows that a batch leaves behind, once per aggregate; the
      change's `before` is what was there before the batch.
    - `timers`: for types of event after which something falls due.
    - `creates`: types of event that begin an aggregate under a fresh id.
    - `sizes`: for kinds of key whose states may be large, their bytes in memory, about.
    - `rows`: for each of the store's writes of its tables, the NamedTuple of its columns.
    - `restores`: for each kind of key, the state from the row that the store read; `due`: for
      kinds that fall due, the timer from the row.
    """

    commands: Mapping[type, Rule]
    events: Mapping[type, Callable[[Any, Any], Any]]
    states: Mapping[str, Project]
    rows: Mapping[str, Any]
    restores: Mapping[str, Restore]
    records: Mapping[type, Project] = field(default_factory=dict)
    timers: Mapping[type, Callable[[Change], Timer]] = field(default_factory=dict)
    due: Mapping[str, Callable[[Any], Timer]] = field(default_factory=dict)
    creates: frozenset[type] = frozenset()
    sizes: Mapping[str, Callable[[Any], int]] = field(default_factory=dict)


def _turn_down(view: View, command: TurnDown, context: Context) -> Decision:
    facts: dict[str, int | str] = {"problem": command.problem}
    return Decision(Refused(TURNED_DOWN, facts=facts), refused=True)


# What every family is asked, whatever its modules.
_COMMON: Mapping[type, Rule] = {TurnDown: Rule(lambda command, context, view: (), _turn_down)}


class CompositeRules:
    """See `actors.runtime.family.Rules`. All look-ups are by exact type: an isinstance of these
    structs goes through ABCMeta, which is slow."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.rules = _joined([_COMMON, *(module.commands for module in modules)])
        self._events = _joined(module.events for module in modules)
        self._records = _joined(module.records for module in modules)
        self._states = _joined(module.states for module in modules)
        self._timers = _joined(module.timers for module in modules)
        self._due = _joined(module.due for module in modules)
        self.rows = _joined(module.rows for module in modules)
        self.restores = _joined(module.restores for module in modules)
        self.creates = frozenset[type]().union(*(module.creates for module in modules))
        self.sizes = _joined(module.sizes for module in modules)
        said = (reply for command in self.rules for reply in replies_of(command))
        replies = dict.fromkeys([Refused, *said])
        self._commands = msgspec.msgpack.Decoder(Union[tuple(self.rules)])  # noqa: UP007
        self._replies = msgspec.msgpack.Decoder(Union[tuple(replies)])  # noqa: UP007
        self._encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode

    def decode(self, body: bytes) -> Any:
        return self._commands.decode(body)

    def decode_reply(self, body: bytes) -> Any:
        return self._replies.decode(body)

    def encode(self, message: Any) -> bytes:
        """A command or a reply as it travels."""
        return self._encode(message)

    def label(self, command: Any) -> str:
        return type(command).__name__

    def keys(self, command: Any, context: Context, view: View) -> Iterable[Key]:
        return self.rules[type(command)].keys(command, context, view)

    def decide(self, view: View, command: Any, context: Context) -> Decision:
        return self.rules[type(command)].decide(view, command, context)

    def evolve(self, state: Any, event: Any) -> Any:
        return self._events[type(event)](state, event)

    def sequence(self, state: Any) -> int:
        return int(state.sequence)

    def project(self, changes: Sequence[Change]) -> Rows:
        """Rows of all changes of one transaction: what happened in its order, states net."""
        rows: Rows = defaultdict(list)
        records = self._records
        first: dict[Key, Change] = {}
        last: dict[Key, Change] = {}
        for change in changes:
            first.setdefault(change.key, change)
            last[change.key] = change
            record = records.get(type(change.event))
            if record is not None:
                record(change, rows)
        for key, change in last.items():
            before = first[key].before
            whole = change if change.before is before else replace(change, before=before)
            self._states[key.kind](whole, rows)
        return rows

    def timers(self, change: Change) -> Iterable[Timer]:
        timer = self._timers.get(type(change.event))
        return () if timer is None else (timer(change),)

    def due(self, row: Any) -> Timer:
        kind, *rest = row
        return self._due[kind](rest)

    def restore(self, key: Key, row: Any) -> Any:
        restore = self.restores[key.kind]
        return restore.state(restore.row._make(row))


def _joined(parts: Iterable[Mapping[K, V]]) -> dict[K, V]:
    """One dictionary of all. Raises ValueError when two modules claim the same name."""
    whole: dict[K, V] = {}
    for part in parts:
        if both := whole.keys() & part.keys():
            raise ValueError(f"declared by two modules: {both}")
        whole |= part
    return whole
