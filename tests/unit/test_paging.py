"""Cursors: what comes out is what went in, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import ValidationFailed
from core.ids import UUID, uuid7
from core.paging import MAX_COUNTED, Cursor, Part

_KINDS = (datetime, int, str, UUID)
_VALUES = (datetime(2026, 11, 28, 7, 5, 1, 123_456, tzinfo=UTC), -(2**40), "Ünï > 'x'", uuid7())
_CURSOR = Cursor("-createdAt", 3, 77, True, _VALUES)


def encoded(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_a_cursor_comes_back_as_it_was() -> None:
    assert Cursor.decode(_CURSOR.encode(), "-createdAt", _KINDS) == _CURSOR


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "é",
        "[" * 4_000,
        "W10",
        encoded(*([[]] * 500)),
        _CURSOR.encode()[:-4],
        _CURSOR.encode() + "!",
        encoded("-createdAt", 1, 1, True),
        encoded("-createdAt", 0, 1, True, 1),
        encoded("-createdAt", True, 1, True, 1),
        encoded("-createdAt", 1, MAX_COUNTED + 1, True, 1),
        encoded("-createdAt", 1, 1, 1, 1),
        encoded("-createdAt", 1, 1, True, 2**63),
        encoded("-createdAt", 1, 1, True, 1.5),
        encoded("-createdAt", 1, 1, True, "1"),
        encoded("-createdAt", 1, 1, True, None),
        encoded("name", 1, 1, True, 1),
    ],
)
def test_what_is_no_cursor_of_a_list_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        Cursor.decode(text, "-createdAt", [int])
    assert refused.value.errors[0].field == "cursor"


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 7])
def test_what_the_database_does_not_take_as_text_is_refused(value: Any) -> None:
    with pytest.raises(ValidationFailed):
        Cursor.decode(encoded("name", 1, 1, True, value), "name", [str])


@pytest.mark.parametrize(
    "value", ["2026-11-28T07:05:01", "yesterday", 1, "9999-12-31T23:59:59.999999-14:00"]
)
def test_a_moment_has_its_zone_and_can_be_stored(value: Any) -> None:
    with pytest.raises(ValidationFailed):
        Cursor.decode(encoded("at", 1, 1, True, value), "at", [datetime])


def test_a_part_in_another_shape_is_the_same_part() -> None:
    part = Part([1, 2], 3, 2, 10, False, "next")
    assert part.map(str) == Part(["1", "2"], 3, 2, 10, False, "next")
