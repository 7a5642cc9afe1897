"""A plugin of coverage's that writes down what a process has run every few seconds, because most
of a copy's processes are not asked to end: they are killed."""

from __future__ import annotations

import threading
import time
from typing import Any

import coverage

EVERY_SECONDS = 3.0


def coverage_init(_registry: Any, _options: Any) -> None:
    threading.Thread(target=_save_again_and_again, name="coverage saver", daemon=True).start()


def _save_again_and_again() -> None:
    while True:
        time.sleep(EVERY_SECONDS)
        if measured := coverage.Coverage.current():
            measured.save()
