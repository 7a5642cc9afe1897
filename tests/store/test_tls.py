"""TLS to Postgres and Redis: one URL, and everybody who uses it means the same by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from core.errors import Unavailable
from core.ids import uuid7
from core.settings import Settings
from store.doctor import drift
from store.hosts import leases
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import HostStore
from store.hosts.keeping import KeeperStore
from store.hosts.leases import Incarnation
from store.kit import migrate
from store.kit.connect import FAILURES
from store.kit.engine import PUBLIC, Database
from store.kit.redis import Redis, RedisUnavailable
from tests.tls import Authority, make_authority, tls_door

REFUSALS = (Unavailable, OutcomeUnknown, DBAPIError, *FAILURES)


@dataclass(frozen=True, slots=True)
class Doors:
    """To the embedded servers; `stranger` is an authority that signed neither certificate."""

    postgres: int
    redis: int
    authority: Authority
    stranger: Authority

    def settings(self, asked: str, host: str = "localhost") -> Settings:
        url = f"postgresql://postgres@{host}:{self.postgres}/holdfast{asked}"
        return Settings.model_validate({"database_url": url})


@pytest.fixture
async def doors(embedded: Settings, tmp_path: Path) -> AsyncIterator[Doors]:
    own, stranger = make_authority(tmp_path / "own"), make_authority(tmp_path / "stranger")
    async with (
        tls_door(own, embedded.run_dir / "pg" / ".s.PGSQL.5432", postgres=True) as postgres,
        tls_door(own, embedded.run_dir / "valkey.sock", postgres=False) as redis,
    ):
        yield Doors(postgres, redis, own, stranger)


async def everybody(settings: Settings) -> list[str]:
    """Has each user of the URL connect and work; who could not."""
    app, host = settings.app_database_url, settings.host_database_url
    db, keeper = Database(app), KeeperStore(host)
    incarnation = HostStore(host, Incarnation(uuid7(), "h", "m", 1))

    async def look_up() -> None:
        async with db.lookup(PUBLIC) as lookup:
            await lookup.fetchval("SELECT 1")

    work = {
        "transactions": db.now_ms(),
        "lookups": look_up(),
        "host": incarnation.owned(),
        "keeper": keeper.beat(uuid7(), first=True),
        "drift": drift.differences(host),
        "leases": asyncio.to_thread(leases.expire_all, settings.owner_database_url),
        "migrations": asyncio.to_thread(migrate.upgrade, settings.owner_database_url),
    }
    told = await asyncio.gather(*work.values(), return_exceptions=True)
    await db.close()
    await keeper.close()
    await incarnation.close()
    failures = [outcome for outcome in told if isinstance(outcome, BaseException)]
    assert all(isinstance(failure, REFUSALS) for failure in failures), told
    return [
        name for name, outcome in zip(work, told, strict=True) if isinstance(outcome, BaseException)
    ]


async def test_everybody_speaks_tls(doors: Doors) -> None:
    root = doors.authority.root
    for asked in (
        "?sslmode=require",
        f"?sslmode=verify-ca&sslrootcert={root}",
        f"?sslmode=verify-full&sslrootcert={root}",
        "?sslmode=prefer",
        "",
    ):
        assert await everybody(doors.settings(asked)) == []


async def test_nobody_speaks_to_a_server_that_is_not_what_it_should_be(doors: Doors) -> None:
    wrong, right = doors.stranger.root, doors.authority.root
    for asked, host in (
        ("?sslmode=disable", "localhost"),
        (f"?sslmode=verify-ca&sslrootcert={wrong}", "localhost"),
        (f"?sslmode=verify-full&sslrootcert={wrong}", "localhost"),
        # The certificate is made out to the name.
        (f"?sslmode=verify-full&sslrootcert={right}", "127.0.0.1"),
    ):
        assert len(await everybody(doors.settings(asked, host))) == 7
    assert (
        await everybody(doors.settings(f"?sslmode=verify-ca&sslrootcert={right}", "127.0.0.1"))
        == []
    )


async def test_redis_over_tls(doors: Doors) -> None:
    url = f"rediss://localhost:{doors.redis}/0?ssl_ca_certs="
    redis = Redis(f"{url}{doors.authority.root}")
    await redis.ping()
    await redis.close()
    for wrong in (f"{url}{doors.stranger.root}", f"redis://localhost:{doors.redis}/0"):
        redis = Redis(wrong)
        with pytest.raises(RedisUnavailable):
            await redis.ping()
        await redis.close()
