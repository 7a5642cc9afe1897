"""States, commands, replies and events: what they hold does not change, since to keep the old
reference is the undo of a decision, and it is exact."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

import actors
from deployments.pattern.faults import Fault
from deployments.pattern.pure import rule_files

_CHANGING = (list, set, bytearray)


def unfit() -> Iterator[Fault]:
    """Structs of rules whose fields may change, or are floats."""
    for path in rule_files():
        parts = path.relative_to(actors.__path__[0]).with_suffix("").parts
        module = importlib.import_module(".".join(("actors", *parts)).removesuffix(".__init__"))
        for kind in vars(module).values():
            is_struct = inspect.isclass(kind) and issubclass(kind, Struct)
            if is_struct and kind.__module__ == module.__name__:
                yield from faults_of(kind)


def faults_of(kind: type[Struct]) -> Iterator[Fault]:
    """What is wrong with one struct."""
    if not kind.__struct_config__.frozen:
        yield Fault(
            f"{kind.__name__}: frozen",
            "may be changed in place, and then a decision that is undone stays: write"
            " `frozen=True`, and `msgspec.structs.replace`",
        )
    for name, annotation in get_type_hints(kind).items():
        types = set(_types(annotation))
        if float in types:
            yield Fault(
                f"{kind.__name__}.{name}: float",
                "is a float, which is not exact: money is an `int` in minor units, a rate an `int`"
                " in millionths",
            )
        if name.endswith("_minor") and types - {type(None)} != {int}:
            yield Fault(f"{kind.__name__}.{name}: minor", "is in minor units: write `int`")
        for changing in types.intersection(_CHANGING):
            yield Fault(
                f"{kind.__name__}.{name}: frozen",
                f"is a {changing.__name__}, which may be changed in place: write `tuple[X, ...]`,"
                " or `frozenset[X]`",
            )


def _types(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin not in (None, Union, UnionType):
        yield origin
    elif origin is None:
        yield annotation
    for part in get_args(annotation):
        yield from _types(part)
