"""What the supervisor keeps alive: the embedded servers. Each tick returns at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cli.supervisor.journal import Journal
from core.settings import Settings
from store.embedded.server import Server, ServerFailed

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0
_STABLE_AFTER_SECONDS = 30.0
# Longer than any pause; no number would hold all failures of an outage of hours.
_MAX_DOUBLINGS = 16
_UNREADABLE_AFTER_FAILURES = 3


class Service(Protocol):
    def tick(self) -> None:
        """Looks after the service: starts it, or starts it again when it has died."""
        ...


class Backoff:
    """When to try again: at once after the first failure, then later and later while no try lasts.
    A service that has run for `stable_seconds` has lasted."""

    def __init__(
        self,
        longest_seconds: float = _LONGEST_PAUSE_SECONDS,
        stable_seconds: float = _STABLE_AFTER_SECONDS,
    ) -> None:
        self.failures = 0
        self._longest_seconds = longest_seconds
        self._stable_seconds = stable_seconds
        self._due_at = -math.inf

    def due(self) -> bool:
        """Whether it is time to try."""
        return time.monotonic() >= self._due_at

    def failed(self) -> float:
        """Records that the last try has failed. Returns how many seconds to wait from now."""
        now = time.monotonic()
        if now - self._due_at > self._stable_seconds:
            self.failures = 0
        self.failures += 1
        doublings = min(self.failures - 2, _MAX_DOUBLINGS)
        pause = min(_FIRST_PAUSE_SECONDS * 2.0**doublings, self._longest_seconds)
        if self.failures == 1:
            pause = 0.0
        self._due_at = now + pause
        return pause

    def reset(self) -> None:
        """Records that the last try has lasted."""
        self.failures = 0
        self._due_at = -math.inf


class EmbeddedService:
    """Keeps one embedded server running. `set_aside`, for a server whose data may be lost, moves
    away data with which it cannot start, and returns the new place."""

    def __init__(
        self,
        name: str,
        start: Callable[[Settings], Server],
        settings: Settings,
        journal: Journal,
        *,
        set_aside: Callable[[Settings], Path] | None = None,
    ) -> None:
        self.name = name
        self.server: Server | None = None
        self._start = start
        self._set_aside = set_aside
        self._settings = settings
        self._journal = journal
        self._backoff = Backoff()
        self._was_ready = False
        self._failures = 0

    def tick(self) -> None:
        if self.server and self.server.alive:
            self._was_ready = self._was_ready or self.server.ready()
            return
        if self.server:
            self._note_death(self.server)
            self.server = None
        if self._backoff.due():
            self._try_start()

    def is_ready(self) -> bool:
        """Whether the server runs and answers."""
        return self.server is not None and self.server.alive and self.server.ready()

    def _try_start(self) -> None:
        try:
            if self._set_aside and self._failures >= _UNREADABLE_AFTER_FAILURES:
                aside = self._set_aside(self._settings)
                self._journal.say(
                    f"{self.name} cannot start with its data, which is now in {aside}.",
                    f"{self.name}_set_aside",
                )
                self._failures = 0
            self.server = self._start(self._settings)
            self._journal.note(f"{self.name}_started", pid=self.server.pid)
        except (OSError, ServerFailed, TimeoutError) as error:
            self._backoff.failed()
            self._journal.say(
                f"{self.name} could not be started: {error}",
                f"{self.name}_failed",
                error=str(error),
            )

    def _note_death(self, server: Server) -> None:
        self._backoff.failed()
        self._failures = 0 if self._was_ready else self._failures + 1
        self._was_ready = False
        self._journal.say(
            f"{self.name} ended; starting it again.",
            f"{self.name}_died",
            pid=server.pid,
            code=server.process.returncode,
        )
