"""The route class of every router: checks access first, then reads the body, strictly."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container, Coroutine, Iterable
from itertools import islice
from typing import Any

from fastapi import Request, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from core.errors import FieldError, UnsupportedMediaType, ValidationFailed
from gateway import json_body
from gateway.access import READING, Access
from gateway.context import context_of
from gateway.edge import Edge
from gateway.errors import MAX_FIELD_ERRORS, json_path

_COPIED = set(inspect.signature(APIRoute.__init__).parameters) - {"self", "path", "endpoint"}


class HoldfastRoute(APIRoute):
    """`template` is the full path with its parameters, whatever prefix the application is mounted
    at; `capability` the name that scopes of keys go by. Both are set by `placed`."""

    template: str = ""
    capability: str = ""

    @property
    def access(self) -> Access | None:
        """The route's Access, wherever it stands among its dependencies."""
        return _find_access(self.dependant)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        serve = super().get_route_handler()
        access = self.access
        cost = (access.cost if access else None) or 1
        has_json = self.body_field is not None and not isinstance(
            self.body_field.field_info, params.Form
        )
        takes_nothing = self.body_field is None and not READING & (self.methods or set())
        parameters = _query_names(self.dependant)

        async def handle(request: Request) -> Response:
            context = context_of(request.scope)
            context.template = self.template
            if access is not None:
                access.authorize(context, self.capability)
            if context.query:
                _check_names(request.query_params, parameters, "is no parameter of this route")
            if has_json:
                # FastAPI finds the parsed body there, and would turn our errors into its own.
                await _read_json(request)
            elif takes_nothing:
                await _check_empty(request)
            if cost <= 1:
                return await serve(request)
            edge: Edge = request.app.state.resources.edge
            # A cost of one was counted when the request came.
            edge.limiter.check(context.principal, cost - 1)
            async with edge.turns.take(context.principal.id):
                return await serve(request)

        return handle


def placed(route: HoldfastRoute, capability: str, prefix: str, *, mounted: bool) -> HoldfastRoute:
    """A copy of a capability's route, at its full path or, when the application itself is mounted
    at `prefix`, at its relative one. Copied rather than included, since an included router is
    searched twice for each request."""
    arguments = {name: getattr(route, name) for name in _COPIED}
    arguments["operation_id"] = route.operation_id or f"{capability}_{route.name}"
    arguments["tags"] = route.tags or [capability]
    copy = type(route)(route.path if mounted else prefix + route.path, route.endpoint, **arguments)
    # Starlette's ends with `$`, which lets one newline follow.
    copy.path_regex = re.compile(copy.path_regex.pattern.removesuffix("$") + r"\Z")
    copy.template = prefix + route.path
    copy.capability = capability
    return copy


def _find_access(dependant: Dependant) -> Access | None:
    if isinstance(dependant.call, Access):
        return dependant.call
    for inner in dependant.dependencies:
        found = _find_access(inner)
        if found is not None:
            return found
    return None


def _query_names(dependant: Dependant) -> frozenset[str]:
    """What a query may name."""
    names = set[str]()
    for inner in dependant.dependencies:
        names |= _query_names(inner)
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= {known.alias or name for name, known in kind.model_fields.items()}
        else:
            names.add(field.alias)
    return frozenset(names)


def _check_names(given: Iterable[str], known: Container[str], problem: str) -> None:
    """Raises ValidationFailed."""
    unknown = islice((name for name in given if name not in known), MAX_FIELD_ERRORS)
    if errors := [FieldError(json_path([name]), problem) for name in unknown]:
        raise ValidationFailed(errors)


async def _check_empty(request: Request) -> None:
    """Raises ValidationFailed for a body with content, where none would be read."""
    body = await request.body()
    if not body or body == b"{}":
        return
    await _read_json(request)
    said = request._json
    if not isinstance(said, dict):
        raise ValidationFailed([FieldError("body", "must be an empty object, or left out")])
    _check_names(said, (), "is not known here")


async def _read_json(request: Request) -> None:
    body = await request.body()
    if not body:
        return
    headers = request.headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise UnsupportedMediaType
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed.")
    request._json = json_body.loads(body)
