"""Values that every body and query may hold."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from gateway.fields import Name, ShortName, absent
from gateway.schemas import CamelModel, ItemCode, Moment

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


def test_a_name_is_the_same_in_every_form() -> None:
    for kind in (Name, ShortName):
        assert TypeAdapter(kind).validate_python(" cafe\u0301 ") == "caf\u00e9"


class _Line(CamelModel):
    line_no: int


class _Basket(CamelModel):
    lines_sold: list[_Line]
    left_over: list[_Basket] = []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"lines_sold": []}, "lines_sold"),
        ({"linesSold": [], "lines_sold": []}, "lines_sold"),
        ({"linesSold": [{"line_no": 1}]}, r"linesSold\.0\.line_no"),
        ({"linesSold": [], "leftOver": [{"lines_sold": []}]}, r"leftOver\.0\.lines_sold"),
    ],
)
def test_a_name_that_only_python_knows_is_unknown_outside(body: dict[str, Any], place: str) -> None:
    """Else there would be two names for each field, of which the document has one, and no word on
    which of them counts where both are given."""
    with pytest.raises(ValidationError, match=rf"{place}\n +Extra inputs"):
        _Basket.model_validate(body)


def test_in_python_fields_go_by_either_name() -> None:
    row = SimpleNamespace(line_no=7)
    assert _Basket(lines_sold=[row]) == _Basket(linesSold=[{"lineNo": 7}])  # type: ignore


def test_what_may_be_absent_is_described_by_its_type_and_takes_no_null() -> None:
    class Changes(CamelModel):
        days: Annotated[int, Field(ge=0, description="Of its type")] = absent()
        hours: Annotated[int, Field(ge=0, description="Of its type")] = absent("Its own")

    document = Changes.model_json_schema()
    assert "required" not in document
    days, hours = (document["properties"][name] for name in ("days", "hours"))
    assert days == {"title": "Days", "type": "integer", "minimum": 0, "description": "Of its type"}
    assert hours == {"title": "Hours", "type": "integer", "minimum": 0, "description": "Its own"}
    assert Changes().model_fields_set == set()
    with pytest.raises(ValidationError, match="valid integer"):
        Changes(days=None)
