"""The one pattern that every capability follows, as far as a program can look at it: `make check`
asks `broken`, and each line of the answer says what is of another shape, and what to write instead.

Rules of single routes are in `gateway.rules`, those of imports in `pyproject.toml`, those of tables
and migrations in `store.kit`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from types import ModuleType

import deployments
from deployments.kit.capability import Capability
from deployments.pattern import (
    mutations,
    published,
    pure,
    refusals,
    shape,
    structs,
    tables,
    words,
)
from deployments.pattern.faults import Fault, unexempted
from gateway.app import placed_routes
from gateway.openapi import describe

# Folders of `deployments` that are no capability.
_OTHERS = frozenset({"kit", "pattern", "serving"})


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
        for module in shape.modules(f"{package.__name__}.{folder}"):
            found.extend(shape.undeclared(module, capability))
            found.extend(shape.misnamed(module))
    found += shape.known_to_the_kit(folders)
    faults = list(_of_routes(capabilities, package.__name__))
    if package is deployments:
        faults += _of_everything(capabilities)
    exempt = {name: why for each in capabilities for name, why in each.exempt.items()}
    return found + unexempted(faults, exempt)


def _of_routes(capabilities: Sequence[Capability], package: str) -> Iterator[Fault]:
    routes = placed_routes(capabilities)
    document = describe(routes)
    rooms = {"deployments", package.partition(".")[0]}
    consumers = [consumer for each in capabilities for consumer in each.consumers]
    yield from refusals.undocumented(routes, document, rooms)
    yield from published.inexact(routes)
    yield from published.unpaged(routes)
    yield from published.misplaced(routes, document)
    yield from published.unbounded(document)
    yield from published.bounded(routes)
    yield from words.banned(document)
    yield from words.nameless(routes)
    yield from mutations.not_once(routes, rooms)
    yield from mutations.calling_routes(consumers, routes, rooms)


def _of_everything(capabilities: Sequence[Capability]) -> Iterator[Fault]:
    yield from refusals.without_a_class()
    yield from pure.impure()
    yield from structs.unfit()
    yield from shape.unseen_events()
    yield from tables.faults(capabilities)
