"""Events: what has happened, emitted under a name that never changes for all that want to know.

An event's class says its kind, `domain.noun.verb.vN`; its fields are what travels, as JSON with
names in camelCase: ids, numbers and states, and no personal data. A kind that was committed stays
as it is, but for new fields that have a default (`deployments.events` sees to it); what must
differ otherwise becomes the next version, a class of its own.

Classes stand in a module named `events` beside the rules that emit them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, dataclass_transform
from uuid import UUID

import msgspec

_NAME = re.compile(r"[a-z]+(\.[a-z][a-z_]*){2}\.v[1-9][0-9]*")
_by_kind: dict[str, type[Event]] = {}
KINDS: Mapping[str, type[Event]] = MappingProxyType(_by_kind)

# What a field that came later is where it has nothing to say: then it is left out.
UNSET = msgspec.UNSET
Unset = msgspec.UnsetType

_to_json = msgspec.json.Encoder().encode


class _Travelling(msgspec.StructMeta):
    """Makes what travels: frozen, in camelCase, and without the collector, since
    nothing in it leads back to it."""

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        kind: str = "",
        frozen: bool = True,
    ) -> _Travelling:
        config: dict[str, Any] = {"frozen": frozen, "gc": False}
        made = super().__new__(cls, name, bases, namespace, rename="camel", **config)
        if kind:
            made.kind = kind  # type: ignore[attr-defined]
            _register(kind, made)
        return made


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Part(msgspec.Struct, metaclass=_Travelling, frozen=True):
    """Part of an event, such as a line of a sale."""


class Event(Part):
    """Something that happened: `class StockLow(Event, kind="inventory.stock.low.v1")`. Raises
    ValueError, at import, for a kind that another class has or that is no `domain.noun.verb.vN`."""

    kind: ClassVar[str]

    def __init_subclass__(cls, *, kind: str = "") -> None:
        """The metaclass has seen to it."""

    @property
    def json(self) -> str:
        """As it travels."""
        return _to_json(self).decode()


class Delivery(NamedTuple):
    """An event as a consumer gets it. `id` is its own, the same however often it is delivered;
    `subject` is the id of what it happened to, and `time` when."""

    id: UUID
    subject: str
    time: datetime
    event: Event


def _register(kind: str, event: Any) -> None:
    if not _NAME.fullmatch(kind):
        raise ValueError(f"{kind} is not like domain.noun.verb.v1")
    if kind in _by_kind:
        raise ValueError(f"{kind} is {_by_kind[kind].__module__}.{_by_kind[kind].__name__} already")
    _by_kind[kind] = event
