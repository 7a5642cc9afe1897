"""The events that Holdfast emits, as JSON Schemas: as the code has them and as they are committed.

What is committed is frozen, since others read it and old events stay: a kind keeps its fields,
and may gain such as have a default. What must differ otherwise is the next version of the kind, a
class of its own, which may be emitted beside the old one for as long as that is read.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

import actors
import deployments
from core.events import KINDS, Event

COMMITTED = Path(__file__).with_name("events.json")

Schema = Mapping[str, Any]
# What may change, because it says nothing of what travels.
_WORDS = ("title", "description")


class Frozen(Exception):
    """The code has other events than were committed, in ways that their readers would notice."""


def schemas() -> dict[str, Any]:
    """The schema of each kind, by its name. Imports every module named `events`."""
    for package in (actors, deployments):
        _import_events(package)
    return {kind: _schema(event) for kind, event in sorted(KINDS.items()) if _is_ours(event)}


def text() -> str:
    """The schemas as they are committed."""
    return json.dumps(schemas(), indent=2, sort_keys=True) + "\n"


def is_current() -> bool:
    """Whether the committed schemas are what the code says. Raises Frozen as `write` does."""
    check_frozen(_committed(), schemas())
    return COMMITTED.exists() and COMMITTED.read_text() == text()


def write() -> None:
    """Raises Frozen, and writes nothing, if a committed kind is gone or is not what it was."""
    check_frozen(_committed(), schemas())
    COMMITTED.write_text(text())


def check_frozen(committed: Schema, now: Schema) -> None:
    """Raises Frozen, and says why, unless readers of what was committed can read what
    is emitted now, and we what was emitted before."""
    if broken := [why for kind in committed for why in _broken(kind, committed[kind], now)]:
        raise Frozen(
            f"{'; '.join(broken)}. Others read these events, and old ones stay: what is committed"
            " may only gain fields that have a default. Make a class of the next version instead."
        )


def _committed() -> dict[str, Any]:
    return dict(json.loads(COMMITTED.read_text())) if COMMITTED.exists() else {}


def _broken(kind: str, was: Schema, now: Schema) -> Iterator[str]:
    if kind not in now:
        yield f"{kind} is gone"
        return
    yield from _broken_object(kind, was, now[kind])
    parts_now = now[kind].get("$defs", {})
    for name, part in was.get("$defs", {}).items():
        if name not in parts_now:
            yield f"{kind}: {name} is gone"
        else:
            yield from _broken_object(f"{kind}: {name}", part, parts_now[name])


def _broken_object(name: str, was: Schema, now: Schema) -> Iterator[str]:
    fields, fields_now = was["properties"], now["properties"]
    for field, schema in fields.items():
        if field not in fields_now:
            yield f"{name}.{field} is gone"
        elif _without_words(schema) != _without_words(fields_now[field]):
            yield f"{name}.{field} is something else"
    needed, needed_now = set(was.get("required", ())), set(now.get("required", ()))
    for field in sorted(needed - needed_now & fields_now.keys()):
        yield f"{name}.{field} may be absent"
    for field in sorted(needed_now - needed):
        yield f"{name}.{field} is new and has no default"


def _without_words(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {k: _without_words(v) for k, v in schema.items() if k not in _WORDS}
    return schema


def _schema(event: type[Event]) -> dict[str, Any]:
    """Whole by itself: its parts are among its own `$defs`."""
    whole = msgspec.json.schema(event)
    parts: dict[str, Any] = whole["$defs"]
    own: dict[str, Any] = parts.pop(event.__name__)
    own["$id"] = f"urn:holdfast:event:{event.kind}"
    return own | ({"$defs": parts} if parts else {})


def _is_ours(event: type[Event]) -> bool:
    """And no test's."""
    return event.__module__.partition(".")[0] in ("actors", "deployments")


def _import_events(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith(".events") and module.name != __name__:
            importlib.import_module(module.name)
