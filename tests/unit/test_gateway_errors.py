"""Every error becomes a problem document that names what is wrong and leaks nothing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from starlette.exceptions import HTTPException

from core.errors import Conflict, FieldError, Unavailable, ValidationFailed
from gateway.errors import PROBLEM_JSON, as_holdfast, field_path, render, responses


@pytest.mark.parametrize(
    ("loc", "path"),
    [
        (("body", "lines", 2, "quantity"), "lines[2].quantity"),
        (("body",), "body"),
        (("query", "page"), "page"),
        (("path", "productId"), "productId"),
        (("header", "Idempotency-Key"), "Idempotency-Key"),
        (("body", 0, 1), "[0][1]"),
        (("body", "when", "function-before[_text(), datetime]"), "when"),
    ],
)
def test_a_location_reads_as_a_client_would_write_it(loc: tuple[str | int, ...], path: str) -> None:
    assert field_path(loc) == path


def test_a_problem_document_says_what_clients_need() -> None:
    headers, body = render(ValidationFailed([FieldError("sku", "is too long")]), "r-1")
    document = json.loads(body)
    assert dict(headers)[b"content-type"] == PROBLEM_JSON.encode()
    assert document["success"] is False
    assert document["status"] == 400
    assert document["code"] == "validation_failed"
    assert document["requestId"] == "r-1"
    assert document["errors"] == [{"field": "sku", "message": "is too long"}]


def test_an_unknown_error_says_nothing_of_itself() -> None:
    _, body = render(as_holdfast(RuntimeError("password=hunter2")), "r-1")
    assert b"hunter2" not in body
    assert json.loads(body)["status"] == 500


def test_a_retry_is_timed() -> None:
    headers, _ = render(Unavailable(retry_after_seconds=7), "r-1")
    assert dict(headers)[b"retry-after"] == b"7"


@pytest.mark.parametrize("odd", ["half a pair: \ud800", 2**70, Decimal("1.50"), None])
def test_whatever_was_wrong_can_be_told(odd: object) -> None:
    """What a client wrote may be no text, or a number that no machine has."""
    error = Conflict(f"There is {odd!r}.", extra={"given": odd})
    error.errors = [FieldError(str(odd), "is odd")]
    _, body = render(error, "r-1")
    told = json.loads(body)
    assert told["given"] == (str(odd) if isinstance(odd, Decimal) else odd)
    assert told["errors"] == [{"field": str(odd), "message": "is odd"}]


def test_extra_facts_cannot_hide_what_it_is() -> None:
    _, body = render(Conflict(extra={"status": 200, "available": 3}), "r-1")
    document = json.loads(body)
    assert (document["status"], document["available"]) == (409, 3)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "not_found"),
        (405, "method_not_allowed"),
        (418, "bad_request"),
        (502, "internal_error"),
    ],
)
def test_the_framework_s_errors_are_ours(status: int, code: str) -> None:
    assert as_holdfast(HTTPException(status)).code == code


def test_routes_describe_their_own_refusals_by_status() -> None:
    class Other(Conflict):
        code = "other"

    described = responses(Conflict, Other)
    assert list(described) == [409]
    assert "`other`" in described[409]["description"]
