"""A capability as the application factory takes it: a name, a prefix and relative routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.routing import BaseRoute


@dataclass(frozen=True, slots=True)
class Routed:
    """`routers` hold routes relative to `prefix`: "/reserve" of the prefix "/api/inventory". They
    are searched in their order, so that a route that ends in an id comes last."""

    name: str
    prefix: str
    routers: tuple[APIRouter, ...]

    @property
    def routes(self) -> Iterator[BaseRoute]:
        for router in self.routers:
            yield from router.routes
