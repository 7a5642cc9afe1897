"""Rows have names: what a table has and what a rule writes are compared when both are imported."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actors import families
from actors.composite import Restore
from actors.stock import model as m
from actors.stock import rows
from actors.stock.module import STOCK_MODULE

ROOT = Path(__file__).parents[2]
MAX_UNPACKED = 5


class Swapped(NamedTuple):
    """Of an item; two columns are in the wrong order."""

    tenant_id: Any
    product_id: Any
    discontinued: bool
    backorder_limit: int
    sequence: int
    updated_at: int
    parent: bool


@pytest.mark.parametrize(
    ("names", "name", "wrong"),
    [
        (rows.WRITTEN, "stock_items", Swapped),
        (rows.WRITTEN, "stock_levels moved", rows.LevelRead),
        (STOCK_MODULE.restores, m.STOCK, Restore(rows.LevelRow, lambda row: row)),
        (STOCK_MODULE.restores, m.ITEM, Restore(rows.ItemRow, lambda row: row)),
    ],
)
def test_rows_that_are_not_their_tables_columns_stop_the_import(
    names: Any, name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names, name, wrong)
    with pytest.raises(ValueError, match=f"{name} has"):
        runpy.run_path(families.__file__)


@pytest.mark.parametrize(
    ("names", "name"), [(rows.WRITTEN, "stock_items"), (STOCK_MODULE.restores, m.BOOKS)]
)
def test_what_nobody_has_named_stops_the_import(
    names: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(names, name)
    with pytest.raises(ValueError, match=f"have no .'{name}'"):
        runpy.run_path(families.__file__)


def positional(tree: ast.Module) -> Iterator[int]:
    """Lines where a row is looked into by number, or taken apart into many names."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id="row"), slice=ast.Constant(value=int())):
                yield node.lineno
            case ast.Subscript(value=ast.Name(id="row"), slice=ast.Slice()):
                yield node.lineno
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=value) if len(
                names
            ) > MAX_UNPACKED and not isinstance(value, ast.Tuple):
                yield node.lineno
            case (
                ast.For(target=ast.Tuple(elts=names))
                | ast.comprehension(target=ast.Tuple(elts=names))
            ) if len(names) > MAX_UNPACKED:
                yield names[0].lineno


@pytest.mark.parametrize("room", ["actors", "store", "deployments"])
def test_no_column_is_known_by_its_number(room: str) -> None:
    files = [file for file in (ROOT / room).rglob("*.py") if "migrations" not in file.parts]
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in files
        for number in positional(ast.parse(file.read_text()))
    ]
    assert files
    assert not found, "give the columns names: a NamedTuple, or a mapping"


@pytest.mark.parametrize(
    "text",
    [
        "row[17]",
        "row[:3]",
        "a, b, c, d, e, f = row",
        "a, b, c, d, e, *f = row",
        "for a, b, c, d, e, f in rows: pass",
        "[a for a, b, c, d, e, f in rows]",
    ],
)
def test_a_column_that_is_known_by_its_number_is_found(text: str) -> None:
    assert list(positional(ast.parse(text))) == [1]
