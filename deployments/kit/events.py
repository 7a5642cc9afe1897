"""What is emitted of master data: that something was made, changed or deleted, and no more."""

from __future__ import annotations

from types import new_class
from typing import NamedTuple, cast
from uuid import UUID

from core.events import Event


class RecordEvent(Event):
    """`version` is the record's, as the change left it."""

    id: UUID
    version: int


class RecordEvents(NamedTuple):
    created: type[RecordEvent]
    updated: type[RecordEvent]
    deleted: type[RecordEvent]


def record_events(noun: str) -> RecordEvents:
    """The events of one sort of master data, by its capability and its name: `business.tax_rate`.
    Called once for each, in a module named `events`. Raises ValueError as `Event` does."""
    return RecordEvents(*(_event(noun, verb) for verb in ("created", "updated", "deleted")))


def _event(noun: str, verb: str) -> type[RecordEvent]:
    words = noun.partition(".")[2]
    name = "".join(part.capitalize() for part in f"{words}_{verb}".split("_"))
    about = {"__doc__": f"A {words.replace('_', ' ')} was {verb}.", "__module__": __name__}
    kind = f"{noun}.{verb}.v1"
    made = new_class(name, (RecordEvent,), {"kind": kind}, lambda space: space.update(about))
    return cast("type[RecordEvent]", made)
