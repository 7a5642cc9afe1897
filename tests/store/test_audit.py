"""The audit log only grows, and holds little."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.ids import uuid7
from core.paging import Span
from core.principal import Principal, Role
from core.settings import Settings
from store.kit import audit
from store.kit.engine import Database, Scope

OWNER = Principal(str(uuid7()), Role.OWNER)


_FIRST = Span(1, 20)


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url)
    yield database
    await database.close()


async def test_what_is_recorded_is_read_newest_first_and_filtered(db: Database) -> None:
    tenant, one, two = uuid7(), uuid7(), uuid7()
    async with db.transaction(Scope(tenant)) as tx:
        await audit.record(tx, tenant, OWNER, "thing.created", one, {"size": (None, 3)})
        await audit.record(tx, tenant, OWNER, "thing.created", two)
        await audit.record(tx, tenant, OWNER, "thing.updated", one, {"text": ("a", "b" * 999)})
    async with db.transaction(Scope(tenant)) as tx:
        part = await audit.entries(tx, audit.Filters(), Span(1, 2))
        found = part.items
        assert ([entry.subject for entry in found], part.total) == ([one, two], 3)
        rest = await audit.entries(tx, audit.Filters(), Span(1, 2, part.next_cursor))
        assert ([entry.subject for entry in rest.items], rest.total) == ([one], 3)
        assert (rest.page, rest.next_cursor) == (2, None)
        assert len(found[0].changes["text"][1]) == audit.MAX_TEXT
        narrow = audit.Filters(subject=one, action="thing.created", actor_id=found[0].actor_id)
        (entry,) = (await audit.entries(tx, narrow, _FIRST)).items
        assert entry.changes == {"size": [None, 3]}
        since = audit.Filters(since=found[0].at)
        assert (await audit.entries(tx, since, _FIRST)).total == 1
        until = audit.Filters(until=found[0].at)
        assert (await audit.entries(tx, until, _FIRST)).total == 2
    async with db.transaction(Scope(uuid7())) as tx:
        assert (await audit.entries(tx, audit.Filters(), _FIRST)).items == []


async def test_what_is_rolled_back_was_not_recorded(db: Database) -> None:
    tenant = uuid7()
    with pytest.raises(RuntimeError):
        async with db.transaction(Scope(tenant)) as tx:
            await audit.record(tx, tenant, OWNER, "thing.created", uuid7())
            raise RuntimeError
    async with db.transaction(Scope(tenant)) as tx:
        assert (await audit.entries(tx, audit.Filters(), _FIRST)).total == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"]
)
async def test_no_serving_role_changes_the_past(embedded: Settings, statement: str) -> None:
    for url in (embedded.app_database_url, embedded.host_database_url):
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        finally:
            await connection.close()
