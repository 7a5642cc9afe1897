"""The shape of a capability's folder: what its modules hold is declared, and named as all are."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import deployments
from core.events import KINDS
from deployments.kit.capability import Capability, LeanRoute
from deployments.kit.consumers import Consumer
from deployments.kit.router import Router
from deployments.pattern.faults import Fault
from gateway.schemas import CamelModel, QueryModel

# Where events may be; those of tests are nobody's.
_SOURCES = frozenset({"actors", "deployments", "store"})
# Names that schemas do not have: they say where a model stands, not what it is.
_ENDINGS = ("In", "Body", "View", "Request", "Response", "Schema", "Model")
# What a capability's module may hold, by the field of `Capability` that has to name it.
_DECLARED: dict[type, str] = {Router: "routers", Consumer: "consumers", LeanRoute: "lean"}


def modules(package: str) -> Iterator[ModuleType]:
    inside = importlib.import_module(package)
    for found in pkgutil.walk_packages(inside.__path__, f"{package}."):
        yield importlib.import_module(found.name)


def undeclared(module: ModuleType, capability: Capability) -> Iterator[str]:
    for name, value in vars(module).items():
        for kind, field in _DECLARED.items():
            known: Sequence[Any] = getattr(capability, field)
            if isinstance(value, kind) and not any(value is each for each in known):
                yield (
                    f"{module.__name__}.{name} is not among the `{field}` of"
                    f" {capability.name}'s capability.py: nobody serves it"
                )


def misnamed(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        is_schema = inspect.isclass(value) and issubclass(value, CamelModel | QueryModel)
        if is_schema and value.__module__ == module.__name__ and name.endswith(_ENDINGS):
            yield (
                f"{module.__name__}.{name}: a schema is NewX, XChanges, XOut, XRow or XQuery, or"
                " has a noun of its own"
            )


def known_to_the_kit(folders: Sequence[str]) -> list[str]:
    names = tuple(f"deployments.{folder}" for folder in folders)
    return [
        f"{path.name} of the kit imports {node.module}: the kit serves every capability and knows"
        " none; let the capability declare what the kit calls"
        for path in sorted(Path(deployments.__path__[0], "kit").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(names)
    ]


def unseen_events() -> Iterator[Fault]:
    """Events that stand where the schemas of all events do not look for them."""
    for kind, event in sorted(KINDS.items()):
        module = event.__module__
        if not module.endswith(".events") and module.partition(".")[0] in _SOURCES:
            yield Fault(
                f"{kind}: events",
                f"stands in {module}, where `holdfast events` finds no schema of it: it belongs"
                " into an events.py beside it",
            )
