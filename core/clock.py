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
        """Shifts wall time to the database's, from one round trip: it read its clock about
        half-way between `sent_ms` and `received_ms`, which are this clock's readings."""
        ...


# macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC counts through sleep.
_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._offset_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._offset_ms

    def boot_seconds(self) -> float:
        return time.clock_gettime(_BOOT_CLOCK)

    def calibrate(self, database_now_ms: int, sent_ms: int, received_ms: int) -> None:
        self._offset_ms += database_now_ms - (sent_ms + received_ms) // 2
