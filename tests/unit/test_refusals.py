"""Every refusal that a rule may give has an error that stands for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors
from actors.messages import TURNED_DOWN
from deployments.inventory.stock import service
from deployments.pos import errors

FOLDER = Path(actors.__file__).parent
# What no replica asks for: a host's own timers, and what is told of by its sender.
UNHEARD = {"not_due"}
# Refusals of the stock's own commands, which the till never sends.
OF_STOCK = {
    "no_open_hold",
    "stock_changed",
    "transfer_closed",
    "moved_meanwhile",
    "counted_twice",
    "same_location",
}


def given(part: str) -> Iterator[tuple[str, str]]:
    """Each code that a rule in a folder gives, and where."""
    for path in sorted((FOLDER / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", None)
            code = node.args[0]
            if name in ("refuse", "Refused"):
                for one in ast.walk(code):
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        yield one.value, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    ("part", "known", "but"),
    [
        ("stock", service.REFUSALS, UNHEARD),
        ("purchasing", service.REFUSALS, set()),
        ("till", errors.REFUSALS, set()),
        # A sale and a return move stock by the rules of stock.
        ("stock", errors.REFUSALS, UNHEARD | OF_STOCK),
    ],
)
def test_each_code_has_its_error(part: str, known: dict[str, object], but: set[str]) -> None:
    codes = dict(given(part))
    assert codes
    assert {code: where for code, where in codes.items() if code not in known} == {
        code: codes[code] for code in but if code in codes
    }
    assert TURNED_DOWN not in known, "which the desk turns into the error itself"
