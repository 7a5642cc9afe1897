"""`holdfast up`: starts everything on this machine and keeps it running until told to stop."""

from __future__ import annotations

import http.client
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli.supervisor.home import HomeLock
from cli.supervisor.journal import Journal
from cli.supervisor.orphans import Orphans
from cli.supervisor.port_check import check_ports
from cli.supervisor.ray_service import Phase, RayService
from cli.supervisor.services import EmbeddedService
from cli.supervisor.suspended import Suspended
from core.ray_environment import MAX_OPEN_FILES, token_path
from core.settings import Settings
from store.embedded import postgres, valkey
from store.embedded.leftovers import end, end_tagged, everything
from store.hosts import leases
from store.kit import servers

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TICK_SECONDS = 0.2
# Once all serves: two looks a second cost a process that sleeps a third of a per cent of a core.
_CALM_TICK_SECONDS = 0.5
_AFTER_ERROR_SECONDS = 1.0
_READY_PROBE_TIMEOUT_SECONDS = 2.0
_SLOW_START_SECONDS = 60.0
_POSTGRES_STOP_SECONDS = 3.0
_BOUND_LOGS_EVERY_SECONDS = 60.0


class UnusableHost(ValueError):
    """HOLDFAST_HOST is no address of this machine to listen on."""


class StopRequested(BaseException):
    """Raised by a signal wherever the supervisor happens to be."""


