"""Errors as `application/problem+json` (RFC 9457), wherever they were raised."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from core import errors
from core.errors import FieldError, HoldfastError, ValidationFailed
from gateway.context import context_of

PROBLEM_JSON = "application/problem+json"
MAX_FIELD_ERRORS = 50
# Of each row or sale, where those of one body are judged one by one.
MAX_ROW_ERRORS = 10
# How much of what a client wrote is repeated in answers and logs: enough to find it.
MAX_SHOWN_NAME = 64
MAX_SHOWN_PATH = 250
MAX_SHOWN_TEXT = 500
_to_json = msgspec.json.Encoder(enc_hook=str).encode
_SECTIONS = frozenset({"body", "query", "path", "header", "cookie"})

_BY_STATUS: dict[int, type[HoldfastError]] = {
    400: errors.BadRequest,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    409: errors.Conflict,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    429: errors.TooManyRequests,
    503: errors.Unavailable,
}


class ProblemField(BaseModel):
    """What is wrong with one field; `field` is its JSON path, such as `lines[2].quantity`."""

    field: str
    message: str


class Problem(BaseModel):
    """An error of any kind (RFC 9457). `code` is for programs, `detail` for people."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:holdfast:problem:conflict"])
    title: str
    status: int
    detail: str
    success: Literal[False]
    code: str
    request_id: str = Field(alias="requestId")
    errors: list[ProblemField] = Field(max_length=MAX_FIELD_ERRORS)


def as_holdfast(error: BaseException) -> HoldfastError:
    """The HoldfastError that stands for `error` towards the caller; that of an unknown one gives no
    details."""
    if isinstance(error, HoldfastError):
        return error
    if isinstance(error, RequestValidationError):
        return ValidationFailed(field_errors(error.errors()))
    if isinstance(error, HTTPException):
        known = _BY_STATUS.get(error.status_code)
        if known is None:
            known = errors.BadRequest if error.status_code < 500 else HoldfastError
        return known()
    return HoldfastError()


def field_errors(found: Sequence[Any], most: int = MAX_FIELD_ERRORS) -> list[FieldError]:
    """The first of pydantic's findings, each with the JSON path that a client would write."""
    return [
        FieldError(
            field_path(item["loc"]),
            shortened(str(item["msg"]).removeprefix("Value error, "), MAX_SHOWN_TEXT),
        )
        for item in found[:most]
    ]


def field_path(loc: Sequence[str | int]) -> str:
    """('body', 'lines', 2, 'quantity') is `lines[2].quantity`; a whole body is `body`."""
    parts = loc[1:] if len(loc) > 1 and loc[0] in _SECTIONS else loc
    # A part with brackets is a branch that pydantic made up.
    return json_path(
        part for part in parts if isinstance(part, int) or not ("[" in part or "(" in part)
    )


def json_path(parts: Iterable[str | int]) -> str:
    """('lines', 2, 'quantity') is `lines[2].quantity`. Long names are shortened."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = shortened(part, MAX_SHOWN_NAME)
            path += f".{name}" if path else name
    return path


def shortened(text: str, most: int) -> str:
    """The beginning of a text that is longer than `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def document(error: HoldfastError, request_id: str) -> dict[str, Any]:
    """The error as a problem document."""
    return {
        **error.extra,
        "type": f"urn:holdfast:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": shortened(error.detail, MAX_SHOWN_TEXT),
        "success": False,
        "code": error.code,
        "requestId": request_id,
        "errors": [
            {
                "field": shortened(item.field, MAX_SHOWN_PATH),
                "message": shortened(item.message, MAX_SHOWN_TEXT),
            }
            for item in error.errors[:MAX_FIELD_ERRORS]
        ],
    }


def render(error: HoldfastError, request_id: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the problem document."""
    body = _encoded(document(error, request_id))
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    extra: Mapping[str, str] = getattr(error, "headers", {})
    headers += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status == 413:
        headers.append((b"connection", b"close"))  # rather than read the rest of it
    return headers, body


def _encoded(found: dict[str, Any]) -> bytes:
    try:
        return _to_json(found)
    except (OverflowError, ValueError):
        # A client's text may hold half a surrogate pair, its numbers may be infinite.
        return json.dumps(found, default=str).encode()


async def handle(request: Request, error: Exception) -> Response:
    """The exception handler of the application."""
    known = as_holdfast(error)
    headers, body = render(known, context_of(request.scope).request_id)
    if isinstance(known, errors.MethodNotAllowed):
        headers.append((b"allow", ", ".join(sorted(_methods(request))).encode()))
    response = Response(status_code=known.status)
    response.body = body
    response.raw_headers = headers
    return response


def _methods(request: Request) -> set[str]:
    """The methods of the address, over all its routes; each route knows only its own."""
    found: set[str] = set()
    for route in request.app.router.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return found | {"HEAD"} if "GET" in found else found


def responses(*kinds: type[HoldfastError]) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses=` says of the errors that are its own; those that any route may
    answer (400, 401, 403, 408, 413, 415, 422, 429, 503) are described without it."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({kind.status for kind in kinds}):
        same = [kind for kind in kinds if kind.status == status]
        found[status] = problem_response(" ".join(f"`{k.code}`: {k.default_detail}" for k in same))
    return found


def problem_response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
