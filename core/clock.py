"""Time comes from outside: the runtime takes a Clock, so that it can be simulated."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks. `now_ms` is wall time in milliseconds since the epoch, UTC; what is written
    and compared across processes. `boot_seconds` only ever grows and runs on while the machine
    is suspended: a lease is counted on it."""

    def now_ms(self) -> int: ...

    def boot_seconds(self) -> float: ...

    def calibrate(self, database_now_ms: int, sent_ms: int, received_ms: int) -> None:
        """Shifts wall time to the database's, from one round trip: it read its clock between
        `sent_ms` and `received_ms`, which are this clock's readings."""
        ...


# macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC counts through sleep.
_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks. Wall time is read once and then counted on the boot clock, so that
    somebody who sets the machine's time does not make holds expire."""

    def __init__(self) -> None:
        self._offset_ms = time.time_ns() // 1_000_000 - self._boot_ms()

    def now_ms(self) -> int:
        return self._boot_ms() + self._offset_ms

    def boot_seconds(self) -> float:
        return time.clock_gettime(_BOOT_CLOCK)

    def calibrate(self, database_now_ms: int, sent_ms: int, received_ms: int) -> None:
        # The least shift that puts the database's reading into the round trip: a slow one tells
        # little, and changes nothing that a fast one told.
        earliest, latest = database_now_ms - received_ms, database_now_ms - sent_ms
        self._offset_ms += min(max(0, earliest), latest)

    @staticmethod
    def _boot_ms() -> int:
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000
