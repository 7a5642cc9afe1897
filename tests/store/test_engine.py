"""The replicas' pool when the server fails it: everybody is told in bounded time, by the one error
that means so, and a connection that is in doubt is never used again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.errors import Unavailable
from core.ids import uuid7
from core.settings import Settings
from store.embedded import postgres
from store.embedded.leftovers import inside
from store.kit import circuit, engine
from store.kit.engine import PUBLIC, Database, Scope
from tests.conftest import fresh_settings

_PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def db(embedded: Settings) -> AsyncIterator[Database]:
    database = Database(embedded.app_database_url, pool_size=2)
    yield database
    await database.close()


async def pid(db: Database) -> int:
    async with db.transaction(Scope()) as tx:
        return int((await tx.execute(_PID)).scalar_one())


async def run(db: Database, *statements: str) -> int:
    """Runs them in one transaction; the backend's pid."""
    async with db.transaction(Scope()) as tx:
        found = int((await tx.execute(_PID)).scalar_one())
        for statement in statements:
            await tx.execute(text(statement))
    return found


# --- errors, and what becomes of the connection -----------------------------------------------


@pytest.mark.parametrize(
    "sqlstate", ["25006", "40P01", "40001", "55P03", "53300", "57014", "58030", "08006"]
)
async def test_what_blames_the_server_or_a_rival_may_be_tried_again(
    db: Database, sqlstate: str
) -> None:
    with pytest.raises(Unavailable) as told:
        await run(db, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$")
    assert told.value.retry_after_seconds


@pytest.mark.parametrize("sqlstate", ["22003", "23505", "40P01", "40001"])
async def test_a_connection_outlives_what_blames_data_or_a_rival(
    db: Database, sqlstate: str
) -> None:
    before = await pid(db)
    with pytest.raises((Unavailable, DBAPIError)):
        await run(db, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$")
    assert await pid(db) == before


@pytest.mark.parametrize("sqlstate", ["25006", "42501", "55000", "XX000"])
async def test_it_is_dropped_after_any_other_error(db: Database, sqlstate: str) -> None:
    before = await pid(db)
    with pytest.raises((Unavailable, DBAPIError)):
        await run(db, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$")
    assert await pid(db) != before


async def test_a_demoted_server_is_left(db: Database) -> None:
    """Postgres switched over, and the pool's connections lead to the one that was demoted."""
    write = "CREATE TEMP TABLE t (n int)"
    before = await run(db, write, "SET default_transaction_read_only = on")
    with pytest.raises(Unavailable):
        await run(db, "INSERT INTO outbox (event_id) VALUES (NULL)")
    assert await run(db, write) != before


async def test_what_a_migration_retyped_is_read_when_it_is_asked_again(
    db: Database, embedded: Settings
) -> None:
    """Statements that are prepared say what they give; a request that meets the change may come
    again, and finds it as it is now."""
    owner = await asyncpg.connect(embedded.owner_database_url)
    await owner.execute("CREATE TABLE retyped AS SELECT 1 AS n; GRANT SELECT ON retyped TO PUBLIC")
    read = "SELECT n FROM retyped"
    await run(db, read)
    try:
        async with db.lookup(PUBLIC) as lookup:
            await lookup.fetchrow(read)
        await owner.execute("ALTER TABLE retyped ALTER COLUMN n TYPE bigint")
        with pytest.raises(Unavailable):
            await run(db, read)
        with pytest.raises(Unavailable):
            async with db.lookup(PUBLIC) as lookup:
                await lookup.fetchrow(read)
        await run(db, read)
        async with db.lookup(PUBLIC) as lookup:
            assert await lookup.fetchval(read) == 1
    finally:
        await owner.execute("DROP TABLE retyped")
        await owner.close()


async def test_a_forgotten_lock_is_not_waited_for_without_end(
    db: Database, embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_MS", 100)
    forgetful = await asyncpg.connect(embedded.owner_database_url)
    try:
        async with forgetful.transaction():
            await forgetful.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await run(db, "SELECT 1 FROM users")
            with pytest.raises(Unavailable):
                async with db.lookup(PUBLIC) as lookup:
                    await lookup.execute("SELECT 1 FROM users")
            assert time.monotonic() - began < engine.STATEMENT_TIMEOUT_MS / 1000
    finally:
        await forgetful.close()
    await run(db, "SELECT 1 FROM users")


async def test_rows_that_somebody_holds_keep_one_tenants_connections(embedded: Settings) -> None:
    """However many of its requests wait for them, others have half of the connections."""
    held, db = Scope(tenant_id=uuid7()), Database(embedded.app_database_url, pool_size=2)
    waiting: list[asyncio.Task[None]] = []
    arrived = asyncio.Event()

    async def wait() -> None:
        async with db.transaction(held) as tx:
            arrived.set()
            await tx.execute(text("SELECT pg_advisory_xact_lock(4711)"))

    forgetful = await asyncpg.connect(embedded.owner_database_url)
    try:
        async with forgetful.transaction():
            await forgetful.execute("SELECT pg_advisory_xact_lock(4711)")
            waiting = [asyncio.create_task(wait()) for _ in range(4)]
            await arrived.wait()
            async with asyncio.timeout(engine.LOCK_TIMEOUT_MS / 1000 / 2):
                async with db.transaction(Scope(tenant_id=uuid7())) as tx:
                    await tx.execute(_PID)
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
        assert not db._shares._turns, "who has none open is not remembered"
    finally:
        await forgetful.close()
        await db.close()


async def test_a_server_without_room_is_told_in_time_and_found_again(
    db: Database, embedded: Settings
) -> None:
    """What a replica has it goes on using; what it cannot get is told at once."""
    owner = await asyncpg.connect(embedded.owner_database_url)
    mine = await pid(db)
    try:
        await owner.execute("ALTER ROLE holdfast_app CONNECTION LIMIT 0")
        async with db.transaction(Scope()) as tx:
            assert (await tx.execute(_PID)).scalar_one() == mine
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await pid(db)
            assert time.monotonic() - began < 2
        assert await pid(db) == mine
    finally:
        await owner.execute("ALTER ROLE holdfast_app CONNECTION LIMIT -1")
        await owner.close()
    async with db.transaction(Scope()):
        assert await pid(db) != mine


# --- a server of its own, to be stopped -------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = fresh_settings(tmp_path_factory.mktemp("own"))
    with started(settings):
        yield settings


@contextmanager
def started(settings: Settings) -> Iterator[None]:
    server = postgres.start(settings)
    try:
        server.wait_ready()
        yield
    finally:
        server.stop()


@contextmanager
def stopped(home: Path) -> Iterator[None]:
    """Every process of the server stands still, and its sockets stay open."""
    processes = inside(home / "postgres")
    assert processes
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


async def refused(db: Database, *, looking_up: bool = False) -> float:
    """Seconds until a caller is told."""
    began = time.monotonic()
    with pytest.raises(Unavailable):
        async with db.lookup(PUBLIC) if looking_up else db.transaction(Scope()) as tx:
            await tx.execute("SELECT 1" if looking_up else text("SELECT 1"))
    return time.monotonic() - began


async def test_a_silent_server_costs_its_first_callers_seconds_and_the_others_nothing(
    own: Settings,
) -> None:
    db = Database(own.owner_database_url, pool_size=2, schema=None)
    try:
        await asyncio.gather(pid(db), pid(db))
        with stopped(own.home_path):
            first = [refused(db) for _ in range(6)] + [refused(db, looking_up=True)]
            took = max(await asyncio.gather(*first))
            print(f"told after {took:.1f} s")
            assert took < engine.STATEMENT_TIMEOUT_MS / 1000, "sooner than any other limit"
            later = [await refused(db, looking_up=bool(n % 2)) for n in range(50)]
            assert sum(later) < circuit.PROBE_TIMEOUT_SECONDS, "nobody waits any more"
        async with asyncio.timeout(15):
            while True:
                try:
                    await pid(db)
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
        await asyncio.gather(*(pid(db) for _ in range(8)))
    finally:
        await db.close()


async def test_slow_work_is_no_silence(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_COMMIT_TIMEOUT_SECONDS", 1)
    db = Database(own.owner_database_url, pool_size=1, schema=None)
    try:
        await asyncio.gather(run(db, "SELECT pg_sleep(2.5)"), run(db, "SELECT 1"))
    finally:
        await db.close()


async def test_nobody_notices_that_it_was_started_again(tmp_path: Path) -> None:
    own = fresh_settings(tmp_path / "home")
    db = Database(own.owner_database_url, schema=None)
    before: set[int] = set()
    try:
        for _ in range(2):
            # Aside, so that the driver hears of the connections' ends meanwhile.
            server = await asyncio.to_thread(postgres.start, own)
            try:
                await asyncio.to_thread(server.wait_ready)
                pids = set(await asyncio.gather(*(pid(db) for _ in range(4))))
                assert not before & pids
                before = pids
            finally:
                await asyncio.to_thread(server.stop)
    finally:
        await db.close()
