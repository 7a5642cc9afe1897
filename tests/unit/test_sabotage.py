"""A switch that turns a mechanism off must not break what is around it: a test would notice that,
and say nothing of the mechanism."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime import sabotage
from tests.runtime.sabotage import Sabotage

SWITCHES = [
    switch
    for _, switch in inspect.getmembers(sabotage, inspect.isfunction)
    if list(inspect.signature(switch).parameters) == ["patch"]
]


class Recorder:
    """Stands for a MonkeyPatch: what would be replaced, and by what."""

    def __init__(self) -> None:
        self.replaced: list[tuple[Callable[..., Any], Callable[..., Any]]] = []

    def setattr(self, target: Any, name: str, new: Any) -> None:
        old = getattr(target, name)
        if callable(old) and callable(new):
            self.replaced.append((old, new))


@pytest.mark.parametrize("switch", SWITCHES)
def test_what_a_switch_puts_in_place_is_called_as_what_was_there(switch: Sabotage) -> None:
    recorder = Recorder()
    switch(recorder)  # type: ignore[arg-type]
    for old, new in recorder.replaced:
        arguments = dict.fromkeys(inspect.signature(old).parameters)
        inspect.signature(new).bind(*arguments)
