"""What all contenders stand on: one Postgres with fsync on, one Valkey, a database for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import asyncpg

from bench import goods, tills
from cli.supervisor.home import HomeLock
from core.settings import Settings
from store.embedded import Servers, running
from store.kit import migrate

Kind = Literal["baseline", "holdfast"]
T = TypeVar("T")

_TEMPLATES: dict[Kind, str] = {"baseline": "template_baseline", "holdfast": "template_holdfast"}


class Ground:
    """The servers, and databases on them. Valkey's database 0 is Holdfast's, 1 the baselines'."""

    def __init__(self, settings: Settings, servers: Servers) -> None:
        self.settings = settings
        self.servers = servers

    @property
    def redis_url(self) -> str:
        return self.settings.effective_redis_url

    def url(self, database: str) -> str:
        """Of a database, as the schema's owner."""
        return self.settings.owner_database_url.replace("/holdfast?", f"/{database}?")

    def prepare(self, commit_delay_us: int) -> None:
        """Makes the templates. With a delay each commit waits that long before it is flushed, as on
        a disk that takes its time, whichever session commits and however few do."""

        async def work(connection: asyncpg.Connection) -> None:
            await connection.execute(f"ALTER SYSTEM SET commit_delay = {commit_delay_us}")
            await connection.execute("ALTER SYSTEM SET commit_siblings = 0")
            await connection.execute("SELECT pg_reload_conf()")
            for name in _TEMPLATES.values():
                await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                await connection.execute(f"CREATE DATABASE {name}")

        self.run("postgres", work)
        self.run(_TEMPLATES["baseline"], goods.stock_baseline)
        self.run(_TEMPLATES["baseline"], tills.open_baseline)
        migrate.upgrade(self.url(_TEMPLATES["holdfast"]))
        self.run(_TEMPLATES["holdfast"], goods.stock_holdfast)
        self.run(_TEMPLATES["holdfast"], tills.open_holdfast)
        for name in _TEMPLATES.values():
            self.run(name, _analyze)

    def fresh(self, name: str, kind: Kind) -> str:
        """A new database with the opening stock, right after a checkpoint; returns its URL."""

        async def work(connection: asyncpg.Connection) -> None:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATES[kind]}")
            await connection.execute("CHECKPOINT")

        self.run("postgres", work)
        return self.url(name)

    def drop(self, name: str) -> None:
        async def work(connection: asyncpg.Connection) -> None:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

        self.run("postgres", work)

    def facts(self) -> dict[str, Any]:
        """What the server says about itself: version and everything that durability rests on."""
        names = (
            *("server_version", "fsync", "synchronous_commit", "full_page_writes"),
            *("wal_sync_method", "commit_delay", "commit_siblings", "shared_buffers"),
        )

        async def work(connection: asyncpg.Connection) -> dict[str, Any]:
            return {name: await connection.fetchval(f"SHOW {name}") for name in names}

        return self.run("postgres", work)

    def run(self, database: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """What `work` returns, given a connection of its own."""

        async def connected() -> T:
            connection = await asyncpg.connect(self.url(database), timeout=10, command_timeout=120)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())


async def _analyze(connection: asyncpg.Connection) -> None:
    await connection.execute("VACUUM ANALYZE")


@contextmanager
def ground(home: Path, commit_delay_us: int = 0) -> Iterator[Ground]:
    """Servers in `home`, prepared; stopped when the block ends. Raises HomeBusy when another run
    is at work there."""
    settings = Settings.model_validate({"home": home, "database_url": None, "redis_url": None})
    with HomeLock(settings), running(settings) as servers:
        made = Ground(settings, servers)
        made.prepare(commit_delay_us)
        yield made
