"""The OpenAPI document, with what FastAPI does not know: who may use a route, and how it can
fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from core import errors
from core.errors import HoldfastError
from gateway.errors import Problem, problem_response
from gateway.idempotency import HEADER
from gateway.json_body import MAX_DEPTH, MAX_NAMES, MAX_VALUES
from gateway.middleware import (
    MAX_ANONYMOUS_BODY_BYTES,
    MAX_BODY_BYTES,
    MAX_PARAMETERS,
    MAX_QUERY_BYTES,
)
from gateway.routing import HoldfastRoute
from gateway.rules import check_names

_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_SCHEMAS = "#/components/schemas/"
_FASTAPI_OWN = ("HTTPValidationError", "ValidationError")
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the next attempt",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_ABOUT = f"""\
A multi-tenant backend for businesses that sell goods and time.

Errors are `application/problem+json` (RFC 9457); `errors` names each field that is wrong. Send an
`Idempotency-Key` with every mutation and repeat it, with the same key, after any 5xx, reset or
time-out: it happens once. A body holds at most {MAX_BODY_BYTES} bytes of JSON in UTF-8, without a
token {MAX_ANONYMOUS_BODY_BYTES}; {MAX_VALUES} values, {MAX_NAMES} names in one object, {MAX_DEPTH}
levels. A query has at most {MAX_PARAMETERS} parameters in {MAX_QUERY_BYTES} bytes.
"""


def describe(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document for `routes`. Raises BadRoute where two models have one name."""
    document = get_openapi(
        title="Holdfast",
        version=version("holdfast"),
        description=_ABOUT,
        routes=routes,
        servers=[{"url": "/"}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _FASTAPI_OWN:
        schemas.pop(name, None)
    check_names(list(schemas))
    problem = Problem.model_json_schema(ref_template=_SCHEMAS + "{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": (
                "An access token from /api/auth/login, a service key (`hfk_...`) or a person's"
                " API key (`hfa_...`)."
            ),
        }
    }
    for route in routes:
        if isinstance(route, HoldfastRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], route, method)
    _suit_generators(document)
    return document


def _suit_generators(document: dict[str, Any]) -> None:
    """Leaves out what nothing refers to, and says the rest so that clients that were generated of
    it read what is answered, today and when answers have more fields."""
    schemas = document["components"]["schemas"]
    operations = [item for path in document["paths"].values() for item in path.values()]
    answered = _referred_to([item["responses"] for item in operations], schemas)
    for name in schemas.keys() - answered - _referred_to(operations, schemas):
        del schemas[name]
    for name in answered:
        # It would have them refuse a field that is new.
        if schemas[name].get("additionalProperties") is False:
            del schemas[name]["additionalProperties"]
    for part in _parts(document):
        if isinstance(part.get("const"), bool):
            # Some generators take it for the text "true", and then refuse each answer.
            del part["const"]
        if part.get("type") == "number" and isinstance(part.get("default"), str):
            # A Decimal, which pydantic writes as text.
            part["default"] = float(part["default"])


def _referred_to(part: Any, schemas: dict[str, Any]) -> set[str]:
    """The schemas that a part of the document leads to."""
    found: set[str] = set()
    ahead = [part]
    while ahead:
        for inner in _parts(ahead.pop()):
            name = str(inner.get("$ref", "")).removeprefix(_SCHEMAS)
            if name in schemas and name not in found:
                found.add(name)
                ahead.append(schemas[name])
    return found


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    """Every object within, and itself."""
    if isinstance(part, dict):
        yield part
        part = part.values()
    elif not isinstance(part, list | tuple):
        return
    for inner in part:
        yield from _parts(inner)


def _complete(operation: dict[str, Any], route: HoldfastRoute, method: str) -> None:
    access = route.access
    is_open = access is None or access.is_public
    if not is_open:
        operation["security"] = [{"bearer": []}]
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    responses: dict[str, Any] = operation["responses"]
    # FastAPI's own, for bad input, which is 400 here.
    if 422 not in route.responses:
        responses.pop("422", None)
    for kind in _common_errors(operation, method, is_open=is_open):
        described = responses.setdefault(str(kind.status), problem_response(kind.default_detail))
        if kind.status in (429, 503):
            described["headers"] = _RETRY_AFTER
    operation["responses"] = dict(sorted(responses.items()))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a query or header without null: it is text or absent, and only JSON has
    null."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**branches[0], **rest}


def _common_errors(
    operation: dict[str, Any], method: str, *, is_open: bool
) -> list[type[HoldfastError]]:
    """What any route of this kind may answer besides its own refusals."""
    kinds: list[type[HoldfastError]] = [errors.ValidationFailed]
    parameters = operation.get("parameters", ())
    if not is_open:
        kinds += [errors.Unauthenticated, errors.Forbidden]
    if any(parameter["in"] == "path" for parameter in parameters):
        kinds.append(errors.NotFound)
    if method in _MUTATING:
        kinds += [errors.BodyTooLate, errors.PayloadTooLarge]
    if "requestBody" in operation:
        kinds.append(errors.UnsupportedMediaType)
    if any(parameter["name"] == HEADER for parameter in parameters):
        kinds.append(errors.IdempotencyMismatch)
    return [*kinds, errors.TooManyRequests, errors.Unavailable]
