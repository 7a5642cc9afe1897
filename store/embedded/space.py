"""Whether the disk of the embedded servers has room for what is to be written."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from core.errors import Unavailable
from core.settings import Settings

# Enough for what is under way, and for Postgres to go on: without room for its log it falls.
MIN_FREE_BYTES = 64 * 1024 * 1024
REMEMBERED_SECONDS = 0.5


class Space:
    """Servers of one's own, elsewhere, tell by themselves."""

    def __init__(self, settings: Settings) -> None:
        self._path: Path | None = settings.home_path if settings.database_url is None else None
        self._looked_at = float("-inf")
        self._is_full = False

    def check(self) -> None:
        """Raises Unavailable while there is no room. A write that waits for it would wait in vain;
        a caller that repeats it hears as soon as there is some."""
        now = time.monotonic()
        if self._path and now - self._looked_at > REMEMBERED_SECONDS:
            self._looked_at = now
            with suppress(OSError):
                self._is_full = shutil.disk_usage(self._path).free < MIN_FREE_BYTES
        if self._is_full:
            raise Unavailable("The disk is full.", retry_after_seconds=2)

    async def is_well(self) -> None:
        """The same, as a check of readiness."""
        self.check()
