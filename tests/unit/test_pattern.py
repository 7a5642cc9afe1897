"""What is of another shape than the pattern is found, and the message says what it should be."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import Capability
from deployments.pattern import broken, shape

ROUTES = """
from deployments.kit.router import Router
from gateway.schemas import CamelModel

router = Router()

class NewThing(CamelModel):
    name: str
"""
CAPABILITY = """
from deployments.kit.capability import Capability
from odd.things.routes import router

capability = Capability("things", "/api/things", (router,))
"""
GOOD = {"things/routes.py": ROUTES, "things/capability.py": CAPABILITY}

Lines = Callable[[Mapping[str, str]], list[str]]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What is broken in a package `odd` of these files, of which `things` is declared."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def found(files: Mapping[str, str]) -> list[str]:
        for name, text in files.items():
            path = tmp_path / "odd" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (path.parent, tmp_path / "odd"):
                (folder / "__init__.py").touch()
            path.write_text(text)
        package: ModuleType = importlib.import_module("odd")
        declared: Capability = importlib.import_module("odd.things.capability").capability
        return broken((declared,), package)

    yield found
    for name in [name for name in sys.modules if name.split(".")[0] == "odd"]:
        del sys.modules[name]


def test_every_capability_follows_the_pattern() -> None:
    assert broken(CAPABILITIES) == []


def test_what_follows_it_is_not_complained_of(lines: Lines) -> None:
    assert lines(GOOD) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("other/routes.py", ROUTES, "odd.other is no capability"),
        ("things/more.py", ROUTES, "odd.things.more.router is not among the `routers`"),
        ("things/deep/routes.py", ROUTES, "odd.things.deep.routes.router is not among"),
        ("things/schemas.py", ROUTES.replace("NewThing", "ThingBody"), "things.schemas.ThingBody"),
        (
            "things/lean.py",
            "from deployments.kit.capability import LeanRoute\n"
            "hot = LeanRoute('POST', '/', lambda shared, name: None)",
            "odd.things.lean.hot is not among the `lean`",
        ),
    ],
)
def test_another_shape_is_told(lines: Lines, name: str, text: str, said: str) -> None:
    found = lines({**GOOD, name: text})
    assert any(said in line for line in found), found


def test_an_event_that_has_no_schema_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    event = type("Lost", (), {"__module__": "actors.till.module"})
    monkeypatch.setattr(shape, "KINDS", {"pos.sale.lost.v1": event})
    [fault] = shape.unseen_events()
    assert fault.name == "pos.sale.lost.v1: events"
    assert "belongs into an events.py" in fault.text
