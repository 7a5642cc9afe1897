"""The Unix sockets on which the hosts of a machine hear its replicas.

Each process of a host has one of its own, called by its incarnation: a process that comes after it
under the same name is never taken for it, nor it for that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

from actors.runtime.ports import HostLost
from actors.runtime.stream import Deliver, HostEnd, Receive, Stream
from core.settings import Settings
from core.telemetry import get_logger
from store.embedded.server import ensure_run_dir

# Part of a socket's name: a replica that speaks otherwise finds none, and calls over Ray.
DIALECT = "1"
CONNECT_SECONDS = 1.0
BACKLOG = 256
# Younger than this, a socket on which nobody hears may be one on which somebody is about to.
MIN_STALE_SECONDS = 60.0

log = get_logger("runtime.sockets")


def socket_path(settings: Settings, incarnation: UUID) -> Path:
    """Some 60 bytes long, where a system may allow no more than 103."""
    return settings.run_dir / "hosts" / f"{incarnation.hex}.{DIALECT}"


async def listen(settings: Settings, incarnation: UUID, receive: Receive) -> asyncio.Server:
    """Hears replicas; `receive` is `Host.receive`. Raises OSError."""
    ensure_run_dir(settings)
    path = socket_path(settings, incarnation)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    sweep(path.parent)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        door.bind(str(path))
        path.chmod(0o600)  # before anybody can connect
        ends: set[HostEnd] = set()
        loop = asyncio.get_running_loop()
        make = partial(HostEnd, receive, ends)
        return await loop.create_unix_server(make, sock=door, backlog=BACKLOG)
    except OSError:
        door.close()
        raise


async def connect(
    settings: Settings, incarnation: UUID, deliver: Deliver, changed: Callable[[], None]
) -> Stream:
    """A stream to that very process. Raises HostLost where it has no socket on this machine."""
    loop, path = asyncio.get_running_loop(), str(socket_path(settings, incarnation))
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, stream = await loop.create_unix_connection(partial(Stream, deliver, changed), path)
    except (OSError, TimeoutError) as error:
        raise HostLost(repr(error)) from error
    return stream


def sweep(folder: Path) -> None:
    """Removes the sockets of processes that are gone."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > MIN_STALE_SECONDS and not _is_heard(path):
                path.unlink()


def _is_heard(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # one that is stopped, and whose queue is full, is there
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
