"""A database of its own for every test, and the seed that a failure replays from."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio
import structlog

from core.settings import Settings
from store.kit import migrate
from tests.conftest import fresh_settings
from tests.runtime.kit import SHARDS, Urls
from tests.runtime.own_server import OwnServer

# "long": everything at its full size, once. "rounds": the short form, again and again.
CHAOS = os.environ.get("HOLDFAST_CHAOS", "")
LONG = CHAOS == "long"
# Times are promised to a machine that has some to spare; a busy one proves the rest all the same.
PATIENCE = 1 if CHAOS else 10

_numbers = itertools.count()


@pytest.fixture(scope="package", autouse=True)
def quiet() -> Iterator[None]:
    """Silences what hosts say while they are killed by the dozen: the tracebacks take longer
    than the tests. HOLDFAST_TEST_LOG=1 shows them."""
    before = structlog.get_config()
    if "HOLDFAST_TEST_LOG" not in os.environ:
        wrapper = structlog.make_filtering_bound_logger(logging.CRITICAL)
        structlog.configure(wrapper_class=wrapper, cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


def urls_of(settings: Settings, database: str) -> Urls:
    plain = (settings.owner_database_url, settings.app_database_url, settings.host_database_url)
    return Urls(*(url.replace("/holdfast?", f"/{database}?") for url in plain))


async def make_template(settings: Settings, name: str = "runtime_template") -> str:
    """A migrated database with few shards, which the tests' own are copied from."""
    urls = urls_of(settings, name)
    await _administer(settings, f"CREATE DATABASE {name}")
    await asyncio.to_thread(migrate.upgrade, urls.owner)
    owner = await asyncpg.connect(urls.owner)
    await owner.execute("UPDATE installation SET value = $1 WHERE name = 'shards'", str(SHARDS))
    await owner.close()
    return name


@asynccontextmanager
async def copied(settings: Settings, template: str) -> AsyncIterator[Urls]:
    async with made_database(settings, f"TEMPLATE {template}") as urls:
        yield urls


@asynccontextmanager
async def made_database(settings: Settings, options: str) -> AsyncIterator[Urls]:
    """A database that is there until the block ends."""
    name = f"runtime_{next(_numbers)}"
    await _administer(settings, f"CREATE DATABASE {name} {options}")
    try:
        yield urls_of(settings, name)
    finally:
        await _administer(settings, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _administer(settings: Settings, statement: str) -> None:
    admin = await asyncpg.connect(settings.owner_database_url)
    try:
        await admin.execute(statement)
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def template(embedded: Settings) -> str:
    return asyncio.run(make_template(embedded))


@pytest_asyncio.fixture
async def urls(embedded: Settings, template: str) -> AsyncIterator[Urls]:
    async with copied(embedded, template) as found:
        yield found


@pytest.fixture(scope="package")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    server = OwnServer(fresh_settings(tmp_path_factory.mktemp("own")))
    try:
        asyncio.run(make_template(server.settings))
        yield server
    finally:
        server.stop()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """From HOLDFAST_SEED, else a new one; printed, and shown when the test fails."""
    number = int(os.environ.get("HOLDFAST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed: HOLDFAST_SEED={number}")
    return number


@pytest.fixture
def rng(seed: int) -> random.Random:
    return random.Random(seed)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whether chance hits the race that a mechanism prevents depends on the machine: tests that
    switch one off run in the long form, where there is time for it."""
    for item in items:
        if "is_caught" in item.name and "tests/runtime" in item.path.as_posix() and not CHAOS:
            item.add_marker(pytest.mark.skip(reason="make chaos switches mechanisms off"))
