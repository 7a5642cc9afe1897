"""Points in time: which can be kept, and their milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# Python can tell earlier ones and later ones, but not in every time zone; and the last ones that
# it can tell stand for "never" between us and the database, and come back without their zone.
EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_HALF = timedelta(microseconds=500)


def is_kept(moment: datetime) -> bool:
    """Whether a moment, which has a time zone, is one that we can store and tell."""
    return EARLIEST <= moment <= LATEST


def to_ms(moment: datetime) -> int:
    """The nearest millisecond since the epoch. Without floats: theirs lie on either side of a
    millisecond, and cut off, one in some is told a millisecond too early."""
    return (moment - _EPOCH + _HALF) // _MILLISECOND


def of_ms(ms: int) -> datetime:
    """The moment so many milliseconds after the epoch, in UTC and to the millisecond."""
    return _EPOCH + ms * _MILLISECOND
