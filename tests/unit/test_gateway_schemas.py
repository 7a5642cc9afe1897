"""Values that every body and query may hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.schemas import Moment

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
