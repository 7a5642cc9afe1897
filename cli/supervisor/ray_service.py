"""Keeps Ray, Serve and the application running. Each tick returns soon.

Ray's own supervision restarts most processes that die: Serve restarts replicas, its controller and
HAProxy; the keeper restarts hosts, and this module the GCS. Ray does not survive the death of the
raylet: then a new Ray is started, and the processes that served go on until the new ones serve.
Nothing is lost by it, since memory is a cache of Postgres.
"""

from __future__ import annotations

import http.client
import math
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from cli.supervisor import ray_node
from cli.supervisor.journal import Journal
from cli.supervisor.ray_daemons import Daemon, Daemons, IncompleteNode
from cli.supervisor.services import Backoff
from cli.supervisor.sleepers import Sleepers
from cli.supervisor.stopgap import Stopgap
from cli.supervisor.survivors import Survivors
from core.build import code_digest
from core.settings import Settings
from store.embedded.leftovers import tagged

# Generous, for machines that are short of CPU: a start that is merely slow must not be repeated.
_START_TIMEOUT_SECONDS = 240.0
# The longest pause between the starts of a Ray that does not last.
_LONGEST_PAUSE_SECONDS = 60.0
_STABLE_SECONDS = 20.0
# A GCS that ends again and again cannot recover from what it has stored.
_GCS_TRIES = 3
_PROBE_EVERY_SECONDS = 1.0
_PROBE_TIMEOUT_SECONDS = 2.0
# Serve brings back HAProxy or a replica within seconds; if it takes longer than this, it is stuck.
_SILENT_LIMIT_SECONDS = 30.0
# HAProxy answers, but sees no replica: they may merely be busy, or be started on a busy machine.
_UNHEALTHY_LIMIT_SECONDS = 120.0


class Phase(Enum):
    DOWN = auto()
    STARTING = auto()
    SERVING = auto()


