"""What every capability of one replica shares: made once, in `deployments.serving.replica`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Request

from actors.runtime.bus import CommandBus
from actors.runtime.directory import Directory
from actors.runtime.ports import Transport
from core.clock import Clock, SystemClock
from core.errors import Unavailable
from core.garbage import Tidying
from core.settings import Settings
from deployments.business.places import Places
from deployments.inventory.owners import ProductOwners
from deployments.kit.desk import Hooks
from deployments.meta import Degraded
from deployments.pos.card_payments.provider import Sandbox
from deployments.pos.card_payments.service import CardSales, CardWorker
from deployments.pos.sales.price_book import PriceBook
from gateway.edge import Edge
from store.hosts import leases
from store.hosts.leases import Shard
from store.kit.engine import Database, Scope
from store.kit.redis import Redis

CALIBRATE_SECONDS = 10.0
MAX_KEEPER_SILENCE_SECONDS = 10.0

Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Resources:
    """`bus` reaches the shard hosts, `db` reads and writes under row-level security; `watch` is
    for what the replica itself needs to know, which must not wait behind requests. `checks` are
    what `/ready` asks, by name: each raises when its part is not well. `hooks` are what
    capabilities do around the decisions of owners."""

    db: Database
    watch: Database
    redis: Redis
    clock: Clock
    edge: Edge
    bus: CommandBus
    owners: ProductOwners
    places: Places
    cards: CardSales
    price_book: PriceBook
    hooks: Hooks
    checks: dict[str, Check] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        await self.edge.start()
        for work in (
            _keep_time(self.clock, self.watch),
            CardWorker(self.db, self.cards).run(),
            Tidying().run(),
        ):
            self.tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.edge.stop()
        await self.redis.close()
        await self.db.close()
        await self.watch.close()


def make_resources(
    settings: Settings, transport: Transport, process: str, hooks: Hooks
) -> Resources:
    """The resources of one replica. `process` names it among all, for metrics."""
    clock = SystemClock()
    db = Database(settings.app_database_url)
    watch = Database(settings.app_database_url, pool_size=1)
    redis = Redis(settings.effective_redis_url)
    edge = Edge(settings, db, redis, clock, process=process)
    bus = CommandBus(Directory(partial(_read_directory, watch), clock), transport, clock)
    # With the sandbox whoever knows its tokens pays nothing.
    cards = CardSales(db, bus, Sandbox(db), clock, is_on=settings.environment == "development")
    return Resources(
        db=db,
        watch=watch,
        redis=redis,
        clock=clock,
        edge=edge,
        bus=bus,
        owners=ProductOwners(db, clock),
        places=Places(db, clock),
        cards=cards,
        price_book=PriceBook(db),
        hooks=hooks,
        checks={
            "postgres": partial(_postgres_is_well, watch),
            "redis": redis.ping,
            "keeper": partial(_keeper_is_at_work, watch),
            "hosts": partial(_shards_have_owners, watch),
            "disk": edge.space.is_well,
        },
    )


async def _keep_time(clock: Clock, db: Database) -> None:
    """Keeps arrival stamps on the database's time, by which holds expire."""
    while True:
        with suppress(Unavailable):
            sent_ms = clock.now_ms()
            database_now_ms = await db.now_ms()
            clock.calibrate(database_now_ms, sent_ms, clock.now_ms())
        await asyncio.sleep(CALIBRATE_SECONDS)


async def _read_directory(db: Database) -> tuple[int, dict[Shard, tuple[str, UUID, int]]]:
    async with db.transaction(Scope()) as tx:
        return await leases.directory(tx)


async def _postgres_is_well(db: Database) -> None:
    await db.now_ms()


async def _keeper_is_at_work(db: Database) -> None:
    async with db.transaction(Scope()) as tx:
        silence_seconds = await leases.keeper_silence_seconds(tx)
    if silence_seconds > MAX_KEEPER_SILENCE_SECONDS:
        raise Unavailable(f"The keeper has been silent for {silence_seconds:.0f} s.")


async def _shards_have_owners(db: Database) -> None:
    """Raises Degraded while some have none: all others are served."""
    async with db.transaction(Scope()) as tx:
        shards, unowned = await leases.count_shards(tx)
    if unowned == shards:
        raise Unavailable("No shard has an owner.")
    if unowned:
        raise Degraded(f"{unowned} of {shards} shards wait for an owner.")


async def resources(request: Request) -> Resources:
    """A dependency: the resources of this replica."""
    return cast(Resources, request.app.state.resources)


Shared = Annotated[Resources, Depends(resources)]
