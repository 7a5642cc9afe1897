"""Real servers out of wheels: PostgreSQL and Valkey on Unix sockets, with their data in the home
folder. `DATABASE_URL` and `REDIS_URL` select servers of one's own in their place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from core.settings import Settings
from store.embedded import postgres, valkey
from store.embedded.server import Server

__all__ = ["Servers", "running"]

STOP_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Servers:
    postgres: Server
    valkey: Server


@contextmanager
def running(settings: Settings, *, timeout_seconds: float = 60) -> Iterator[Servers]:
    """Both servers of `settings.home`, ready; stopped when the block ends.

    Raises `ServerFailed` if one dies or is not ready in time.
    """
    with ExitStack() as stack:
        stack.callback(_remove_run_dir, settings)
        servers = Servers(postgres.start(settings), valkey.start(settings))
        for server in (servers.postgres, servers.valkey):
            stack.callback(server.stop, STOP_TIMEOUT_SECONDS)
        servers.postgres.wait_ready(timeout_seconds)
        servers.valkey.wait_ready(timeout_seconds)
        yield servers


def _remove_run_dir(settings: Settings) -> None:
    """Removes the sockets' folder, unless someone keeps something else in it."""
    for folder in ("pg", "hosts"):
        shutil.rmtree(settings.run_dir / folder, ignore_errors=True)
    (settings.run_dir / "valkey.sock").unlink(missing_ok=True)
    with suppress(OSError):
        settings.run_dir.rmdir()
