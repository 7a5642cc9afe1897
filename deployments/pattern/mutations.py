"""What changes something is done once, however often it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from types import FunctionType
from typing import Any, get_args, get_type_hints

from fastapi.dependencies.models import Dependant
from starlette.responses import Response

from deployments.kit import desk
from deployments.kit.consumers import Consumer
from deployments.kit.receipts import Ordered
from deployments.kit.router import Made
from deployments.pattern.faults import Fault
from deployments.pattern.reach import reachable
from gateway.access import READING
from gateway.idempotency import personal_key, request_key
from gateway.routing import HoldfastRoute
from store.kit.commands import once

# By these an answer is written down with what it answers.
_ONCE: frozenset[Any] = frozenset({once, desk.send, desk.decide})
_OWNERS: frozenset[Any] = frozenset({desk.send, desk.ask, desk.decide})
_KEYS = frozenset({request_key, personal_key})


def not_once(routes: Sequence[HoldfastRoute], rooms: Collection[str]) -> Iterator[Fault]:
    """Mutations that a repeat would do again. Who has not signed in has no keys."""
    for route in routes:
        if READING & (route.methods or set()) or route.access is None or route.access.is_public:
            continue
        place = f"{'/'.join(sorted(route.methods or ()))} {route.template}"
        if not _has_key(route.dependant):
            yield Fault(
                f"{place}: key",
                "takes no key, so that a repeat does it again: give the handler `key: Key`"
                " (deployments/kit/routes.py), and hand it to `change` or `desk.send`",
            )
            continue
        returned = get_type_hints(inspect.unwrap(route.endpoint)).get("return")
        if not any(kind in (Made, Ordered, Response) for kind in _kinds(returned)):
            yield Fault(
                f"{place}: answer",
                "answers what is not written down: return `Made[X]` of `change`, or `Ordered[X]`"
                " of `desk.send`",
            )
        elif _ONCE.isdisjoint(reachable(route.endpoint, {*rooms, "store"}, _is_store)):
            yield Fault(
                f"{place}: once",
                "writes in a transaction of its own, which a repeat opens again: do the work in"
                " `change` (deployments/kit/routes.py), or let an owner decide (`desk.send`)",
            )


def _kinds(annotation: Any) -> Iterator[Any]:
    yield getattr(annotation, "__origin__", annotation)
    for part in get_args(annotation):
        yield from _kinds(part)


def _is_store(function: FunctionType) -> bool:
    return function.__module__.startswith("store.")


def _has_key(dependant: Dependant) -> bool:
    return dependant.call in _KEYS or any(_has_key(inner) for inner in dependant.dependencies)


def calling_routes(
    consumers: Sequence[Consumer], routes: Sequence[HoldfastRoute], rooms: Collection[str]
) -> Iterator[Fault]:
    """Consumers that lead to a route, or to an owner."""
    endpoints = {inspect.unwrap(route.endpoint): route for route in routes}
    for consumer in consumers:
        for found in reachable(consumer.handle, rooms):
            if found in _OWNERS:
                yield Fault(
                    f"{consumer.name}: {found.__name__}",
                    "asks an owner, which cannot be rolled back with what the consumer writes: have"
                    " a task do it, by what the consumer wrote down",
                )
            if isinstance(found, FunctionType) and (route := endpoints.get(inspect.unwrap(found))):
                yield Fault(
                    f"{consumer.name}: {found.__name__}",
                    f"calls the route {route.template}, which has a caller, a key and a transaction"
                    " of its own: put what both do into the service, and call it with `tx`",
                )
