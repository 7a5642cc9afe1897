"""What rules refuse: each code has an error class, and each route documents what its owners may
refuse it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import actors
from actors.families import commerce
from actors.messages import TURNED_DOWN, Command
from core.errors import error_class
from deployments.pattern.faults import Fault
from deployments.pattern.pure import rule_files
from deployments.pattern.reach import reachable
from gateway.routing import HoldfastRoute

_DESK = "deployments.kit.desk"
# A shard refuses it to its own timer, and what was turned down carries an error of its own.
_UNHEARD = frozenset({"not_due", TURNED_DOWN})
Document = Mapping[str, Any]


def without_a_class() -> Iterator[Fault]:
    """Codes of rules that no error stands for."""
    for path in rule_files():
        for code, line in sorted(codes_of(ast.parse(path.read_text())).items()):
            if code not in _UNHEARD and error_class(code) is None:
                where = f"actors/{path.relative_to(actors.__path__[0])}:{line}"
                yield Fault(
                    f"{where}: {code}",
                    "is refused, and no error stands for it: the caller hears a 500. Write a"
                    f' `class ...(Conflict)` with `code, title = "{code}", "..."`, in'
                    " core/errors.py or in an errors.py beside the capability",
                )


def undocumented(
    routes: Sequence[HoldfastRoute], document: Document, rooms: Collection[str]
) -> Iterator[Fault]:
    """Refusals that routes may answer and do not document."""
    for route in routes:
        for method in sorted(route.methods or ()):
            operation = document["paths"][route.path_format][method.lower()]
            for code, command, where in _refused(route, rooms):
                kind = error_class(code)
                if kind is None or _documents(operation, kind.status, kind.code):
                    continue
                yield Fault(
                    f"{method} {route.template}: {code}",
                    f"{command} may be refused so ({where}), and the route does not document it:"
                    f" write `responses(..., {kind.__name__})`, all of a route in one call",
                )


def _documents(operation: Document, status: int, code: str) -> bool:
    described = operation["responses"].get(str(status), {})
    # Every address with an id in it may have nothing behind it.
    return bool(described) and (status == 404 or f"`{code}`" in described["description"])


def _refused(route: HoldfastRoute, rooms: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Code, command and rule of each refusal that may come back to a route."""
    seen: set[str] = set()
    for found in reachable(route.endpoint, rooms, _is_an_end):
        if isinstance(found, type) and issubclass(found, Command) and found in commerce.rules:
            for code, where in _codes_of_rule(found).items():
                if code not in seen and code not in _UNHEARD:
                    seen.add(code)
                    yield code, found.__name__, where


def _is_an_end(function: FunctionType) -> bool:
    """Whether a function's refusals go no further: it asks by `desk.decide`, or catches what is
    raised and does not raise it again. The desk itself knows every command."""
    if function.__module__ == _DESK:
        return True
    tree = _tree(function)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "desk.decide":
            return True
        if isinstance(node, ast.keyword) and node.arg == "return_exceptions":
            return True
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            raised = any(isinstance(part, ast.Raise) for part in ast.walk(node))
            if ast.unparse(node.type) == "HoldfastError" and not raised:
                return True
    return False


@cache
def _codes_of_rule(command: type) -> dict[str, str]:
    """Each code that the rule of a command gives, and where."""
    found: dict[str, str] = {}
    for function in reachable(commerce.rules[command].decide, ("actors",)):
        if isinstance(function, FunctionType):
            codes = set(codes_of(_tree(function)))
            if _may_be_new(function):
                codes.discard("not_found")
            found |= dict.fromkeys(codes, f"{function.__module__}.{function.__qualname__}")
    return found


def _may_be_new(function: FunctionType) -> bool:
    """Whether it is a rule of `actors.rules.about` that refuses nothing where there is nothing."""
    if function.__qualname__ != "about.<locals>.rule":
        return False
    return bool(inspect.getclosurevars(function).nonlocals["may_be_new"])


def codes_of(tree: ast.AST) -> dict[str, int]:
    """Each code that is given in a piece of source, and its line: what is handed to `refuse`, and
    what a function that finds a reason returns."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            if ast.unparse(node.func).rpartition(".")[2] in ("refuse", "Refused"):
                found |= dict.fromkeys(_texts(node.args[0]), node.lineno)
        elif isinstance(node, ast.FunctionDef) and node.name == "why_not":
            for part in ast.walk(node):
                if isinstance(part, ast.Return) and part.value is not None:
                    found |= dict.fromkeys(_texts(part.value), part.lineno)
    return found


def _texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


@cache
def _tree(function: FunctionType) -> ast.AST:
    """What a function is written as; nothing of a lambda, which stands amid other things, and of
    what is made while the program runs."""
    if function.__name__ == "<lambda>" or function.__code__.co_filename.startswith("<"):
        return ast.Module([], [])
    return ast.parse(textwrap.dedent(inspect.getsource(function)))
