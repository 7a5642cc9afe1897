"""Migrations beside traffic: a session in their way is waited for, and no other one waits."""

from __future__ import annotations

import asyncio
import importlib
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, MetaData, Table, text

from cli.supervisor.ray_start import prepare_database
from core.build import code_digest
from core.settings import Settings
from store.kit import migrate
from store.kit.schema import index_concurrently, wall_of
from store.kit.walls import wall_differences
from tests.runtime.conftest import urls_of

# The next migration needs the locks of tables that everybody writes.
BEFORE = "0041_cards"
STORE = Path(__file__).parents[2] / "store"
_TABLE = re.compile(r"= Table\(\s*\"(?P<name>\w+)\"")


@asynccontextmanager
async def fresh(settings: Settings, name: str) -> AsyncIterator[str]:
    """An empty database's address, as its owner."""
    admin = await asyncpg.connect(settings.owner_database_url)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield urls_of(settings, name).owner
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


async def test_writes_go_on_while_a_migration_waits(embedded: Settings) -> None:
    """A backup holds what the migration needs: writers must not queue behind the migration."""
    async with fresh(embedded, "migrated_beside_traffic") as url:
        await asyncio.to_thread(migrate.upgrade, url, BEFORE)
        backup, writer = await asyncpg.connect(url), await asyncpg.connect(url)
        reading = backup.transaction()
        await reading.start()
        await backup.execute("LOCK TABLE reservations IN ACCESS SHARE MODE")
        migration = asyncio.create_task(asyncio.to_thread(migrate.upgrade, url))
        waits = []
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            began = time.monotonic()
            await writer.execute("UPDATE reservations SET status = status", timeout=10)
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.005)
        assert not migration.done()
        await reading.rollback()
        await asyncio.wait_for(migration, 60)
        print(f"{len(waits)} writes, the slowest {max(waits):.3f} s")
        assert sum(waits) < 2.5 * 0.6, "they waited for the migration's turn"
        assert await asyncio.to_thread(migrate.differences, url) == []
        await backup.close()
        await writer.close()


