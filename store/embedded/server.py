"""What both embedded servers share: a child process, its log, readiness, an orderly end."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.settings import Settings

TAG_VARIABLE = "HOLDFAST_TAG"

_POLL_SECONDS = 0.02
_LOG_TAIL_BYTES = 2_000
_INHERITED_VARIABLES = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class ServerFailed(RuntimeError):
    """An embedded server died or was not ready in time; carries the end of its log."""


class Server:
    """One running server process. `stop_signals` is its ladder from polite to final."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        log: Path,
        stop_signals: Sequence[signal.Signals],
        is_ready: Callable[[int], bool],
    ) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._stop_signals = tuple(stop_signals)
        self._is_ready = is_ready

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ready(self) -> bool:
        """Whether the server answers now."""
        return self._is_ready(self.pid)

    def wait_ready(self, timeout_seconds: float = 60) -> None:
        """Returns once the server answers. Raises `ServerFailed` if it dies or is too slow."""
        deadline = time.monotonic() + timeout_seconds
        while not self.ready():
            if not self.alive:
                raise ServerFailed(f"{self.name} ended at its start.\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"{self.name} was not ready in {timeout_seconds:.0f} s.\n{self._log_tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def request_stop(self) -> None:
        """Asks the server to end, without waiting for it."""
        if self.alive:
            self.process.send_signal(self._stop_signals[0])

    def stop(self, timeout_seconds: float = 5) -> None:
        """Ends the server, politely for `timeout_seconds`, then by force. Idempotent."""
        for number in (*self._stop_signals, signal.SIGKILL):
            if not self.alive:
                return
            self.process.send_signal(number)
            try:
                self.process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                timeout_seconds = 1.0

    def _log_tail(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _LOG_TAIL_BYTES))
            return f"The end of {self.log}:\n{file.read().decode(errors='replace')}"


def spawn(
    settings: Settings,
    arguments: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a server in a session of its own, so that a Ctrl-C in the terminal reaches only
    the supervisor, which then stops it in order. The environment is bare but for the tag by
    which a later start finds leftovers: the server must not see our secrets."""
    environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    environment |= {"LC_ALL": "C", TAG_VARIABLE: tag(settings, cwd.name)}
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own binaries and arguments
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )


def tag(settings: Settings, part: str) -> str:
    """Marks a process as one of this copy's, and of which `part`: postgres, valkey or ray."""
    return f"{settings.instance}:{part}"


def ensure_run_dir(settings: Settings) -> Path:
    """`settings.run_dir`, made if need be, and certainly ours: it lies in a folder where any user
    may write, and its owner could put a server of his own in place of ours.

    Raises PermissionError if it belongs to someone else or is a link.
    """
    path = settings.run_dir
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{path} is not a folder of this user; remove it and start again")
    return path
