"""The embedded servers are real ones: they keep what was committed, whatever happens to them."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis import Redis

from cli.supervisor.journal import Journal
from cli.supervisor.services import EmbeddedService
from core.settings import Settings
from store.embedded import Servers, postgres, running, valkey
from store.embedded.leftovers import inside, tagged
from tests.conftest import fresh_settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return fresh_settings(tmp_path / "home")


@pytest.fixture
def servers(home: Settings) -> Iterator[Servers]:
    with running(home) as servers:
        yield servers


async def _execute(settings: Settings, *statements: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(settings.owner_database_url, timeout=10)
    try:
        rows: list[asyncpg.Record] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()


async def test_a_restart_keeps_the_data(home: Settings) -> None:
    with running(home):
        await _execute(home, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
        with Redis.from_url(home.effective_redis_url) as redis:
            redis.set("kept", "1")
    with running(home):
        assert [tuple(row) for row in await _execute(home, "TABLE kept")] == [(1,)]
        with Redis.from_url(home.effective_redis_url) as redis:
            assert redis.get("kept") == b"1"


async def test_a_killed_postgres_keeps_every_commit(home: Settings, servers: Servers) -> None:
    await _execute(home, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    servers.postgres.process.kill()
    servers.postgres.process.wait(5)
    restarted = postgres.start(home)
    try:
        restarted.wait_ready(30)
        assert [tuple(row) for row in await _execute(home, "TABLE kept")] == [(1,)]
    finally:
        restarted.stop()


async def test_postgres_is_durable_and_listens_on_no_port(home: Settings, servers: Servers) -> None:
    rows = await _execute(
        home,
        "SELECT current_setting('fsync'), current_setting('synchronous_commit'),"
        " current_setting('full_page_writes'), current_setting('listen_addresses'),"
        " current_setting('server_version_num')::int / 10000",
    )
    assert tuple(rows[0]) == ("on", "on", "on", "", 18)
    for server in (servers.postgres, servers.valkey):
        # Children inherit no port that their parent does not have.
        connections = psutil.Process(server.pid).net_connections("inet")
        assert [c for c in connections if c.status == "LISTEN"] == []


def test_no_other_user_reaches_the_sockets(home: Settings, servers: Servers) -> None:
    assert servers.postgres.alive
    assert stat.S_IMODE((home.run_dir / "pg").stat().st_mode) == 0o700
    assert stat.S_IMODE((home.run_dir / "valkey.sock").stat().st_mode) == 0o700
    assert not stat.S_IMODE(home.run_dir.stat().st_mode) & stat.S_IRWXO


def test_a_start_that_was_killed_half_way_is_begun_anew(home: Settings) -> None:
    draft = home.home_path / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    with running(home) as servers:
        assert servers.postgres.alive
    assert not draft.exists()


def test_a_later_start_ends_what_an_earlier_one_left_running(home: Settings) -> None:
    earlier = postgres.start(home)
    earlier.wait_ready()
    with running(home) as servers:
        assert earlier.process.wait(5) == 0, "it was asked to stop, not killed"
        assert servers.postgres.alive


def test_valkey_begins_anew_when_it_cannot_read_its_data(home: Settings) -> None:
    with running(home):
        pass
    (manifest,) = (home.home_path / "valkey" / "appendonlydir").glob("*.manifest")
    manifest.write_text("nonsense\n")
    journal = Journal(home.home_path / "logs")
    service = EmbeddedService("Valkey", valkey.start, home, journal, set_aside=valkey.set_aside)
    deadline = time.monotonic() + 60
    while not service.is_ready():
        service.tick()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert service.server is not None
    service.server.stop()
    assert (home.home_path / "valkey.unreadable").is_dir()


def test_stopping_leaves_no_process(home: Settings) -> None:
    with running(home) as servers:
        # A stopped server must not hang the end.
        os.kill(servers.valkey.pid, signal.SIGSTOP)
    assert tagged(home) == []
    assert inside(home.home_path / "postgres") == []


def test_a_folder_of_somebody_else_is_refused(home: Settings, tmp_path: Path) -> None:
    home.run_dir.symlink_to(tmp_path)
    try:
        with pytest.raises(PermissionError):
            postgres.start(home)
    finally:
        home.run_dir.unlink()
