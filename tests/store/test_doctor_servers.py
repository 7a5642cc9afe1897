"""`holdfast doctor`: what is wrong with the server itself, with its standbys, and without it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from cli.operator.doctor import examine, exit_status
from cli.operator.finding import Finding
from core.settings import Settings
from store.embedded import postgres
from store.kit import servers
from tests.conftest import fresh_settings


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = fresh_settings(tmp_path_factory.mktemp("own"))
    off = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "_OPTIONS", postgres._OPTIONS | off)
        server = postgres.start(settings)
    try:
        server.wait_ready()
        servers.prepare(settings.owner_database_url, settings)
        yield settings
    finally:
        server.stop()


async def told(settings: Settings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in await examine(settings, deep=False)}


async def test_settings_that_void_a_promise_are_told(own: Settings) -> None:
    found = await told(own)
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert found[name].verdict == "wrong"
        assert f"{name} is off" in found[name].said
        assert f"SET {name} = on" in found[name].advice


async def test_a_server_that_takes_no_writes_is_told(own: Settings) -> None:
    admin = await asyncpg.connect(own.owner_database_url)
    try:
        await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await admin.execute("SELECT pg_reload_conf()")
        await _until(admin, "default_transaction_read_only", "on")
        assert "takes no writes" in (await told(own))["writes"].said
    finally:
        await admin.execute("SET default_transaction_read_only = off")
        await admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()


async def _until(admin: asyncpg.Connection, name: str, value: str) -> None:
    async with asyncio.timeout(10):
        while await admin.fetchval(f"SHOW {name}") != value:
            await asyncio.sleep(0.01)


async def test_standbys_are_told(own: Settings, tmp_path: Path) -> None:
    """One follows asynchronously; one is waited for and does not follow."""
    local = {"synchronous_commit": "local"}
    admin = await asyncpg.connect(own.owner_database_url, server_settings=local)
    follower = follow(own, tmp_path)
    try:
        async with asyncio.timeout(20):
            while not await admin.fetchval("SELECT count(*) FROM pg_stat_replication"):
                await asyncio.sleep(0.02)
        found = (await told(own))["standbys"]
        assert found.verdict == "wrong"
        assert "follower" in found.said + found.advice
        await admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
        await admin.execute("SELECT pg_reload_conf()")
        await _until(admin, "synchronous_standby_names", "gone")
        assert "no such standby follows" in (await told(own))["standbys"].said
    finally:
        await admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()
        follower.terminate()
        follower.wait(10)


def follow(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    """A program that receives the server's log as a standby does."""
    where = f"host={settings.run_dir / 'pg'} user=postgres application_name=follower"
    command = [postgres._BINARIES / "pg_receivewal", "-D", folder, "--no-sync", "-d", where]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def test_servers_that_are_away_are_no_news_of_the_rest(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "database_url": "postgresql://o:hunter2@127.0.0.1:1/h",
            "redis_url": "redis://:hunter2@127.0.0.1:1",
        }
    )
    began = time.monotonic()
    postgres_is, redis_is = await examine(settings, deep=False)
    assert time.monotonic() - began < 10
    assert (postgres_is.verdict, redis_is.verdict) == ("unknown", "wrong")
    assert exit_status([postgres_is]) == 2
    assert "hunter2" not in str([postgres_is, redis_is])
