"""The command log's days come and go beside traffic, whatever reads it, however long all rested."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from actors.stock import model as m
from core.settings import Settings
from store.hosts import leases
from store.hosts.keeping import KeeperStore
from store.kit import migrate
from store.kit.engine import Database, Scope
from tests.runtime.clients import Shop
from tests.runtime.kit import Cluster, Urls, running
from tests.store.test_migrate import fresh
from tests.waiting import eventually, until

_DAYS = """
SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
WHERE inhparent = 'command_log'::regclass AND NOT inhdetachpending ORDER BY relname
"""


def _today() -> date:
    return datetime.now(UTC).date()


def _part(days_from_now: int) -> str:
    return f"command_log_p{_today() + timedelta(days_from_now):%Y%m%d}"


AHEAD = [_part(days) for days in range(15)]


async def _days(connection: asyncpg.Connection) -> list[str]:
    return [row[0] for row in await connection.fetch(_DAYS)]


@asynccontextmanager
async def owner_of(urls: Urls) -> AsyncIterator[asyncpg.Connection]:
    owner = await asyncpg.connect(urls.owner)
    try:
        yield owner
    finally:
        await owner.close()


async def _selling(shop: Shop, product: Any, gaps: list[float]) -> None:
    last = time.monotonic()
    while True:
        await shop.send(shop.reserve(product))
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
        await asyncio.sleep(0.005)


async def test_a_rotation_beside_a_backup_stops_no_write(urls: Urls) -> None:
    """A backup holds the log for as long as it takes; the new day comes, the old one goes later."""
    async with running(urls, 1) as cluster, owner_of(urls) as owner, owner_of(urls) as backup:
        shop = Shop(cluster)
        (product,) = await shop.stock(100_000)
        for days in (-20, -21):
            await owner.execute("SELECT make_command_log_day($1)", _today() + timedelta(days))
        await owner.execute(f"DROP TABLE {AHEAD[-1]}")
        reading = backup.transaction()
        await reading.start()
        await backup.execute("LOCK TABLE command_log IN ACCESS SHARE MODE")
        gaps: list[float] = []
        selling = asyncio.create_task(_selling(shop, product, gaps))
        for _ in range(3):
            assert not await cluster.keeper_store.rotate_command_log(), "the backup reads yet"
            # Sold while the backup goes on; two, since the first may have been on its way before.
            enough = len(gaps) + 2
            await until(lambda enough=enough: len(gaps) >= enough)
        assert AHEAD[-1] in await _days(owner)
        assert await owner.fetchval("SELECT to_regclass($1)", _part(-20))
        await reading.rollback()
        async with asyncio.timeout(20):
            while not await cluster.keeper_store.rotate_command_log():
                await asyncio.sleep(0.1)
        assert not selling.done(), selling
        selling.cancel()
        assert await _days(owner) == AHEAD
        for days in (-20, -21):
            assert not await owner.fetchval("SELECT to_regclass($1)", _part(days))
        print(f"{len(gaps)} sales, longest pause {max(gaps):.3f} s of {sum(gaps):.1f} s")


async def test_after_weeks_of_rest_a_keeper_makes_the_days_and_beats(urls: Urls) -> None:
    """No day is left to write to. Commands wait for the day to be made; none is told no."""
    async with owner_of(urls) as owner:
        for name in await _days(owner):
            await owner.execute(f"DROP TABLE {name}")
        await owner.execute("SELECT make_command_log_day($1)", _today() - timedelta(40))
        async with running(urls, 1) as cluster:
            shop = Shop(cluster)
            (product,) = await shop.stock(10)
            assert isinstance(await shop.insist(shop.reserve(product)), m.Hold)
            await _until_days_are(owner, AHEAD)
            assert await _silence_seconds(cluster) < 5


async def test_commands_wait_for_a_day_that_is_missing(urls: Urls) -> None:
    async with running(urls, 1) as cluster, owner_of(urls) as owner:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        await _until_days_are(owner, AHEAD)
        await owner.execute(f"DROP TABLE {AHEAD[0]}")
        sale = asyncio.create_task(shop.send(shop.reserve(product)))
        await asyncio.sleep(0.5)
        assert not sale.done()
        cluster.keeper._rotated_at_seconds = float("-inf")  # a minute passes
        assert isinstance(await sale, m.Hold)


async def test_housekeeping_that_fails_stops_neither_beat_nor_takeover(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> bool:
        raise ValueError("a bug")

    monkeypatch.setattr(KeeperStore, "rotate_command_log", fails)
    monkeypatch.setattr("actors.runtime.keeper.ROTATE_SECONDS", 0.0)
    async with running(urls, 1) as cluster:
        cluster.kill("h0")
        await cluster.settled()
        assert await _silence_seconds(cluster) < 5


async def test_a_keeper_deletes_events_that_are_old(urls: Urls) -> None:
    async with owner_of(urls) as owner:
        await owner.execute(
            "INSERT INTO outbox (event_id, tenant_id, type, subject, time, data)"
            " SELECT gen_random_uuid(), gen_random_uuid(), 't', 's', now() - age, '{}'"
            " FROM unnest('{8 days, 1 day}'::interval[]) AS age"
        )

        async def only_the_young_one_is_left() -> bool:
            return bool(await owner.fetchval("SELECT count(*) = 1 FROM outbox"))

        async with running(urls, 1):
            await eventually(only_the_young_one_is_left)


async def _silence_seconds(cluster: Cluster) -> float:
    async with cluster.db.transaction(Scope()) as tx:
        return await leases.keeper_silence_seconds(tx)


async def _until_days_are(owner: asyncpg.Connection, expected: list[str]) -> None:
    async with asyncio.timeout(20):
        while await _days(owner) != expected:
            await asyncio.sleep(0.1)


# --- migrations --------------------------------------------------------------------------------


async def test_a_start_makes_the_days_that_are_missing(embedded: Settings) -> None:
    async with fresh(embedded, "rested_longer") as url:
        await asyncio.to_thread(migrate.upgrade, url)
        owner = await asyncpg.connect(url)
        for name in await _days(owner):
            await owner.execute(f"DROP TABLE {name}")
        await asyncio.to_thread(migrate.upgrade, url)
        assert await _days(owner) == AHEAD
        await owner.close()


async def test_an_owner_who_is_no_superuser_will_do(embedded: Settings) -> None:
    """As on a server that somebody else runs: roles and rights suffice to migrate and to rotate,
    and those who serve may still not create anything."""
    admin = await asyncpg.connect(embedded.owner_database_url)
    await admin.execute("CREATE ROLE landlord LOGIN CREATEROLE")
    await admin.execute("GRANT holdfast_app, holdfast_host TO landlord WITH ADMIN OPTION")
    try:
        async with fresh(embedded, "rented") as url:
            await admin.execute("ALTER DATABASE rented OWNER TO landlord")
            await asyncio.to_thread(migrate.upgrade, url.replace("postgres@", "landlord@"))
            assert await asyncio.to_thread(migrate.differences, url) == []
            landlord = await asyncpg.connect(url.replace("postgres@", "landlord@"))
            await landlord.execute("SELECT make_command_log_day($1)", _today() - timedelta(20))
            host_url = url.replace("postgres@", "holdfast_host@")
            keeper = KeeperStore(host_url)
            assert await keeper.rotate_command_log()
            await keeper.close()
            assert await _days(landlord) == AHEAD
            await landlord.close()
            for role in ("holdfast_host", "holdfast_app"):
                db = Database(url.replace("postgres@", f"{role}@"))
                with pytest.raises(Exception, match="permission denied"):
                    async with db.transaction(Scope()) as tx:
                        await tx.exec_driver_sql("CREATE TABLE mine ()")
                await db.close()
    finally:
        await admin.execute("DROP OWNED BY landlord")
        await admin.execute("DROP ROLE landlord")
        await admin.close()
