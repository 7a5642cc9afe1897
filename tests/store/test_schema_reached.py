"""Who serves does not use a schema that is older than its build, and goes on once it is not."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from cli.operator.doctor import _of_schema
from core.errors import Unavailable
from core.ids import uuid7
from core.settings import Settings
from deployments.kit.resources import _schema_is_current, _schema_is_well
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import HostStore
from store.hosts.keeping import KeeperStore
from store.hosts.leases import Incarnation
from store.kit import migrate, reached
from store.kit.engine import Database, Scope
from tests.runtime.conftest import urls_of
from tests.store.test_migrate import fresh

GRANTED, BEFORE = "0045_schema_is_known", "0044_restocked_as"


def test_the_head_is_the_last_migration() -> None:
    assert ScriptDirectory.from_config(migrate._config()).get_current_head() == reached.HEAD


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (None, True),
        ("0032_before_the_baseline", True),
        ("0044_earlier", True),
        ("0045_mine", False),
        ("0045_named_otherwise", False),
        ("0046_of_a_younger_build", False),
    ],
)
def test_a_lower_number_is_an_older_schema(found: str | None, lacks: bool) -> None:
    assert reached.is_below(found, "0045_mine") is lacks


async def test_nobody_serves_on_an_older_schema(embedded: Settings) -> None:
    """Before 0045 only the owner could read how far it has come: that is older, too."""
    async with fresh(embedded, "older_schema") as url:
        await asyncio.to_thread(migrate.upgrade, url, BEFORE)
        urls = urls_of(embedded, "older_schema")
        db, keeper = Database(urls.app), KeeperStore(urls.host)
        host = HostStore(urls.host, Incarnation(uuid7(), "h0", "here", 2**23))
        try:
            with pytest.raises(Unavailable):
                async with db.lookup(Scope(uuid4())) as lookup:
                    await lookup.fetchval("SELECT 1")
            with pytest.raises(OutcomeUnknown):
                await host.register()
            with pytest.raises(OutcomeUnknown):
                await keeper.beat(uuid7(), first=True)
            with pytest.raises(Unavailable, match=reached.HEAD):
                await _schema_is_well(db)
            starting = asyncio.create_task(_schema_is_current(db))
            owner = await asyncpg.connect(url)
            assert (await _found(owner)).verdict == "wrong"
            assert BEFORE in (await _found(owner)).said
            assert await owner.fetchval("SELECT count(*) FROM shard_hosts") == 0
            assert not starting.done()
            await asyncio.to_thread(migrate.upgrade, url)
            await asyncio.wait_for(starting, 30)
            await host.register()
            assert await keeper.beat(uuid7(), first=True)
            await _schema_is_well(db)
            assert (await _found(owner)).verdict == "well"
            await owner.close()
        finally:
            await asyncio.gather(db.close(), keeper.close(), host.close())


async def _found(owner: asyncpg.Connection) -> object:
    return _of_schema(await reached.current(owner))


async def test_the_build_before_serves_on_a_younger_schema(embedded: Settings) -> None:
    db = Database(embedded.app_database_url, schema=GRANTED)
    younger = Database(embedded.app_database_url, schema="9999_not_there_yet")
    try:
        assert await db.lacks_migrations() is None
        assert reached.HEAD in str(await younger.lacks_migrations())
    finally:
        await asyncio.gather(db.close(), younger.close())
