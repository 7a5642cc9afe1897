"""A table is written by its own package of the store alone: others ask that package, so that what
belongs to a change (its event, its version, its lock) is never left out."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Table

import store

# What serves every package, and is written through every package's transactions.
_SHARED = frozenset({"embedded", "hosts", "kit", "migrations"})
_WRITES = frozenset({"insert", "update", "delete"})
_STATEMENT = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)")


def breaks() -> Iterator[tuple[str, str]]:
    """Where a package writes another's table, and what to do instead."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(store.__path__, "store.")
        if found.name.split(".")[1] not in _SHARED
    ]
    owners = _owners(modules)
    for module in modules:
        source = Path(str(module.__file__)).read_text()
        package = _package(module.__name__)
        for line, table in written(source, vars(module), owners):
            if owners[table] != package:
                yield (
                    f"{module.__name__}:{line}: {table}",
                    f"writes a table of store.{owners[table]}: call a function of that package,"
                    " with the same `tx`",
                )


def written(
    source: str, names: Mapping[str, Any], owners: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    """The line and the table of each write in a module whose globals are `names`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            if ast.unparse(node.func).rpartition(".")[2] in _WRITES:
                table = _value(node.args[0], names)
                if isinstance(table, Table) and table.name in owners:
                    yield node.lineno, table.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for table in _STATEMENT.findall(node.value):
                if table in owners:
                    yield node.lineno, table


def _owners(modules: list[ModuleType]) -> dict[str, str]:
    """By name of a table the package that makes it."""
    return {
        call.args[0].value: _package(module.__name__)
        for module in modules
        for call in ast.walk(ast.parse(Path(str(module.__file__)).read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Table" and call.args
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def _package(module: str) -> str:
    return module.split(".")[1]


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What a name or an attribute of a module stands for; None where it is not known."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(names.get(node.value.id), node.attr, None)
    return None
