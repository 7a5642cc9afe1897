"""Which points in time can be kept."""

from __future__ import annotations

from datetime import UTC, datetime

# Python can tell earlier ones and later ones, but not in every time zone; and the last ones that
# it can tell stand for "never" between us and the database, and come back without their zone.
EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def is_kept(moment: datetime) -> bool:
    """Whether a moment, which has a time zone, is one that we can store and tell."""
    return EARLIEST <= moment <= LATEST
