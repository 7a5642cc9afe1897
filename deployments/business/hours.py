"""When a location is open: a week as it usually is, and days that are not as usual."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gateway.changes import Partial
from gateway.schemas import CamelModel

MAX_INTERVALS = 12
MAX_EXCEPTIONS = 400

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
# Of the location's own clock. 24:00 is the end of a day: a location that is open past midnight has
# an interval until 24:00 and one from 00:00 on the next day.
TimeOfDay = Annotated[
    str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", max_length=5)
]


class Interval(CamelModel):
    """`opens` comes before `closes`. Times of the location's own clock, `HH:MM`; 24:00 is the end
    of the day."""

    opens: TimeOfDay
    closes: TimeOfDay


def _ordered(intervals: list[Interval]) -> list[Interval]:
    """Sorted. Texts of one length compare as the times do."""
    found = sorted(intervals, key=lambda span: span.opens)
    for span in found:
        if span.opens >= span.closes:
            raise ValueError(f"{span.opens}-{span.closes} ends before it begins")
    for before, after in pairwise(found):
        if after.opens < before.closes:
            raise ValueError(f"{after.opens}-{after.closes} begins before {before.closes}")
    return found


Intervals = Annotated[list[Interval], Field(max_length=MAX_INTERVALS), AfterValidator(_ordered)]


def _text(value: Any) -> Any:
    if isinstance(value, str | date):
        return value
    raise ValueError("must be a day, such as 2026-12-25")


class DayException(CamelModel):
    """A day on which the week's hours do not count. Without intervals it is closed."""

    on: Annotated[date, BeforeValidator(_text)] = Field(description="The day, such as 2026-12-25")
    name: Annotated[str, StringConstraints(max_length=100)] = ""
    intervals: Intervals = Field(default_factory=list)


def _each_day_once(exceptions: list[DayException]) -> list[DayException]:
    found = sorted(exceptions, key=lambda exception: exception.on)
    for before, after in pairwise(found):
        if before.on == after.on:
            raise ValueError(f"{before.on} is given twice")
    return found


Exceptions = Annotated[
    list[DayException],
    Field(max_length=MAX_EXCEPTIONS, description="Holidays and days with hours of their own"),
    AfterValidator(_each_day_once),
]


class OpeningHours(CamelModel):
    """A day that the week leaves out is closed."""

    week: dict[Day, Intervals] = Field(default_factory=dict)
    exceptions: Exceptions = Field(default_factory=list)

    def on(self, day: date) -> list[Interval]:
        """The intervals of one day, in order; none if it is closed."""
        for exception in self.exceptions:
            if exception.on == day:
                return exception.intervals
        names: tuple[Day, ...] = Day.__args__  # type: ignore[attr-defined]
        return self.week.get(names[day.weekday()], [])


class OpeningHoursPart(Partial):
    """What to change of the opening hours: a day of the week that is given is replaced, and closed
    by null; the exceptions are replaced together."""

    week: dict[Day, Intervals | None] | None = None
    exceptions: Exceptions | None = None
