"""Rules are pure: what they decide depends on their state, the command and the context alone, so
that a shard may decide again what it decided before."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import actors
from deployments.pattern.faults import Fault

# Those that join rules with the machinery, and the machinery itself.
_MACHINERY = frozenset({"runtime", "families.py"})
# All that a rule has use for. Of uuid the type alone.
_IMPORTS = frozenset(
    {
        "__future__",
        "collections",
        "collections.abc",
        "core.cash",
        "core.errors",
        "core.events",
        "core.money",
        "core.quantities",
        "dataclasses",
        "enum",
        "functools",
        "itertools",
        "math",
        "msgspec",
        "msgspec.structs",
        "operator",
        "types",
        "typing",
    }
)
_NAMES = {"uuid": frozenset({"UUID"}), "core.ids": frozenset({"text_of"})}
# Of these the answer is another in each process, or outside of it.
_CALLS = frozenset({"open", "input", "print", "hash", "id", "eval", "exec", "__import__"})
_WHY = (
    "a rule is pure, or a repeat would be decided otherwise: the time and who asks are in"
    " `at.context`, ids and chance come with the command, which the route makes"
)


def rule_files() -> Iterator[Path]:
    """Every file of rules."""
    for path in sorted(Path(actors.__path__[0]).rglob("*.py")):
        if path.relative_to(actors.__path__[0]).parts[0] not in _MACHINERY:
            yield path


def impure() -> Iterator[Fault]:
    """What rules import or do that is not theirs."""
    for path in rule_files():
        name = f"actors/{path.relative_to(actors.__path__[0])}"
        for line, what in impurities(path.read_text()):
            yield Fault(f"{name}:{line}: {what}", _WHY)


def impurities(source: str) -> Iterator[tuple[int, str]]:
    """Line by line what a rule may not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not _is_pure(alias.name):
                    yield node.lineno, f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for alias in node.names:
                if not _is_pure(module) and alias.name not in _NAMES.get(module, ()):
                    yield node.lineno, f"from {module} import {alias.name}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in _CALLS:
                yield node.lineno, f"{node.func.id}(...)"
        elif isinstance(node, ast.Global | ast.AsyncFunctionDef | ast.Await):
            yield node.lineno, ast.unparse(node).strip().partition("\n")[0]


def _is_pure(module: str) -> bool:
    if module.startswith("actors.runtime"):
        return module == "actors.runtime.family"
    return module in _IMPORTS or module.partition(".")[0] == "actors"
