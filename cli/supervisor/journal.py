"""What the supervisor did, as JSON lines in the home folder and as words on the terminal."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MAX_LOG_BYTES = 20 * 1024 * 1024


class Journal:
    """Appends to `logs/supervisor.log`; `say` also prints. A closed terminal is no error."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._logs = logs
        self._silent = False

    def note(self, event: str, **fields: Any) -> None:
        """Writes one line: when, what, and `fields`. On a full disk it is not written: no code may
        depend on a note."""
        line = {"timestamp": datetime.now(UTC).isoformat(), "event": event, **fields}
        with suppress(OSError), (self._logs / "supervisor.log").open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def say(self, text: str, event: str, **fields: Any) -> None:
        """Notes the event and prints `text`."""
        self.note(event, **fields)
        self.print(text)

    def print(self, text: str) -> None:
        if self._silent:
            return
        try:
            print(text, flush=True)
        except OSError:
            self._silent = True

    def bound_logs(self) -> None:
        """Keeps each log under a bound, with one older part beside it. The processes that write
        them append, so that cutting the file does not disturb them. On a full disk there is no
        older part."""
        for path in self._logs.glob("*.log"):
            with suppress(OSError):
                if path.stat().st_size > MAX_LOG_BYTES:
                    older = path.with_suffix(".log.1")
                    try:
                        shutil.copyfile(path, older)
                    except OSError:
                        older.unlink(missing_ok=True)
                    with path.open("r+") as file:
                        file.truncate(0)
