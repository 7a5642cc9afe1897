"""Values that every body and query may hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.schemas import ItemCode, Moment

_moment = TypeAdapter(Moment).validate_python


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59.999999-14:00",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_a_moment_that_cannot_be_stored_or_told_is_refused(text: str) -> None:
    """Once stored, it could not be answered: not even to who repeats what stored it."""
    with pytest.raises(ValidationError, match="must lie between"):
        _moment(text)


def test_a_moment_that_says_never_is_taken() -> None:
    assert _moment("9999-12-31T23:59:59Z") == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_code_is_the_same_in_every_form() -> None:
    code = TypeAdapter(ItemCode).validate_python
    assert code("cafe\u0301-1") == code("caf\u00e9-1") == "caf\u00e9-1"
    # A few letters have no form of their own, and become longer.
    assert code("\u0958" * 32) == "\u0915\u093c" * 32
    with pytest.raises(ValidationError, match="at most 64"):
        code("\u0958" * 33)
