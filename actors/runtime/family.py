"""What the runtime asks of a family of aggregates: to be pure, and to say what it needs.

An aggregate's state is immutable, so that keeping the old reference is the undo. A refusal is a
reply, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

import msgspec

from core.ids import text_of

if TYPE_CHECKING:
    from store.hosts.journal import Loader


class Key(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """Names one aggregate. `kind` is unique over all families; `detail` is what `id` alone leaves
    open, such as a place. An `ephemeral` key is a question to the store, such as "this caller's
    open holds": asked again for every batch. It remembers its hash: a decision looks the same
    key up many times, and a UUID's hash costs a call."""

    kind: str
    shard: int
    tenant_id: UUID
    id: UUID
    detail: Hashable = None
    ephemeral: bool = False

    @property
    def name(self) -> str:
        """As receipts name it."""
        name = text_of(self.id)
        return name if self.detail is None else f"{name}@{self.detail}"


class Unloaded(Exception):
    """A rule asked for an aggregate that nobody has loaded: neither known nor known to be
    absent. The command is decided once `key` is loaded."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class View(Protocol):
    """The states that a decision may look at."""

    def get(self, key: Key) -> Any:
        """The state, or None when there is no such aggregate. Raises Unloaded when that is not
        known yet."""
        ...

    def __contains__(self, key: object) -> bool:
        """Whether the key is loaded, even if as None."""
        ...


class Context(msgspec.Struct, frozen=True, gc=False):
    """What a decision knows besides its command. Times are in ms since the epoch, UTC.

    `arrived_ms` is when the gateway took the request in; `now_ms` never runs backwards.
    """

    shard: int
    tenant_id: UUID
    principal: str
    command_id: UUID
    arrived_ms: int
    now_ms: int


class Decision(msgspec.Struct, frozen=True):
    """`events` in the order in which they happen, `touched` the aggregates that a receipt names.
    A decision without events writes nothing and is not logged. Where `read` is given, it makes the
    reply out of the states that the events leave behind."""

    reply: Any
    events: Sequence[tuple[Key, Any]] = ()
    touched: Sequence[Key] = ()
    refused: bool = False
    read: Callable[[View], Any] | None = None

    def answer(self, view: View, states: Mapping[Key, Any]) -> Any:
        """The reply; `states` are those that the events have changed."""
        return self.reply if self.read is None else self.read(After(view, states))


class After:
    """The states that a decision may look at, as its events leave them."""

    __slots__ = ("_states", "_view")

    def __init__(self, view: View, states: Mapping[Key, Any]) -> None:
        self._view, self._states = view, states

    def get(self, key: Key) -> Any:
        return self._states[key] if key in self._states else self._view.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._states or key in self._view


class Change(msgspec.Struct, frozen=True):
    """One event that happened: what `project` turns into rows."""

    key: Key
    event: Any
    before: Any
    after: Any
    context: Context


class Timer(NamedTuple):
    """A command that the shard gives itself when `due_ms` has come."""

    due_ms: int
    tenant_id: UUID
    command: Any


@dataclass(frozen=True, slots=True)
class Family:
    """The pure functions of one family, and the loader that knows its tables.

    - `decode`, `encode`: commands from and replies to the wire.
    - `keys(command, context, view)`: what must be loaded before it can be decided; asked again
      after each load until nothing is missing. It may look at what is not loaded yet, and is
      then asked again.
    - `decide(view, command, context)`; `evolve(state, event)`; `sequence(state)` for receipts.
    - `creates`: the events that begin an aggregate under an id that nobody has used, so that it
      need not be loaded before; its row is inserted, never put over another.
    - `sizes`: by kind of key, how many bytes a state takes in memory, about.
    - `project(changes)`: rows for the loader's `write`; `timers(change)`: what falls due later.
    - `restore(key, row)`, `due(row)`: states and timers from what the loader read.
    Timers further away than `timers_ahead_ms` stay in the database until they come near.
    """

    name: str
    loader: Loader
    rules: Rules
    timers_ahead_ms: int = 60_000


class Rules(Protocol):
    @property
    def creates(self) -> frozenset[type]: ...

    @property
    def sizes(self) -> Mapping[str, Callable[[Any], int]]: ...

    def decode(self, body: bytes) -> Any: ...

    def encode(self, reply: Any) -> bytes: ...

    def label(self, command: Any) -> str: ...

    def keys(self, command: Any, context: Context, view: View) -> Iterable[Key]: ...

    def decide(self, view: View, command: Any, context: Context) -> Decision: ...

    def evolve(self, state: Any, event: Any) -> Any: ...

    def sequence(self, state: Any) -> int: ...

    def project(self, changes: Sequence[Change]) -> Any: ...

    def timers(self, change: Change) -> Iterable[Timer]: ...

    def due(self, row: Any) -> Timer: ...

    def restore(self, key: Key, row: Any) -> Any: ...


Families = Mapping[str, Family]

# Of a state whose kind says nothing else: its struct, its key, and their places in memory.
STATE_BYTES = 1_000


def sizes_of(families: Families) -> Callable[[Key, Any], int]:
    """What tells how many bytes a state takes in memory, about."""
    sizes = {
        kind: size for family in families.values() for kind, size in family.rules.sizes.items()
    }

    def size(key: Key, state: Any) -> int:
        more = sizes.get(key.kind)
        return STATE_BYTES if more is None or state is None else STATE_BYTES + more(state)

    return size