class Supervisor:
    """One copy of Holdfast on this machine. `run` returns when it is asked to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._journal = Journal(settings.home_path / "logs")
        self._postgres: EmbeddedService | None = None
        self._valkey: EmbeddedService | None = None
        if settings.database_url is None:
            self._postgres = EmbeddedService("Postgres", postgres.start, settings, self._journal)
        if settings.redis_url is None:
            self._valkey = EmbeddedService(
                "Valkey", valkey.start, settings, self._journal, set_aside=valkey.set_aside
            )
        self._ray = RayService(settings, self._journal, may_deploy=self._database_is_prepared)
        self._suspended = Suspended(settings, self._journal)
        self._orphans = Orphans(settings, self._journal)
        self._migrated = False
        self._announced = False
        self._warned = False
        self._begun = time.monotonic()
        self._logs_bounded_at = 0.0

    def run(self) -> None:
        """Raises PortsBusy, UnusableServer, or what the migration raises, before it serves."""
        try:
            if told := servers.what_serves(self._settings):
                self._journal.say(told, "database", told=told)
            self._clear()
            while True:
                self._tick_despite_errors()
                is_calm = self._announced and self._ray.phase is Phase.SERVING
                time.sleep(_CALM_TICK_SECONDS if is_calm else _TICK_SECONDS)
        except StopRequested:
            self._journal.say("Stopping.", "stopping")
        finally:
            self._stop()

    def _clear(self) -> None:
        """Ends what an earlier run of this home left behind, if its supervisor was killed."""
        count = len(everything(self._settings))
        end_tagged(self._settings, "ray")
        postgres.end_earlier(self._settings)
        valkey.end_earlier(self._settings)
        if count:
            self._journal.say(f"Ended {count} processes of an earlier run.", "cleared", count=count)
        check_ports(self._settings.ports)

    def _tick_despite_errors(self) -> None:
        """Ticks, whatever fails: no process would look after the services if an error ended this
        loop. Only before the first start is done does an error end it: then the operator is there
        to read it."""
        try:
            self._tick()
        except Exception as error:
            if not self._announced:
                raise
            self._journal.say(f"{error!r}; going on.", "tick_failed", error=repr(error))
            time.sleep(_AFTER_ERROR_SECONDS)

    def _tick(self) -> None:
        for service in (self._postgres, self._valkey, self._ray):
            if service:
                service.tick()
        self._suspended.tick()
        if not self._announced:
            self._announce_when_ready()
        now = time.monotonic()
        if now - self._logs_bounded_at > _BOUND_LOGS_EVERY_SECONDS:
            self._journal.bound_logs()
            self._logs_bounded_at = now

    def _database_is_prepared(self) -> bool:
        """Whether the application may start: the schema is current; and on a database of our own,
        if each process of the earlier Ray is gone, no lease of theirs is left."""
        if self._postgres and not self._postgres.is_ready():
            return False
        url = self._settings.owner_database_url
        try:
            if not self._migrated:
                began = time.monotonic()
                for told in servers.prepare(url, self._settings):
                    self._journal.say(told, "database", told=told)
                self._migrated = True
                self._journal.note("migrated", seconds=round(time.monotonic() - began, 2))
            if self._postgres and not self._ray.survivors:
                leases.expire_all(url)
        except Exception:
            if self._postgres and not self._postgres.is_ready():
                return False  # the server died meanwhile; once it is back this is tried again
            raise
        return True

    def _announce_when_ready(self) -> None:
        elapsed = time.monotonic() - self._begun
        if self._ray.phase is Phase.SERVING and self._is_ready():
            self._announced = True
            self._orphans.start()
            self._journal.say(_banner(self._settings, elapsed), "ready", seconds=round(elapsed, 1))
        elif elapsed > _SLOW_START_SECONDS and not self._warned:
            self._warned = True
            logs = self._settings.home_path / "logs"
            self._journal.say(f"Still not ready; {logs} may tell why.", "slow_start")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(
            self._settings.local_address,
            self._settings.ports.api,
            timeout=_READY_PROBE_TIMEOUT_SECONDS,
        )
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop(self) -> None:
        """Stops everything, clients before servers; after a second signal without waiting."""
        try:
            self._ray.end()
            servers = [s.server for s in (self._postgres, self._valkey) if s and s.server]
            for server in servers:
                server.request_stop()
            for server in servers:
                server.stop(_POSTGRES_STOP_SECONDS)
        except StopRequested:
            self._journal.note("stopping_hard")
        finally:
            for number in _STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            end(everything(self._settings))
        self._journal.say("Stopped.", "stopped")


def _banner(settings: Settings, seconds: float) -> str:
    host = settings.local_address
    api = f"http://{f'[{host}]' if ':' in host else host}:{settings.ports.api}"
    dashboard = (
        f"  Ray dashboard  http://127.0.0.1:{settings.ports.dashboard}\n"
        f"                 log in with the token in {token_path(settings)}\n"
    )
    return (
        f"Holdfast is ready ({seconds:.0f} s).\n"
        f"  API            {api}\n"
        f"  Docs           {api}/docs\n"
        f"{dashboard if settings.ray_dashboard else ''}"
        f"  Logs           {settings.home_path / 'logs'}\n"
        "Stop with Ctrl-C or `holdfast down`."
    )


def up(settings: Settings) -> None:
    """Runs until SIGINT, SIGTERM or SIGHUP. Raises HomeBusy if this home has a supervisor,
    PortsBusy if another program is in the way, UnusableHost."""
    _check_host(settings)
    with HomeLock(settings) as lock, _stop_on_signals():
        lock.write(settings.port)
        _raise_file_limit()
        Supervisor(settings).run()


def _check_host(settings: Settings) -> None:
    try:
        family = socket.AF_INET6 if ":" in settings.listen_address else socket.AF_INET
        with socket.socket(family) as probe:
            probe.bind((settings.listen_address, 0))
    except OSError as error:
        raise UnusableHost(
            f"HOLDFAST_HOST is {settings.host!r}; it can be an address of this machine,"
            " or 0.0.0.0 for all of them"
        ) from error


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    for number, handler in before.items():
        # `nohup` asks to outlive the terminal. That a script's background jobs start with SIGINT
        # ignored asks for nothing: a sender of one means this process.
        if number != signal.SIGHUP or handler is not signal.SIG_IGN:
            signal.signal(number, _request_stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_file_limit() -> None:
    """Many systems start with 1,024 open files per process; a replica may hold more sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _request_stop(number: int, frame: FrameType | None) -> None:
    raise StopRequested
