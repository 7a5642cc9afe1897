"""What a Postgres must be before Holdfast serves with it, and who gets how many connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from core.database_url import as_role
from core.ids import uuid7
from core.settings import Settings
from store.embedded import postgres
from store.embedded.server import Server as EmbeddedServer
from store.hosts.journal import HostStore, Rejected
from store.hosts.keeping import KeeperStore
from store.hosts.leases import Incarnation
from store.kit import servers
from store.kit.budget import CONNECTIONS_PER_REPLICA, app_limit, connections_needed
from store.kit.servers import Server, UnusableServer, look, prepare, what_is_short, why_unusable
from tests.conftest import fresh_settings


async def test_our_own_server_will_do(embedded: Settings) -> None:
    server = await look(embedded.owner_database_url)
    assert why_unusable(server) is None
    assert what_is_short(server, embedded) is None


def seen(version: int = 180_000, connections: int = 100, **kept: bool) -> Server:
    """A server as `look` tells of it."""
    settings = {
        "server_version_num": str(version),
        "server_version": f"{version // 10_000}.1",
        "max_connections": str(connections + 3),
        "superuser_reserved_connections": "3",
    }
    return Server(settings, kept.get("keeps_settings", True), kept.get("keeps_sessions", True))


def test_what_will_not_do_is_told_in_words() -> None:
    assert "PostgreSQL 14.1; Holdfast runs on PostgreSQL 15" in str(why_unusable(seen(140_012)))
    assert why_unusable(seen(150_000)) is None
    assert "transaction or statement mode" in str(why_unusable(seen(keeps_sessions=False)))
    assert "drops our time limits" in str(why_unusable(seen(keeps_settings=False)))


def test_a_server_that_is_too_small_is_told_with_what_would_be_right() -> None:
    wanted = Settings.model_validate({"replicas": 8, "hosts": 2})
    told = str(what_is_short(seen(connections=100), wanted))
    assert f"max_connections to {connections_needed(wanted)} or more" in told
    assert what_is_short(seen(connections=connections_needed(wanted) - 3), wanted) is None
    fewer = int(told.rpartition(" ")[2].rstrip("."))
    assert (
        what_is_short(seen(connections=100), wanted.model_copy(update={"replicas": fewer})) is None
    )


# --- a small server, used up ---------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """With room for two replicas that take half of what they would like."""
    settings = fresh_settings(tmp_path / "home", replicas=2, hosts=1)
    room = {"max_connections": str(connections_needed(settings) - CONNECTIONS_PER_REPLICA)}
    monkeypatch.setattr(postgres, "_connections", lambda _: room)
    server: EmbeddedServer = postgres.start(settings)
    try:
        server.wait_ready()
        yield settings
    finally:
        server.stop()


async def test_hosts_connect_when_replicas_have_taken_all_they_can(small: Settings) -> None:
    url = small.owner_database_url
    told = await asyncio.to_thread(prepare, url, small)
    assert len(told) == 1, told
    assert "Set max_connections to" in told[0]
    limit = app_limit((await look(url)).connections, small)
    async with _closing() as taken:
        with pytest.raises(asyncpg.TooManyConnectionsError):
            while len(taken) <= limit:
                taken.append(await asyncpg.connect(small.app_database_url))
        assert len(taken) == limit
        host = HostStore(small.host_database_url, Incarnation(uuid7(), "h", "m", 1))
        keeper = KeeperStore(small.host_database_url)
        await host.register()
        await keeper.beat(uuid7(), first=True)
        await host.close()
        await keeper.close()


@asynccontextmanager
async def _closing() -> AsyncIterator[list[asyncpg.Connection]]:
    """A list of connections that end with the block."""
    connections: list[asyncpg.Connection] = []
    try:
        yield connections
    finally:
        for connection in connections:
            await connection.close()


async def test_an_owner_who_may_not_limit_is_told_what_to_ask_for(embedded: Settings) -> None:
    admin = await asyncpg.connect(embedded.owner_database_url)
    try:
        await admin.execute("CREATE ROLE modest LOGIN")
        url = as_role(embedded.owner_database_url, "modest", None)
        told = await servers._limit(url, 77)
        assert "ALTER ROLE holdfast_app CONNECTION LIMIT 77;" in str(told)
        assert await servers._limit(embedded.owner_database_url, 77) is None
        assert await servers._limit(url, 77) is None, "it is so already"
    finally:
        await admin.execute("ALTER ROLE holdfast_app CONNECTION LIMIT -1; DROP ROLE modest")
        await admin.close()


async def test_hosts_are_given_the_right_to_commit(embedded: Settings) -> None:
    """As where an administrator lets nobody make temporary things."""
    url = embedded.owner_database_url
    admin = await asyncpg.connect(url)
    try:
        await admin.execute("CREATE ROLE modest LOGIN")
        await admin.execute("REVOKE TEMPORARY ON DATABASE holdfast FROM PUBLIC")
        told = await servers._let_hosts_commit(as_role(url, "modest", None))
        assert "GRANT TEMPORARY ON DATABASE holdfast TO holdfast_host;" in str(told)
        host = HostStore(embedded.host_database_url, Incarnation(uuid7(), "h", "m", 1))
        with pytest.raises(Rejected, match="permission denied to create temporary"):
            await host.commit({}, [], [])
        assert await servers._let_hosts_commit(url) is None
        await host.recover()  # a session keeps what it was told of its rights
        await host.commit({}, [], [])
        await host.close()
    finally:
        await admin.execute("GRANT TEMPORARY ON DATABASE holdfast TO PUBLIC")
        await admin.execute("REVOKE TEMPORARY ON DATABASE holdfast FROM holdfast_host")
        await admin.execute("DROP ROLE modest")
        await admin.close()


async def test_a_transaction_that_is_forgotten_ends_by_itself(
    small: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever session opened it, and whatever it holds: none waits for it without end."""
    monkeypatch.setattr(servers, "FORGOTTEN_SECONDS", 1)
    url = small.owner_database_url
    await asyncio.to_thread(prepare, url, small)
    forgetful, other = await asyncpg.connect(url), await asyncpg.connect(url)
    await forgetful.execute("BEGIN; LOCK TABLE stock_levels")
    async with asyncio.timeout(30):
        await other.execute("BEGIN; LOCK TABLE stock_levels; COMMIT")
    async with asyncio.timeout(30):
        while not forgetful.is_closed():
            await asyncio.sleep(0.01)
    monkeypatch.setattr(servers, "FORGOTTEN_SECONDS", 77)
    await asyncio.to_thread(prepare, url, small)
    later = await asyncpg.connect(url)
    kept = await later.fetchval("SHOW idle_in_transaction_session_timeout")
    assert kept == "1s", "what is set stays"
    for connection in (other, later):
        await connection.close()


