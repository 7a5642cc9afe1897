"""Ends shard hosts of this machine that were lost and still run."""

from __future__ import annotations

import threading
import time

from actors.runtime.orphans import end_orphans
from actors.runtime.upkeep import machine_id
from cli.supervisor.journal import Journal
from core.settings import Settings

_LOOK_EVERY_SECONDS = 3.0


class Orphans:
    """Looks for them in a thread of its own: the database may be slow to answer, or not answer."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._url = settings.owner_database_url
        self._journal = journal

    def start(self) -> None:
        threading.Thread(target=self._look_until_ended, name="orphans", daemon=True).start()

    def _look_until_ended(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_SECONDS)
            try:
                ended = end_orphans(self._url, machine_id())
            except Exception as error:
                self._journal.note("strays_not_known", error=repr(error))
                continue
            for host in ended:
                self._journal.say(
                    f"Host {host.name} lost its lease and hangs; ending it.",
                    "stray",
                    host=host.name,
                    pid=host.pid,
                )
