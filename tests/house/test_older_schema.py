"""Between the installation of a build and its deployment a process may come back as that build,
on the schema of the one before: it waits, others serve, and it goes on by itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from store.kit.reached import HEAD
from store.kit.schema import APP_ROLE, HOST_ROLE
from tests.stack import Stack, copy_environment

TIMEOUT_SECONDS = 120.0
ROLES = f"{APP_ROLE}, {HOST_ROLE}"
WAITS = {"host": "host cannot start yet", "replica": "waiting for migrations"}


def test_what_comes_back_before_its_migrations_waits_for_them(copies: tuple[Stack, Stack]) -> None:
    _, copy = copies
    _wait(copy, lambda: copy.is_ready() and not copy.processes("cli.supervisor.ray_start"))
    hosts, replicas = copy.hosts(), copy.replicas()
    # As 0044 left it: nobody but the owner may ask how far it has come. Those that go on are of the
    # same build here, and have their connections.
    _execute(copy, f"REVOKE SELECT ON alembic_version FROM {ROLES}")
    try:
        hosts[0].kill()
        replicas[0].kill()
        _wait(copy, lambda: all(says in _logs(copy) for says in WAITS.values()))
        host = next(process for process in copy.hosts() if process not in hosts)
        _wait(copy, copy.is_ready)  # the other host has taken over, the other replica answers
        assert not _is_registered(copy, host.pid)
        assert HEAD in _doctor(copy)
        assert [copy.is_ready() for _ in range(50)] == [True] * 50
    finally:
        _execute(copy, f"GRANT SELECT ON alembic_version TO {ROLES}")
    _wait(copy, lambda: "migrations are done" in _logs(copy))
    _wait(copy, lambda: _is_registered(copy, host.pid) and copy.is_ready())
    assert "schema: It is at" in _doctor(copy)


def _execute(copy: Stack, statement: str) -> object:
    async def execute() -> object:
        owner = await copy.database()
        try:
            return await owner.fetchval(statement)
        finally:
            await owner.close()

    return asyncio.run(execute())


def _is_registered(copy: Stack, pid: int) -> bool:
    return bool(_execute(copy, f"SELECT count(*) FROM shard_hosts WHERE pid = {pid}"))


def _doctor(copy: Stack) -> str:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "doctor"],
        env=copy_environment(copy.settings),
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def _logs(copy: Stack) -> str:
    return "".join(
        path.read_text(errors="replace")
        for path in copy.settings.run_dir.glob("ray/session_2*/logs/**/*")
        if path.is_file() and path.suffix in (".out", ".err", ".log")
    )


def _wait(copy: Stack, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        with suppress(RuntimeError):
            if until():
                return
        assert time.monotonic() < deadline, copy.log.read_text()
        time.sleep(0.2)
