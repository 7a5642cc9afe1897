"""Bodies that change something, of PUT and PATCH alike, under one rule: what is left out stays,
objects merge, lists are replaced, and null clears what may be empty.

That is JSON Merge Patch (RFC 7396), but that null for what may not be empty is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from gateway.fields import Version
from gateway.schemas import CamelModel


@dataclass(frozen=True, slots=True)
class Emptied:
    """Of a field: what null makes of it where that is not null inside, as
    `Annotated[Text | None, Emptied("")]`."""

    value: Any


class Merge(dict[str, Any]):
    """What was given of a document, to be merged into the one that is there."""


class Partial(CamelModel):
    """A body that changes something, or an object inside of one. Its fields have no defaults of
    their own (`absent()`); those that may be cleared take null."""

    def values(self) -> dict[str, Any]:
        """The fields that were given, as columns hold them; an object is a Merge."""
        fields = type(self).model_fields
        found = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            if value is None:
                emptied = [each for each in fields[name].metadata if isinstance(each, Emptied)]
                value = emptied[0].value if emptied else None
            elif isinstance(value, Partial):
                value = value.document()
            elif isinstance(value, dict):
                value = Merge(value)
            found[name] = value
        return found

    def document(self) -> Merge:
        """What was given, as JSON."""
        whole = self.model_dump(mode="json", by_alias=True)
        found = Merge()
        for name in self.model_fields_set:
            value, alias = getattr(self, name), type(self).model_fields[name].alias or name
            found[alias] = value.document() if isinstance(value, Partial) else whole[alias]
        return found


class Changes(Partial):
    """What to change; what is left out stays."""

    version: Version | None = Field(
        default=None, description="If given, the change is made only if this is still the version"
    )

    def values(self) -> dict[str, Any]:
        found = super().values()
        found.pop("version", None)
        return found


def merged(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with what is `given`: null removes a name, an object is merged into the one that
    stands there."""
    after = dict(before)
    for name, value in given.items():
        there = after.get(name)
        if value is None:
            after.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(there, Mapping):
            after[name] = merged(there, value)
        else:
            after[name] = value
    return after


def onto(before: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as they are after a change: documents that were given in part, merged into those of
    the row `before`."""
    return {
        name: merged(getattr(before, name), value) if isinstance(value, Merge) else value
        for name, value in values.items()
    }
