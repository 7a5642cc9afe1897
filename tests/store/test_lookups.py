"""Look-ups on raw connections: as walled off as transactions, and as patient with the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.errors import Unavailable
from core.ids import uuid7
from core.settings import Settings
from store.kit.engine import PUBLIC, Database, Scope

_SCOPE = (
    "SELECT current_setting('holdfast.tenant_id', true), current_setting('holdfast.audience', true)"
)


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url)
    yield database
    await database.close()


async def scope_seen(db: Database, scope: Scope) -> tuple[str, str]:
    async with db.lookup(scope) as lookup:
        return tuple(await lookup.fetchrow(_SCOPE))


async def test_a_scope_ends_with_its_lookup(db: Database) -> None:
    tenant = uuid7()
    for _ in range(2):
        assert await scope_seen(db, Scope(tenant)) == (str(tenant), "")
        assert await scope_seen(db, PUBLIC) == ("", "public")
        assert await scope_seen(db, Scope()) == ("", "")


async def test_nothing_is_written(db: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with db.lookup(Scope(uuid7())) as lookup:
            await lookup.execute("DELETE FROM products")
    assert await scope_seen(db, PUBLIC) == ("", "public")


async def test_more_than_there_are_connections_take_turns(db: Database) -> None:
    tenants = [uuid7() for _ in range(20)]
    seen = await asyncio.gather(*(scope_seen(db, Scope(tenant)) for tenant in tenants))
    assert seen == [(str(tenant), "") for tenant in tenants]


async def test_a_connection_that_ended_is_replaced(db: Database) -> None:
    with pytest.raises(Unavailable):
        async with db.lookup(PUBLIC) as lookup:
            await lookup.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await scope_seen(db, PUBLIC) == ("", "public")


async def test_one_who_gives_up_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), db.lookup(Scope(uuid7())) as lookup:
            await lookup.execute("SELECT pg_sleep(5)")
    assert await scope_seen(db, Scope()) == ("", "")
