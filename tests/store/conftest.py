"""A database whose outbox is nobody else's, for tests of who reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from core.settings import Settings
from store.kit import migrate
from tests.runtime.conftest import urls_of
from tests.runtime.kit import Urls
from tests.store.consumer_kit import EFFECTS, Ground, ground

NAME = "consumers"
_TABLES = "outbox, consumers, consumer_backlog, effects, shard_leases, shard_hosts"


@pytest.fixture(scope="package")
def reading(embedded: Settings) -> Iterator[Urls]:
    async def administer(url: str, statement: str) -> None:
        owner = await asyncpg.connect(url)
        await owner.execute(statement)
        await owner.close()

    found = urls_of(embedded, NAME)
    asyncio.run(administer(embedded.owner_database_url, f"CREATE DATABASE {NAME}"))
    migrate.upgrade(found.owner)
    asyncio.run(administer(found.owner, EFFECTS))
    yield found
    drop = f"DROP DATABASE {NAME} WITH (FORCE)"
    asyncio.run(administer(embedded.owner_database_url, drop))


@pytest.fixture
async def at(reading: Urls) -> AsyncIterator[Ground]:
    async with ground(reading) as found:
        await found.owner.execute(f"TRUNCATE {_TABLES} CASCADE")
        yield found
