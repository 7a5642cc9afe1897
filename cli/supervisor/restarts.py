"""How often the supervisor has had to start something again, by its own log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

_TAIL_BYTES = 256 * 1024
_WINDOW = timedelta(hours=1)
# What the supervisor notes when it starts one process again, or tries to.
_SERVERS = frozenset(
    ("Postgres_died", "Postgres_failed", "Valkey_died", "Valkey_failed", "gcs", "dashboard")
)


class Restarts(NamedTuple):
    """Restarts of the past hour. `under_way`: why Ray is being started again right now, if it is;
    `failures`: how many of its starts in a row have not lasted; `is_up`: whether the last start,
    the very first perhaps, is done."""

    ray: int
    servers: int
    under_way: str | None
    failures: int
    is_up: bool


def restarts(home: Path) -> Restarts | None:
    """None if no supervisor has run in `home`, or if it has been stopped."""
    log = home / "logs" / "supervisor.log"
    if not log.exists():
        return None
    since = (datetime.now(UTC) - _WINDOW).isoformat()
    ray = servers = failures = 0
    under_way: str | None = None
    stopped, is_up = False, True  # the log may have been cut
    for note in _notes(log):
        event = note["event"]
        is_up = is_up and event not in ("ray_starting", "ray_failed")
        stopped = event == "stopped" or (stopped and event == "stopping")
        is_recent = note["timestamp"] >= since
        if event == "ray_failed":
            ray += is_recent
            under_way, failures = note["why"], note.get("failures", 1)
        elif event in ("deployed", "ready"):
            under_way = None
            is_up = True
        elif event in _SERVERS:
            servers += is_recent
    return None if stopped else Restarts(ray, servers, under_way, failures, is_up)


def _notes(log: Path) -> Iterator[dict[str, Any]]:
    """The notes at the end of the log; a line that was cut in two is left out."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        for line in file:
            try:
                note = json.loads(line)
            except ValueError:
                continue
            if isinstance(note, dict) and {"event", "timestamp"} <= note.keys():
                yield note
