"""What a function may call, as far as that can be read from its code without running it."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Collection, Iterator
from functools import cache, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple


class Names(NamedTuple):
    """What a piece of code names: globals, attributes of these (`service.draw`), and attributes of
    whatever else (`purchasing.draft`)."""

    names: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    attributes: frozenset[str]


def reachable(
    start: Any,
    rooms: Collection[str],
    stops: Callable[[FunctionType], bool] = lambda function: False,
) -> Iterator[FunctionType | type]:
    """The functions of `rooms` (packages at the top) that `start` leads to, itself included, and
    the classes that these name. A function that `stops` is given, and not followed.

    Names are resolved as the code would; of an object whose class the function names, every
    attribute of that name counts. So it finds somewhat more than is called, but nothing that is
    handed over as a value from elsewhere."""
    waiting, seen = [start], set[int]()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, partial):
            waiting += (found.func, *found.args, *found.keywords.values())
        elif isinstance(found, MethodType):
            waiting.append(found.__func__)
        elif isinstance(found, list | tuple):
            waiting += found
        elif isinstance(found, type):
            yield found
        elif isinstance(found, FunctionType) and _room(found) in rooms:
            yield found
            if not stops(found):
                waiting += _next(found, rooms)


def _next(function: FunctionType, rooms: Collection[str]) -> Iterator[Any]:
    """What the code of a function names."""
    if wrapped := getattr(function, "__wrapped__", None):
        yield wrapped
    yield from _captured(function)
    named, known = _named(function.__code__), function.__globals__
    values = [known[name] for name in named.names if name in known]
    for name, attribute in named.pairs:
        if isinstance(module := known.get(name), ModuleType) and hasattr(module, attribute):
            values.append(getattr(module, attribute))
        elif isinstance(module, type) and (method := _method(module, attribute)):
            yield method
    own = known.get(function.__qualname__.partition(".")[0])
    yield from values
    for kind in (*values, own):
        if isinstance(kind, type) and _room(kind) in rooms:
            methods = named.attributes if kind is own else {*named.attributes, "__init__"}
            yield from filter(None, (_method(kind, name) for name in methods))


def _captured(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # It is not filled yet.
            continue


def _method(kind: type, name: str) -> FunctionType | None:
    found: Any = inspect.getattr_static(kind, name, None)
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    return found if isinstance(found, FunctionType) else None


def _room(thing: Callable[..., Any]) -> str:
    return (thing.__module__ or "").partition(".")[0]


@cache
def _named(code: CodeType) -> Names:
    names, pairs, attributes = set[str](), set[tuple[str, str]](), set[str]()
    for part in _codes(code):
        before: str | None = None
        for step in dis.get_instructions(part):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                names.add(before := step.argval)
                continue
            if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                attributes.add(step.argval)
                if before is not None:
                    pairs.add((before, step.argval))
            before = None
    return Names(frozenset(names), frozenset(pairs), frozenset(attributes))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A piece of code, and those of the functions inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
