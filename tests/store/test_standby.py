"""A synchronous standby is gone: nobody is told yes from a commit that this server alone has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from core.errors import Unavailable
from core.ids import uuid7
from core.request import RequestKey
from core.settings import Settings
from store.hosts.command_log import Logged
from store.hosts.connections import HostConnection, OutcomeUnknown
from store.hosts.journal import HostStore
from store.hosts.keeping import KeeperStore
from store.hosts.leases import Incarnation
from store.kit import engine, outbox
from store.kit.commands import Recorded, once
from store.kit.engine import PUBLIC, Database, Scope
from tests.store.events import ThingMade


@pytest.fixture
async def admin(embedded: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Waits for no standby itself."""
    settings = {"synchronous_commit": "local"}
    connection = await asyncpg.connect(embedded.owner_database_url, server_settings=settings)
    yield connection
    await connection.close()


@asynccontextmanager
async def without_standby(admin: asyncpg.Connection) -> AsyncIterator[None]:
    """Commits wait for a standby that is not there."""
    await _configure(admin, "SET synchronous_standby_names = 'gone'", "gone")
    try:
        yield
    finally:
        await _configure(admin, "RESET synchronous_standby_names", "")


async def _configure(admin: asyncpg.Connection, change: str, expected: str) -> None:
    await admin.execute(f"ALTER SYSTEM {change}")
    await admin.execute("SELECT pg_reload_conf()")
    while await admin.fetchval("SHOW synchronous_standby_names") != expected:
        await admin.execute("SELECT pg_sleep(0.01)")


async def test_a_repeat_waits_for_the_standby_too(
    embedded: Settings, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_COMMIT_TIMEOUT_SECONDS", 0.5)
    db, tenant = Database(embedded.app_database_url), uuid7()
    key, ran = RequestKey(uuid7(), b"body", True, 0, 30_000), 0

    async def work() -> Recorded:
        nonlocal ran
        ran += 1
        return Recorded(201, b"made")

    async def attempt() -> Recorded:
        async with db.transaction(Scope(tenant_id=tenant)) as tx:
            return await once(tx, tenant, key, work)

    try:
        async with without_standby(admin):
            with pytest.raises(Unavailable):
                await attempt()
            await cut_off(admin)
            logged = "SELECT count(*) FROM command_log WHERE id = $1"
            assert await admin.fetchval(logged, key.command_id) == 1, "committed, here alone"
            with pytest.raises(Unavailable):
                await attempt()
        assert await attempt() == Recorded(201, b"made")
        assert ran == 1
    finally:
        await db.close()


async def cut_off(admin: asyncpg.Connection) -> None:
    """Ends every wait for the standby, as an operator in need might."""
    while await admin.fetch(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
        # Sessions that end wait too, for what they leave: nobody can cut that off.
        " WHERE wait_event = 'SyncRep' AND state = 'active'"
    ):
        await admin.execute("SELECT pg_sleep(0.01)")


async def test_a_wait_that_is_cut_off_is_no_yes(
    embedded: Settings, admin: asyncpg.Connection
) -> None:
    """The server reports such a COMMIT as done, with a warning."""
    db, keeper = Database(embedded.app_database_url), KeeperStore(embedded.host_database_url)

    async def emit() -> None:
        async with db.transaction(Scope(tenant_id=tenant)) as tx:
            await outbox.emit(tx, tenant, uuid7(), ThingMade())

    tenant = uuid7()
    host = HostStore(embedded.host_database_url, Incarnation(uuid7(), "h", "m", 1))
    await host.commit({}, [], [])  # it makes its function
    batch = host.commit({}, [], [Logged(uuid7(), tenant, b"", b"")])
    try:
        async with without_standby(admin):
            waiting = [
                asyncio.create_task(work)
                for work in (emit(), keeper.beat(uuid7(), first=True), batch)
            ]
            while await admin.fetchval(_WAITING) < len(waiting):
                await admin.execute("SELECT pg_sleep(0.01)")
            await cut_off(admin)
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(outcome) for outcome in told] == [
                Unavailable,
                OutcomeUnknown,
                OutcomeUnknown,
            ]
    finally:
        await db.close()
        await keeper.close()
        await host.close()


_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def test_nobody_commits_less_durably_than_he_should(
    embedded: Settings, admin: asyncpg.Connection
) -> None:
    """Whatever the server's configuration says of a role."""
    roles = ("holdfast_app", "holdfast_host")
    for role in roles:
        await admin.execute(f"ALTER ROLE {role} SET synchronous_commit = off")
    db = Database(embedded.app_database_url)
    keeper = KeeperStore(embedded.host_database_url)
    host = HostStore(embedded.host_database_url, Incarnation(uuid7(), "h", "m", 1))
    try:
        async with db.transaction(Scope()) as tx:
            assert (await tx.exec_driver_sql("SHOW synchronous_commit")).scalar() == "on"
        async with db.lookup(PUBLIC) as lookup:
            assert await lookup.fetchval("SHOW synchronous_commit") == "on"
        for held in (keeper._leases, *_connections(host)):
            async with held.use() as connection:
                assert await connection.fetchval("SHOW synchronous_commit") == "on"
    finally:
        for role in roles:
            await admin.execute(f"ALTER ROLE {role} RESET synchronous_commit")
        await db.close()
        await keeper.close()
        await host.close()


def _connections(host: HostStore) -> list[HostConnection]:
    return [value for value in vars(host).values() if isinstance(value, HostConnection)]
