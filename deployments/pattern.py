"""The one pattern that every capability follows, as far as a program can look at it: `make check`
asks `broken`, and each line of the answer says what is of another shape, and what it should be.

Rules of single routes are in `gateway.rules`, those of imports in `pyproject.toml`, those of tables
and migrations in `store.kit`.
"""

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
from deployments.kit.capability import Capability, LeanRoute
from deployments.kit.consumers import Consumer
from deployments.kit.router import Router
from gateway.schemas import CamelModel, QueryModel

# Folders of `deployments` that are no capability.
_OTHERS = frozenset({"kit", "serving"})
# Names that schemas do not have: they say where a model stands, not what it is.
_ENDINGS = ("In", "Body", "View", "Request", "Response", "Schema", "Model")
# What a capability's module may hold, by the field of `Capability` that has to name it.
_DECLARED: dict[type, str] = {Router: "routers", Consumer: "consumers", LeanRoute: "lean"}


def broken(capabilities: Sequence[Capability], package: ModuleType = deployments) -> list[str]:
    """What is of another shape in the capabilities of `package`; nothing if all is as it should."""
    folders = [
        found.name
        for found in pkgutil.iter_modules(package.__path__)
        if found.ispkg and found.name not in _OTHERS
    ]
    declared = {capability.name: capability for capability in capabilities}
    found: list[str] = []
    for folder in folders:
        capability = declared.get(folder)
        if capability is None:
            found.append(
                f"{package.__name__}.{folder} is no capability: it needs a capability.py with"
                f' `capability = Capability("{folder}", ...)`, and a line in capabilities.py'
            )
            continue
        for module in _modules(f"{package.__name__}.{folder}"):
            found.extend(_undeclared(module, capability))
            found.extend(_misnamed(module))
    return found + _known_to_the_kit(folders)


def _modules(package: str) -> Iterator[ModuleType]:
    inside = importlib.import_module(package)
    for found in pkgutil.walk_packages(inside.__path__, f"{package}."):
        yield importlib.import_module(found.name)


def _undeclared(module: ModuleType, capability: Capability) -> Iterator[str]:
    for name, value in vars(module).items():
        for kind, field in _DECLARED.items():
            known: Sequence[Any] = getattr(capability, field)
            if isinstance(value, kind) and not any(value is each for each in known):
                yield (
                    f"{module.__name__}.{name} is not among the `{field}` of"
                    f" {capability.name}'s capability.py: nobody serves it"
                )


def _misnamed(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        is_schema = inspect.isclass(value) and issubclass(value, CamelModel | QueryModel)
        if is_schema and value.__module__ == module.__name__ and name.endswith(_ENDINGS):
            yield (
                f"{module.__name__}.{name}: a schema is NewX, XChanges, XOut, XRow or XQuery, or"
                " has a noun of its own"
            )


def _known_to_the_kit(folders: Sequence[str]) -> list[str]:
    names = tuple(f"deployments.{folder}" for folder in folders)
    return [
        f"{path.name} of the kit imports {node.module}: the kit serves every capability and knows"
        " none; let the capability declare what the kit calls"
        for path in sorted(Path(deployments.__path__[0], "kit").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(names)
    ]
