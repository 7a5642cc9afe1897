"""A capability as the application factory takes it: a name, a prefix and relative routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter

from gateway.routing import HoldfastRoute


@dataclass(frozen=True, slots=True)
class Capability:
    """`router` holds routes relative to `prefix`: "/reserve" of the prefix "/api/inventory".
    `before` and `refused`: what is done around the decisions of owners, whichever capabilities a
    process serves (`deployments.kit.desk.Hooks`)."""

    name: str
    prefix: str
    router: APIRouter
    before: Mapping[type, Callable[..., Awaitable[None]]] = field(default_factory=dict)
    refused: Mapping[str, Callable[..., Awaitable[None]]] = field(default_factory=dict)


def joined(*routers: APIRouter) -> APIRouter:
    """One router with the routes of several, in their order."""
    return APIRouter(
        route_class=HoldfastRoute, routes=[route for router in routers for route in router.routes]
    )