# --- poolers -------------------------------------------------------------------------------------


@contextmanager
def pooler(settings: Settings, mode: str, ignored: bool) -> Iterator[str]:
    """A PgBouncer before the embedded server; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
    }
    if ignored:
        names = ("synchronous_commit", "idle_in_transaction_session_timeout")
        told["ignore_startup_parameters"] = ",".join(names)
    lines = [f"{name} = {value}" for name, value in told.items()]
    database = f"holdfast = host={settings.run_dir / 'pg'} dbname=holdfast user=postgres"
    with tempfile.TemporaryDirectory(prefix="hf-pooler-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines, ""]))
        user = "pgserver" if os.geteuid() == 0 else None
        process = subprocess.Popen(
            ["pgbouncer", "--quiet", str(file)], user=user, group=user, stderr=subprocess.DEVNULL
        )
        try:
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                assert process.poll() is None
                time.sleep(0.02)
            yield f"postgresql://postgres@127.0.0.1:{port}/holdfast?sslmode=disable"
        finally:
            process.terminate()
            process.wait(5)


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed")
@pytest.mark.parametrize(
    ("mode", "ignored", "told"),
    [
        ("transaction", True, "transaction or statement mode"),
        ("statement", True, "transaction or statement mode"),
        ("session", True, "drops our time limits"),
        ("session", False, "A pooler stands before the database"),
    ],
)
async def test_a_real_pooler_is_found_out(
    embedded: Settings, mode: str, ignored: bool, told: str
) -> None:
    with pooler(embedded, mode, ignored) as url, pytest.raises(UnusableServer, match=told):
        await asyncio.to_thread(prepare, url, embedded)