async def test_a_migration_that_never_gets_its_locks_says_who_has_them(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_PATIENCE_SECONDS", 0.2)
    async with fresh(embedded, "migrated_never") as url:
        await asyncio.to_thread(migrate.upgrade, url, BEFORE)
        forgotten = await asyncpg.connect(url, server_settings={"application_name": "forgotten"})
        async with forgotten.transaction():
            await forgotten.execute("LOCK TABLE pos_return_lines IN ACCESS SHARE MODE")
            with pytest.raises(migrate.MigrationBlocked, match="forgotten"):
                await asyncio.to_thread(migrate.upgrade, url)
        await asyncio.to_thread(migrate.upgrade, url)
        await forgotten.close()


async def test_an_older_build_says_that_the_database_is_younger(embedded: Settings) -> None:
    async with fresh(embedded, "migrated_later") as url:
        await asyncio.to_thread(migrate.upgrade, url)
        owner = await asyncpg.connect(url)
        await owner.execute("UPDATE alembic_version SET version_num = '9999_of_a_younger_build'")
        with pytest.raises(migrate.DatabaseIsYounger, match="9999_of_a_younger_build"):
            await asyncio.to_thread(migrate.upgrade, url)
        await owner.close()


async def test_who_stands_before_the_end_of_an_earlier_chain_goes_there_first(
    embedded: Settings,
) -> None:
    """There is no way into the baseline but from the end of what it was made of: nothing is
    touched on the way to being told."""
    async with fresh(embedded, "migrated_too_early") as url:
        owner = await asyncpg.connect(url)
        await owner.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        await owner.execute("INSERT INTO alembic_version VALUES ('0031_prices_in_order')")
        with pytest.raises(migrate.DatabaseIsOlder, match=r"0031_prices.* 0032_composed_codes"):
            await asyncio.to_thread(migrate.upgrade, url)
        tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert await owner.fetchval(f"{tables} AND relkind = 'r'") == 1
        await owner.close()


@pytest.mark.parametrize(
    ("statement", "differing"),
    [
        ("GRANT INSERT ON pos_sales TO holdfast_app", ("remove", "pos_sales", "right", "INSERT")),
        (
            "GRANT UPDATE (name) ON access_keys TO holdfast_app",
            ("remove", "access_keys", "right", "UPDATE"),
        ),
        ("REVOKE SELECT ON outbox FROM holdfast_app", ("add", "outbox", "right", "SELECT")),
        ("GRANT SELECT ON suppliers TO PUBLIC", ("remove", "suppliers", "right", "SELECT", "-")),
        (
            "GRANT SELECT (hash) ON refresh_tokens TO PUBLIC",
            ("remove", "refresh_tokens", "right", "SELECT", "-", "hash"),
        ),
        (
            "ALTER TABLE suppliers NO FORCE ROW LEVEL SECURITY",
            ("add", "suppliers", "row security", "on"),
        ),
        (
            "CREATE POLICY open ON suppliers FOR SELECT TO holdfast_app USING (true)",
            ("remove", "suppliers", "policy", "open"),
        ),
        (
            "DROP POLICY memberships_own ON memberships",
            ("add", "memberships", "policy", "memberships_own"),
        ),
        (
            "ALTER POLICY products_tenant ON products USING (true)",
            ("add", "products", "policy", "products_tenant"),
        ),
    ],
)
async def test_a_wall_that_is_not_as_its_table_says_is_told(
    embedded: Settings, statement: str, differing: tuple[str, ...]
) -> None:
    """What a migration grants and what its model says are compared like columns."""

    def after_the_statement(connection: Connection) -> list[Any]:
        connection.execute(text(statement))
        return wall_differences(connection, migrate.all_tables().sorted_tables)

    found = await migrate._with_connection(embedded.owner_database_url, after_the_statement)
    assert differing in {difference[: len(differing)] for difference in found}
    assert len(found) == (2 if "ALTER POLICY" in statement else 1)
    assert await asyncio.to_thread(migrate.differences, embedded.owner_database_url) == []


def test_a_table_says_who_may_do_what_with_it() -> None:
    silent = Table("silent", MetaData())
    with pytest.raises(ValueError, match="silent does not say"):
        wall_of(silent)


async def test_two_machines_migrate_at_once(embedded: Settings) -> None:
    async with fresh(embedded, "migrated_by_two") as url:
        await asyncio.gather(*(asyncio.to_thread(migrate.upgrade, url) for _ in range(2)))
        assert await asyncio.to_thread(migrate.differences, url) == []


async def test_roles_are_made_beside_another_database_that_makes_them(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the whole server's, and each database has its own lock: the second to make one
    finds it neither there nor free."""
    roles = importlib.import_module("store.migrations.versions.0033_roles")
    said: list[str] = []
    monkeypatch.setattr(roles, "op", SimpleNamespace(execute=said.append))
    monkeypatch.setattr(roles, "APP_ROLE", "trial_of_roles")
    monkeypatch.setattr(roles, "get_settings", lambda: embedded)
    roles.upgrade()
    ours, theirs = [await asyncpg.connect(embedded.owner_database_url) for _ in range(2)]
    try:
        making = ours.transaction()
        await making.start()
        await ours.execute("CREATE ROLE trial_of_roles")
        second = asyncio.create_task(theirs.execute(said[0]))
        async with asyncio.timeout(20):
            while not await ours.fetchval(
                "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1",
                theirs.get_server_pid(),
            ):
                await asyncio.sleep(0.02)
        await making.commit()
        await second
    finally:
        await ours.execute("DROP ROLE IF EXISTS trial_of_roles")
        await ours.close()
        await theirs.close()


async def test_an_index_is_built_beside_a_forgotten_writer(embedded: Settings) -> None:
    """It waits for the writer, and nobody waits for it; what an earlier try left is replaced."""
    async with fresh(embedded, "indexed") as url:
        await asyncio.to_thread(_in_migration, url, "CREATE TABLE things (name text)")
        writer, other = await asyncpg.connect(url), await asyncpg.connect(url)
        await other.execute("CREATE INDEX ix_things ON things (name)")
        forgotten = writer.transaction()
        await forgotten.start()
        await writer.execute("INSERT INTO things VALUES ('one')")
        building = asyncio.create_task(asyncio.to_thread(_in_migration, url, None))
        await asyncio.sleep(0.5)
        assert not building.done()
        await other.execute("INSERT INTO things VALUES ('two')", timeout=5)
        await forgotten.commit()
        await asyncio.wait_for(building, 30)
        assert await other.fetchval(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_things'::regclass"
        )
        await writer.close()
        await other.close()


def _in_migration(url: str, statement: str | None) -> None:
    """Runs a statement, or the building of an index, where a migration would."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    def work(connection: Any) -> None:
        options = {"transaction_per_migration": True}
        context = MigrationContext.configure(connection, opts=options)
        with context.begin_transaction(_per_migration=True):
            operations = Operations(context)
            if statement:
                operations.execute(statement)
            else:
                kit = SimpleNamespace(execute=operations.execute, get_context=lambda: context)
                index_concurrently(kit, "ix_things", "ON things (name)")

    asyncio.run(migrate._with_connection(url, work))


def test_no_table_is_overlooked() -> None:
    """A table that the walk over the store does not find is one that no migration is compared
    with: so it is counted in the sources, wherever they lie."""
    declared = {
        match["name"]
        for path in STORE.rglob("*.py")
        if "migrations" not in path.parts
        for match in _TABLE.finditer(path.read_text())
    }
    program = "from store.kit.migrate import all_tables; print(*all_tables().tables)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert len(declared) > 40
    assert set(found.stdout.split()) == declared


async def test_what_was_installed_since_migrates_before_it_is_served(embedded: Settings) -> None:
    """Ray was lost before anybody deployed: its supervisor, which begins it anew, is of the build
    before and knows of no migration."""
    async with fresh(embedded, "migrated_by_another_build") as url:
        await asyncio.to_thread(migrate.upgrade, url, BEFORE)
        settings = embedded.model_copy(update={"database_url": url})
        owner = await asyncpg.connect(url)
        for ready_for, is_current in ((code_digest(), False), ("0ther", True), ("go", True)):
            await asyncio.to_thread(prepare_database, settings, ready_for)
            at = await owner.fetchval("SELECT version_num FROM alembic_version")
            assert (at != BEFORE) is is_current, ready_for
        await owner.close()
        assert await asyncio.to_thread(migrate.differences, url) == []
