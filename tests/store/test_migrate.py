"""Migrations beside traffic: whoever stands in their way is waited for, and nobody else waits."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from core.settings import Settings
from store.kit import migrate
from store.kit.schema import index_concurrently
from tests.runtime.conftest import urls_of

BEFORE = "0018_api_keys"
STORE = Path(__file__).parents[2] / "store"
_TABLE = re.compile(r"= Table\(\s*\"(?P<name>\w+)\"")
APART, COMPOSED = "cafe\u0301", "caf\u00e9"


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
        await backup.execute("LOCK TABLE shard_hosts IN ACCESS SHARE MODE")
        migration = asyncio.create_task(asyncio.to_thread(migrate.upgrade, url))
        waits = []
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            began = time.monotonic()
            await writer.execute("UPDATE shard_hosts SET pid = pid", timeout=10)
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.005)
        assert not migration.done()
        await reading.rollback()
        await asyncio.wait_for(migration, 60)
        print(f"{len(waits)} writes, the slowest {max(waits):.3f} s")
        assert sum(waits) < 2.5 * 0.6, "they waited for the migration's turn"
        assert await writer.fetchval("SELECT count(superseded_at) FROM shard_hosts") == 0
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
            await forgotten.execute("LOCK TABLE shard_hosts IN ACCESS SHARE MODE")
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


async def test_two_machines_migrate_at_once(embedded: Settings) -> None:
    async with fresh(embedded, "migrated_by_two") as url:
        await asyncio.gather(*(asyncio.to_thread(migrate.upgrade, url) for _ in range(2)))
        assert await asyncio.to_thread(migrate.differences, url) == []


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


@asynccontextmanager
async def _with_codes(settings: Settings, name: str) -> AsyncIterator[tuple[str, Any]]:
    """A database of before codes had one form, with products of each kind, and its owner."""
    async with fresh(settings, name) as url:
        await asyncio.to_thread(migrate.upgrade, url, "0031_prices_in_order")
        owner, tenant = await asyncpg.connect(url), uuid4()
        await owner.execute("SELECT set_config('holdfast.tenant_id', $1, false)", str(tenant))
        await owner.execute(
            "INSERT INTO businesses (id, name, currency) VALUES ($1, 'Ann', 'EUR')", tenant
        )
        given = ((APART, APART), ("o\u0308l", APART * 2), ("\u00f6l", None), ("x", None))
        for sku, barcode in given:
            await owner.execute(
                "INSERT INTO products (id, tenant_id, created_by, name, description, price_minor,"
                " price_e4, currency, images, sku, barcode, version, created_at, updated_at)"
                " VALUES ($1, $2, $2, 'Thing', '', 1, 100, 'EUR', '[]', $3, $4, 1, now(), now())",
                *(uuid4(), tenant, sku, barcode),
            )
        yield url, owner
        await owner.close()


async def test_codes_are_put_into_one_form(embedded: Settings) -> None:
    """Where two differ in their form alone, both stay: nobody loses a product. What else one of
    them has is put into it."""
    async with _with_codes(embedded, "migrated_codes") as (url, owner):
        await asyncio.to_thread(migrate.upgrade, url)
        rows = await owner.fetch("SELECT sku, barcode FROM products")
        assert {tuple(row) for row in rows} == {
            (COMPOSED, COMPOSED),
            ("o\u0308l", COMPOSED * 2),
            ("\u00f6l", None),
            ("x", None),
        }
        codes = await owner.fetch("SELECT code FROM item_codes WHERE code LIKE 'caf%'")
        assert sorted(row["code"] for row in codes) == [COMPOSED, COMPOSED, COMPOSED * 2]
        forced = "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname = ANY($1)"
        assert await owner.fetchval(forced, ["products", "product_variants"])


async def test_products_are_read_while_their_codes_change_form(embedded: Settings) -> None:
    async with _with_codes(embedded, "migrated_codes_slowly") as (url, owner):
        await owner.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$"
        )
        await owner.execute(
            "CREATE TRIGGER slow BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        changing = asyncio.create_task(asyncio.to_thread(migrate.upgrade, url))
        busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'"
        while not await owner.fetchval(busy, "migrated_codes_slowly"):
            assert not changing.done()
            await asyncio.sleep(0.01)
        await owner.execute("SET lock_timeout = 100")
        assert await owner.fetchval("SELECT count(*) FROM products") == 4
        assert await owner.fetchval(busy, "migrated_codes_slowly"), "it was read meanwhile"
        await changing


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
