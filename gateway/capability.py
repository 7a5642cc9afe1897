"""A capability as the application factory takes it: a name, a prefix and relative routes."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from gateway.routing import HoldfastRoute


@dataclass(frozen=True, slots=True)
class Capability:
    """`router` holds routes relative to `prefix`: "/reserve" of the prefix "/api/inventory"."""

    name: str
    prefix: str
    router: APIRouter


def joined(*routers: APIRouter) -> APIRouter:
    """One router with the routes of several, in their order."""
    return APIRouter(
        route_class=HoldfastRoute, routes=[route for router in routers for route in router.routes]
    )
