"""`holdfast down`: stops the copy that runs in this home."""

from __future__ import annotations

import signal

from cli.supervisor.home import HomeLock, running_supervisor
from core.settings import Settings
from store.embedded import postgres, valkey
from store.embedded.leftovers import end_tagged, everything, signal_process, wait_gone

_STOP_TIMEOUT_SECONDS = 10.0


class NotStopped(RuntimeError):
    """The copy still runs."""


def down(settings: Settings) -> str:
    """Asks the supervisor to stop and waits for it; if it was killed, ends what it left.

    Returns what was done, in words. Raises NotStopped.
    """
    if supervisor := running_supervisor(settings):
        signal_process(supervisor.process, signal.SIGTERM)
        if not wait_gone([supervisor.process], _STOP_TIMEOUT_SECONDS):
            raise NotStopped(f"process {supervisor.process.pid} did not end in time")
        return f"Stopped the copy on port {supervisor.port}."
    # Under the lock, so that no start comes in between.
    with HomeLock(settings):
        count = len(everything(settings))
        end_tagged(settings, "ray")
        postgres.end_earlier(settings)
        valkey.end_earlier(settings)
    if count:
        return f"Its supervisor was gone; ended {count} processes that it left."
    return f"Nothing runs in {settings.home_path}."
