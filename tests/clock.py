"""A clock for tests in which no time may pass but what the test says."""

from __future__ import annotations

import time


class StandingClock:
    """Stands at the moment it was made until a test moves `ms`."""

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        return self.ms

    def boot_seconds(self) -> float:
        return self.ms / 1000

    def calibrate(self, database_now_ms: int, sent_ms: int, received_ms: int) -> None:
        pass

    def pass_seconds(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
