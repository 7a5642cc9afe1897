"""Builds an application out of capabilities: all of them, or one that is mounted by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from core.errors import HoldfastError
from core.settings import Settings
from gateway import errors
from gateway.capability import Routed
from gateway.docs import documentation
from gateway.entrance import Entrance, LeanHandler
from gateway.middleware import MAX_BODY_BYTES, EdgeMiddleware
from gateway.resources import Resources
from gateway.routing import HoldfastRoute, placed
from gateway.rules import checked

_EXPOSED_HEADERS = [
    "X-Request-Id",
    "X-Holdfast-Receipt",
    "X-Holdfast-Next",
    "Location",
    "Link",
    "Content-Disposition",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
]
# FastAPI's own instrumentation looks on every request for a tracer.
_NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def create_app(
    settings: Settings,
    capabilities: Sequence[Routed],
    resources: Resources,
    *,
    mounted: Routed | None = None,
    lean: Mapping[tuple[str, str], LeanHandler] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> FastAPI:
    """An application with every capability at its full path, and the documentation of it all.

    With `mounted`, only that one, with relative paths, for a server that mounts it at its prefix;
    its answers, command ids and metrics are the same. `lean` replaces routes, by method and full
    path, with handlers that do without FastAPI; their twins stay for the documentation. Raises
    BadRoute for a route that breaks a rule (`gateway.rules`).
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await resources.start()
        try:
            yield
        finally:
            await resources.stop()

    prefix = mounted.prefix if mounted else ""
    entrance = Entrance(resources.edge, resources.clock, settings, prefix=prefix, lean=lean)

    def wrap(app: ASGIApp) -> ASGIApp:
        return _cors(EdgeMiddleware(app, entrance, max_body_bytes), entrance.origins)

    app = _Application(
        wrap,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )
    app.state.resources = resources
    app.state.settings = settings
    app.state.entrance = entrance
    chosen = [mounted] if mounted else capabilities
    app.router.routes += placed_routes(chosen, mounted=mounted is not None)
    if mounted is None:
        app.router.routes += documentation(app.router.routes)
    # The last is for unforeseen errors: a bare 500 to the caller, the details into the log.
    for kind in (HoldfastError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, errors.handle)
    return app


class _Application(FastAPI):
    """FastAPI inside the edge: it does not run for a request that the edge answers itself."""

    def __init__(self, wrap: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._wrap = wrap

    def build_middleware_stack(self) -> ASGIApp:
        return self._wrap(super().build_middleware_stack())


def _cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Outermost: a browser may read a refusal, too, only if it carries these headers."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
        expose_headers=_EXPOSED_HEADERS,
        max_age=600,
    )


def placed_routes(capabilities: Sequence[Routed], *, mounted: bool = False) -> list[HoldfastRoute]:
    """The routes of capabilities where an application has them. Raises BadRoute."""
    return [
        placed(checked(capability.name, route), capability.name, capability.prefix, mounted=mounted)
        for capability in capabilities
        for route in capability.routes
    ]
