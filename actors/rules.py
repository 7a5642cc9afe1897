"""What rules are made of, whatever they are about. Pure.

A rule about one aggregate says so with `about`. One that decides on several at once, such as a
sale, is a `Rule` with its own `keys` and `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from actors.composite import Rule
from actors.messages import STEPS, Refused, Reply, Shortage
from actors.runtime.family import Context, Decision, Key, View

Events = list[tuple[Key, Any]]


def refuse(code: str, short: Sequence[Shortage] = (), /, **facts: int | str) -> Decision:
    return Decision(Refused(code, tuple(short), facts), refused=True)


def quantity_fact(name: str, steps: int, decimals: int) -> dict[str, int | str]:
    """Facts of a refusal that say a quantity, as the API will in units."""
    if not decimals:
        return {name: steps}
    return {name + STEPS: steps, "quantityDecimals": decimals}


class At(NamedTuple):
    """What a rule about one aggregate may look at besides its state: its key, the other aggregates
    that are loaded, the caller and the moment. For the reply all states are as the events leave
    them."""

    key: Key
    view: View
    context: Context


def unchanged(state: Any, command: Any, at: At) -> Events:
    """Of a command that only reads."""
    return []


# Of a command the aggregate that it is about.
Named = Callable[[Any, Context], Key]
Keys = Callable[[Any, Context], Iterable[Key]]


def about(
    kind: str,
    *,
    key: str | Named,
    decide: Callable[[Any, Any, At], Events | Decision],
    reply: Callable[[Any, Any, At], Reply],
    also: Keys | None = None,
    then: Keys | None = None,
    is_there: Callable[[Any], bool] = lambda state: True,
    may_be_new: bool = False,
    moves: str | None = None,
    moves_first: bool = False,
) -> Rule:
    """The rule of a command about one aggregate, whose id is the command's field `key`; or `key`
    gives the whole key.

    - `decide(state, command, at)` gives the events, in their order, or a decision of its own, such
      as a refusal. Without an aggregate, or where it `is_there` no more, the command is refused as
      not_found, unless it `may_be_new`: then the state is None.
    - `reply(state, command, at)` is read from what the events leave behind.
    - `also(command, context)` is loaded with it, and `then(state, context)` once it is.
    - Receipts name the aggregate, and what changes of the kind `moves`: after it, or before.
    """

    def named(command: Any, context: Context) -> Key:
        return Key(kind, context.shard, context.tenant_id, getattr(command, key))  # type: ignore[arg-type]

    own_key = key if callable(key) else named

    def keys(command: Any, context: Context, view: View) -> Iterator[Key]:
        own = own_key(command, context)
        yield own
        if also is not None:
            yield from also(command, context)
        if then is not None:
            state = view.get(own)
            if state is not None:
                yield from then(state, context)

    def rule(view: View, command: Any, context: Context) -> Decision:
        own = own_key(command, context)
        state = view.get(own)
        if state is not None and not is_there(state):
            state = None
        if state is None and not may_be_new:
            return refuse("not_found")
        events: Any = decide(state, command, At(own, view, context))
        if type(events) is Decision:
            return events
        touched: tuple[Key, ...] = () if state is None and not events else (own,)
        if moves is not None:
            moved = tuple(event_key for event_key, _ in events if event_key.kind == moves)
            touched = (*moved, *touched) if moves_first else (*touched, *moved)

        def read(after: View) -> Reply:
            return reply(after.get(own), command, At(own, after, context))

        return Decision(None, events, touched, read=read)

    return Rule(keys, rule)