class RayService:
    """`may_deploy` says whether the database is ready for the application."""

    def __init__(
        self, settings: Settings, journal: Journal, may_deploy: Callable[[], bool]
    ) -> None:
        self.phase = Phase.DOWN
        self._settings = settings
        self._journal = journal
        self._may_deploy = may_deploy
        self._stopgap = Stopgap(settings, journal)
        self.survivors = Survivors(settings, journal)
        self._sleepers = Sleepers()
        # Reset once it has served for long enough: a start alone may take minutes.
        self._backoff = Backoff(_LONGEST_PAUSE_SECONDS, stable_seconds=math.inf)
        self._gcs_backoff = Backoff()
        self._dashboard_backoff = Backoff()
        self._child: subprocess.Popen[bytes] | None = None
        self._daemons: Daemons | None = None
        self._environment: dict[str, str] = {}
        # Of what the database was made ready for; another build may be installed meanwhile.
        self._code = code_digest()
        self._since = 0.0
        self._failed_at = 0.0
        self._healthy_at = 0.0
        self._heard_at = 0.0
        self._probed_at = 0.0

    def tick(self) -> None:
        match self.phase:
            case Phase.DOWN if self._backoff.due():
                self._start()
            case Phase.STARTING:
                self._check_started()
            case Phase.SERVING:
                self._check_serving()
        self._check_daemons()

    def end(self) -> None:
        """Kills all processes of Ray's, because that is quick and loses nothing: what was not
        committed was not acknowledged."""
        self.survivors.end()
        self._forget()

    def _forget(self) -> None:
        self._sleepers.release()
        if self._child:
            self._child.wait(1)
            self._give_word()
        self._child = self._daemons = None
        self.phase = Phase.DOWN

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._since = time.monotonic()

    def _fail(self, why: str, *, alone: bool = False, **fields: object) -> None:
        """Begins anew. `alone`: Ray itself is dead, the processes that it started may live."""
        outlived = alone and self.phase is Phase.SERVING and self.survivors.part()
        self._failed_at = self._failed_at or time.monotonic()
        pause = self._backoff.failed()
        when = f" in {pause:.0f} s" if pause >= 1 else ""
        where = " beside what serves" if outlived else ""
        row = f" That was failure {n} in a row." if (n := self._backoff.failures) > 2 else ""
        self._journal.say(
            f"{why}; starting Ray again{when}{where}.{row}",
            "ray_failed",
            why=why,
            failures=self._backoff.failures,
            pause_seconds=pause,
            outlived=outlived,
            **fields,
        )
        if outlived:
            self._forget()
        else:
            self.end()

    def _start(self) -> None:
        self._environment = ray_node.prepare(self._settings)
        self.survivors.introduce()
        self._child = self._spawn([sys.executable, "-m", "cli.supervisor.ray_start"], "ray")
        self._journal.note("ray_starting")
        self._enter(Phase.STARTING)

    def _check_started(self) -> None:
        if self._daemons is None:
            self._find_daemons()
        else:
            self._sleepers.hold(self._daemons.raylet.process)
        if self._child and self._child.stdin and self._may_deploy():
            self._give_word()
        if not self._child_done("Ray did not start", _START_TIMEOUT_SECONDS):
            return
        if self._daemons is None:
            self._fail("Ray did not start")
            return
        self._journal.note("deployed", seconds=self._elapsed())
        if self._failed_at:
            seconds = round(time.monotonic() - self._failed_at, 1)
            self._journal.say(f"Ray is back after {seconds} s.", "recovered", seconds=seconds)
            self._failed_at = 0.0
        self._healthy_at = time.monotonic()
        self._enter(Phase.SERVING)

    def _find_daemons(self) -> None:
        """Remembers the GCS and the raylet as soon as both are there."""
        with suppress(IncompleteNode):
            self._daemons = Daemons.among(
                tagged(self._settings, "ray"), with_dashboard=self._settings.ray_dashboard
            )
            self._journal.note("ray_started", seconds=self._elapsed())

    def _give_word(self) -> None:
        """Tells the process that starts Ray that the database is ready, and for which code. When
        that process has ended, a call closes the pipe that nobody reads."""
        if self._child and self._child.stdin:
            with suppress(OSError):
                self._child.stdin.write(f"{self._code}\n".encode())
            self._child.stdin.close()
            self._child.stdin = None

    def _check_daemons(self) -> None:
        if self._daemons is None:
            return
        if not self._daemons.raylet.is_alive():
            self._fail("Ray lost the raylet", alone=True)
        elif not self._daemons.gcs.is_alive():
            self._revive_gcs(self._daemons.gcs)
        elif self._daemons.dashboard and not self._daemons.dashboard.is_alive():
            self._revive_dashboard(self._daemons.dashboard)

    def _revive_gcs(self, gcs: Daemon) -> None:
        """Restarts the GCS alone, as long as that helps; everything if Ray is just being
        started."""
        if self._gcs_backoff.due():
            self._gcs_backoff.failed()
            if self.phase is not Phase.SERVING or self._gcs_backoff.failures > _GCS_TRIES:
                self._fail("Ray lost the GCS", alone=True)
                return
            pid = gcs.revive(self._environment)
            self._journal.say("Ray's GCS ended; starting it again.", "gcs", pid=pid)

    def _revive_dashboard(self, dashboard: Daemon) -> None:
        if self._dashboard_backoff.due():
            self._dashboard_backoff.failed()
            pid = dashboard.revive(self._environment)
            self._journal.say("Ray's dashboard ended; starting it again.", "dashboard", pid=pid)

    def _child_done(self, failure: str, timeout_seconds: float) -> bool:
        """Whether the command under way has succeeded; if it failed, all is begun anew."""
        code = self._child.poll() if self._child else None
        if code == 0:
            return True
        if code is not None:
            self._fail(f"{failure}, see {self._settings.home_path / 'logs'}", code=code)
        elif self._elapsed() > timeout_seconds:
            self._fail(f"{failure} in {timeout_seconds:.0f} s")
        return False

    def _check_serving(self) -> None:
        self._stopgap.tick(self._environment)
        self.survivors.tick()
        now = time.monotonic()
        if now - self._probed_at < _PROBE_EVERY_SECONDS:
            return
        status = self._probe()
        self._probed_at = now = time.monotonic()
        if status is not None:
            self._heard_at = now
        if status == http.client.OK:
            if now - self._healthy_at > 2 * _PROBE_EVERY_SECONDS:
                self._journal.note("healthy_again", seconds=round(now - self._healthy_at, 1))
            self._healthy_at = now
            if self._elapsed() > _STABLE_SECONDS:
                self._backoff.reset()
        elif now - max(self._heard_at, self._healthy_at) > _SILENT_LIMIT_SECONDS:
            self._fail("HAProxy does not answer")
        elif now - self._healthy_at > _UNHEALTHY_LIMIT_SECONDS:
            self._fail("HAProxy sees no replica")

    def _probe(self) -> int | None:
        """200 if HAProxy sees at least one replica, 503 if it sees none, None if it does not
        answer. Asks no replica, which may be busy or wait for the database, and does not queue with
        callers: a HAProxy without free places is no reason to begin anew."""
        ports = self._settings.ports
        connection = http.client.HTTPConnection(
            "127.0.0.1", ports.haproxy_probe, timeout=_PROBE_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", "/-/healthz")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._since, 1)

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        path = self._settings.home_path / "logs" / f"{log}.log"
        with path.open("ab") as output:
            return subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self._settings.home_path,
                env=self._environment,
                start_new_session=True,
            )
