"""Events that nobody emits but tests."""

from __future__ import annotations

from core.events import Event


class ThingMade(Event, kind="test.thing.made.v1"):
    name: str = ""


class ThingBroken(Event, kind="test.thing.broken.v1"):
    name: str = ""
