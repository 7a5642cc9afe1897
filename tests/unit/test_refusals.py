"""Every refusal that a rule may give has an error that stands for it, and no error stands for what
nobody says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
import deployments.capabilities
from actors.messages import Refused, Shortage
from core import errors
from core.errors import Conflict, FieldError, HoldfastError, NotFound, ValidationFailed
from core.ids import uuid7
from deployments.kit import refusals
from deployments.kit.capability import Capability
from deployments.kit.desk import hooks_of
from deployments.pattern.pure import rule_files
from deployments.pattern.refusals import codes_of, without_a_class
from deployments.pos.errors import CardsOff, DrawerShort

ROOT = Path(actors.__file__).parents[1]
SOURCES = ("core", "store", "actors", "gateway", "deployments", "cli")


def parsed(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    assert deployments.capabilities.CAPABILITIES, "imported, so that every class is known"
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def given() -> set[str]:
    """Each code that a rule gives."""
    return {code for path in rule_files() for code in codes_of(ast.parse(path.read_text()))}


def said() -> set[str]:
    """The names of classes that are used for more than to document a route."""
    found: set[str] = set()

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "responses":
            return
        if isinstance(node, ast.Name | ast.Attribute):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
        for part in ast.iter_child_nodes(node):
            look(part)

    for _, tree in parsed(*SOURCES):
        look(tree)
    return found


def test_each_code_has_its_error() -> None:
    codes = given()
    assert {"gift_card_expired", "insufficient_stock", "moved_meanwhile"} <= codes
    assert {code for code in codes if errors.error_class(code) is None} == {"not_due"}
    assert list(without_a_class()) == []


def test_a_code_without_an_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(errors._BY_CODE, "no_open_hold")
    [fault] = without_a_class()
    assert fault.name.startswith("actors/stock/")
    assert 'code, title = "no_open_hold"' in fault.text


def test_no_error_is_for_what_nobody_says() -> None:
    codes, names = given(), said()
    stand_for: dict[type[HoldfastError], set[str]] = {}
    for code, kind in errors._BY_CODE.items():
        if kind.__module__.startswith(SOURCES):
            stand_for.setdefault(kind, set()).add(code)
    silent = {
        kind.__name__
        for kind, own in stand_for.items()
        if own.isdisjoint(codes) and kind.__name__ not in names
    }
    assert silent == set()


def test_two_errors_of_one_code_are_none() -> None:
    with pytest.raises(TypeError, match="in_use"):
        type("Other", (Conflict,), {"code": "in_use"})
    with pytest.raises(TypeError, match="not_open"):

        class Other(Conflict, refusal="not_open"):
            pass


def test_a_refusal_is_told_as_the_api_names_things() -> None:
    item = uuid7()
    refused = Refused(
        "drawer_short", (Shortage(item, 3, 2),), {"expectedMinor": 1250, "currency": "EUR"}
    )
    error = refusals.error_of(refused)
    assert type(error) is DrawerShort
    assert error.extra == {
        "expected": 12.5,
        "currency": "EUR",
        "shortages": [{"productId": str(item), "requested": 3, "available": 2}],
    }
    assert refusals.error_of(Refused("line_not_found", facts={"line": 0})).extra == {"line": 1}
    # It names the index in the body.
    assert refusals.error_of(Refused("stock_changed", facts={"line": 0})).extra == {"line": 0}
    moved = refusals.error_of(Refused("moved_meanwhile"))
    assert isinstance(moved, Conflict)
    assert (moved.status, moved.code) == (409, "conflict")


@pytest.mark.parametrize(
    "error",
    [
        NotFound("There is no such thing."),
        ValidationFailed([FieldError("lines[0].quantity", "must be more")]),
        CardsOff(extra={"why": 1}),
    ],
)
def test_what_was_turned_down_is_told_again(error: HoldfastError) -> None:
    again = refusals.first_refusal(refusals.as_text(error))
    assert type(again) is type(error)
    for name in ("status", "code", "title", "detail", "errors", "extra"):
        assert getattr(again, name) == getattr(error, name)


def test_what_another_build_turned_down_is_told_again() -> None:
    error = NotFound("Long ago.")
    error.code, error.title, error.status = "gone_by_now", "Gone", 410
    again = refusals.first_refusal(refusals.as_text(error))
    assert type(again) is HoldfastError
    assert (again.status, again.code, again.title) == (410, "gone_by_now", "Gone")


def test_two_capabilities_have_no_hook_for_the_same() -> None:
    async def hook() -> None: ...

    one = Capability("one", "/one", None, refused={"not_found": hook})  # type: ignore[arg-type]
    assert hooks_of([one]).refused == {"not_found": hook}
    with pytest.raises(ValueError, match="not_found"):
        hooks_of([one, one])


def test_a_rule_names_its_refusals() -> None:
    """What refuses says in its docstring as what."""
    unnamed: list[str] = []
    for path, tree in parsed("actors/stock", "actors/till", "actors/purchasing"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            words = set(re.findall(r"\w+", ast.get_docstring(node) or ""))
            codes = {
                code
                for call in ast.walk(node)
                if isinstance(call, ast.Call)
                for code in codes_of(call)
            }
            unnamed += [f"{path.name}: {node.name} gives {code}" for code in codes - words]
    assert not unnamed, "\n".join(sorted(unnamed))
