"""Opening hours: ordered, without overlaps, with days of their own."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deployments.business.hours import Interval, OpeningHours

MINUTES = 24 * 60
CHRISTMAS = date(2026, 12, 25)  # a Friday


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def hours(*pairs: tuple[int, int]) -> OpeningHours:
    intervals = [{"opens": clock(opens), "closes": clock(closes)} for opens, closes in pairs]
    return OpeningHours.model_validate({"week": {"friday": intervals}})


@given(st.lists(st.tuples(st.integers(0, MINUTES), st.integers(0, MINUTES)), max_size=5))
def test_what_is_taken_covers_no_minute_twice(pairs: list[tuple[int, int]]) -> None:
    covered = [minute for opens, closes in pairs for minute in range(opens, closes)]
    good = all(opens < closes for opens, closes in pairs) and len(covered) == len(set(covered))
    if good:
        found = hours(*pairs).on(CHRISTMAS)
        assert [(opening.opens, opening.closes) for opening in found] == [
            (clock(opens), clock(closes)) for opens, closes in sorted(pairs)
        ]
    else:
        with pytest.raises(ValidationError):
            hours(*pairs)


def test_a_day_of_its_own_beats_the_week() -> None:
    given_hours = hours((540, 1020)).model_dump(mode="json", by_alias=True)
    given_hours["exceptions"] = [{"on": CHRISTMAS.isoformat(), "name": "Christmas"}]
    found = OpeningHours.model_validate(given_hours)
    assert found.on(CHRISTMAS) == []
    assert found.on(date(2026, 12, 18)) == [Interval(opens="09:00", closes="17:00")]
    assert found.on(date(2026, 12, 19)) == []


@pytest.mark.parametrize("text", ["24:01", "9:00", "25:00", "12:60", "noon", "", "09:00:00"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValidationError):
        Interval(opens="00:00", closes=text)
