"""The application in this process, against the embedded Postgres and Valkey: everything but Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg
import httpx2
from fastapi import FastAPI

from actors.runtime.bus import Decided
from core.clock import Clock, SystemClock
from core.settings import Settings
from deployments import meta
from deployments.auth.capability import capability as auth
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import Capability
from deployments.kit.desk import hooks_of
from gateway.app import create_app
from gateway.edge import Edge
from gateway.passwords import Passwords
from gateway.rate_limit import Limits
from store.kit.engine import Database, open_transactions
from store.kit.redis import Redis
from tests.records import Records
from tests.runtime.kit import Cluster, Urls

BASE = (meta.capability, auth)


class LazyBus:
    """A command bus whose hosts start with the first command: most tests send none."""

    def __init__(self, settings: Settings) -> None:
        self._urls = Urls(
            settings.owner_database_url, settings.app_database_url, settings.host_database_url
        )
        self._cluster: Cluster | None = None
        self._starting = asyncio.Lock()

    async def send(self, *arguments: Any) -> Decided:
        assert not open_transactions(), "a transaction is held while a host is waited for"
        return await (await self.cluster()).bus.send(*arguments)

    async def read(self, *arguments: Any) -> Decided:
        assert not open_transactions(), "a transaction is held while a host is waited for"
        return await (await self.cluster()).bus.read(*arguments)

    async def cluster(self) -> Cluster:
        """The hosts, started if they are not."""
        async with self._starting:
            if self._cluster is None:
                self._cluster = Cluster(self._urls, 1)
                await self._cluster.start()
        return self._cluster

    async def stop(self) -> None:
        if self._cluster is not None:
            await self._cluster.stop()


@dataclass
class InProcess:
    """Resources of one replica, with shard hosts in this process where a test needs them."""

    settings: Settings
    limits: Limits | None = None
    checks: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    redis_url: str | None = None
    process: str = "replica-test"
    clock: Clock = field(default_factory=SystemClock)
    # Who comes in by a password costs more than all else that a test asks; here it is cheap.
    passwords: Passwords = field(default_factory=lambda: Passwords(passes=1, memory_kib=64))
    # All that there are, whichever of them a test serves; it calls by itself what are tasks.
    capabilities: tuple[Capability, ...] = CAPABILITIES
    parts: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.db = Database(self.settings.app_database_url)
        self.redis = Redis(self.redis_url or self.settings.effective_redis_url)
        self.bus = LazyBus(self.settings)
        self.hooks = hooks_of(self.capabilities)
        self.edge = Edge(
            self.settings,
            self.db,
            self.redis,
            self.clock,
            process=self.process,
            limits=self.limits,
            passwords=self.passwords,
        )

    async def start(self) -> None:
        await self.edge.start()

    async def stop(self) -> None:
        await self.edge.stop()
        await self.bus.stop()
        await self.redis.close()
        await self.db.close()


@dataclass
class Served:
    app: FastAPI
    resources: InProcess
    http: httpx2.AsyncClient
    records: Records


@asynccontextmanager
async def serving(
    settings: Settings,
    capabilities: Sequence[Capability] = BASE,
    *,
    peer: str = "203.0.113.7",
    create: Mapping[str, Any] | None = None,
    **rest: Any,
) -> AsyncIterator[Served]:
    """An application and a client of it, whose requests come from the address `peer`. `create`
    goes to `create_app`, everything else to InProcess."""
    resources = InProcess(settings, **rest)
    app = create_app(settings, capabilities, resources, **(create or {}))
    transport = httpx2.ASGITransport(app, client=(peer, 40_000))
    records = Records(partial(asyncpg.connect, settings.owner_database_url, timeout=30))
    await resources.start()
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as http:
            yield Served(app, resources, http, records)
    finally:
        records.close()
        await resources.stop()
