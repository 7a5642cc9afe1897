"""Time comes from outside: the runtime takes a Clock, so that it can be simulated."""

from __future__ import annotations

import time
from dataclasses import dataclass
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


# A shift beyond this is believed only if the database tells it for so long. Long enough that a
# slip that somebody undoes at once has no effect, short enough that processes that started after
# it, and so know no other time, do not disagree with the rest for long.
MAX_STEP_MS = 2_000
CONFIRM_SECONDS = 60.0

# macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC counts through sleep.
_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What the database has told since, and was not believed."""

    shift_ms: int
    since_boot_seconds: float


class SystemClock:
    """The machine's clocks. Wall time is read once and then counted on the boot clock, so that
    somebody who sets the machine's time does not make holds expire; nor does somebody who sets
    the database's, unless it stays so."""

    _is_calibrated = False
    _doubt: _Doubt | None = None

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
        shift_ms = min(max(0, earliest), latest)
        tells_much = latest - earliest <= MAX_STEP_MS
        is_step = self._is_calibrated and abs(shift_ms) > MAX_STEP_MS
        if is_step and not self._confirmed(shift_ms, earliest, latest):
            return
        self._offset_ms += shift_ms
        if tells_much:
            self._is_calibrated = True
            self._doubt = None

    def _confirmed(self, shift_ms: int, earliest: int, latest: int) -> bool:
        """Whether the database has told the same for long enough."""
        now_seconds, doubt = self.boot_seconds(), self._doubt
        if doubt is None or not earliest - MAX_STEP_MS <= doubt.shift_ms <= latest + MAX_STEP_MS:
            self._doubt = doubt = _Doubt(shift_ms, now_seconds)
        return now_seconds - doubt.since_boot_seconds >= CONFIRM_SECONDS

    @staticmethod
    def _boot_ms() -> int:
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000
