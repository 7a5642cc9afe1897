"""Moments and their milliseconds, there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from core import moments


def test_no_millisecond_is_lost() -> None:
    """Of a second of 2004 and one before the epoch, some of which floats cut short; of today's;
    and of the last that can be kept, which floats tell to some 15 microseconds."""
    for second in (1_085_392_865, -4_335_455, 1_795_867_200, 253_402_300_798):
        for ms in range(second * 1_000, second * 1_000 + 1_000):
            moment = moments.of_ms(ms)
            assert (moments.to_ms(moment), moment.microsecond % 1_000) == (ms, 0)


def test_a_moment_is_the_same_in_every_zone_and_told_to_the_nearest_millisecond() -> None:
    moment = datetime(2026, 11, 28, 12, 0, 0, 1_000, tzinfo=UTC)
    assert moments.to_ms(moment) == 1_795_867_200_001
    assert moments.to_ms(moment.astimezone(timezone(timedelta(hours=-7)))) == 1_795_867_200_001
    # As a double of seconds comes back from far ahead.
    assert moments.to_ms(moment - timedelta(microseconds=15)) == 1_795_867_200_001
