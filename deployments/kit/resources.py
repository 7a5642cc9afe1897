"""What every capability of one replica shares: made once, in `deployments.serving.replica`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, cast

from fastapi import Depends, Request

from actors.runtime.bus import CommandBus
from actors.runtime.directory import Directory
from actors.runtime.ports import Transport
from core.background import kept_running
from core.clock import Clock, SystemClock
from core.errors import Unavailable
from core.garbage import Tidying
from core.settings import Settings
from core.telemetry import get_logger
from deployments.kit import consumers, event_reader
from deployments.kit.desk import Hooks, hooks_of
from gateway.edge import Edge
from store.hosts import leases
from store.hosts.leases import Shard
from store.kit.engine import Database, Scope
from store.kit.redis import Redis

CALIBRATE_SECONDS = 10.0
MAX_KEEPER_SILENCE_SECONDS = 10.0
LOOK_FOR_MIGRATIONS_SECONDS = 0.5

_log = get_logger(__name__)

if TYPE_CHECKING:
    from deployments.kit.capability import Capability

T = TypeVar("T")
Check = Callable[[], Awaitable[None]]


class Degraded(Exception):
    """Raised by a check: its part does most of its work, so nobody should be turned away."""


@dataclass(frozen=True, slots=True)
class Resources:
    """`bus` reaches the shard hosts, `db` reads and writes under row-level security; `watch` is
    for what the replica itself needs to know, which must not wait behind requests. `checks` are
    what `/ready` asks, by name: each raises when its part is not well. `tasks` run as long as the
    replica serves; `parts` are what capabilities have made for themselves (`Part`).
    `capabilities` are all that there are, served here or not, and `hooks` what they do around the
    decisions of owners."""

    settings: Settings
    db: Database
    watch: Database
    redis: Redis
    clock: Clock
    edge: Edge
    bus: CommandBus
    capabilities: tuple[Capability, ...]
    hooks: Hooks
    checks: dict[str, Check] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    parts: dict[Any, Any] = field(default_factory=dict)
    running: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Waits as long as the schema is older than this build: whoever has not started gets no
        requests. It does not wait for a database that cannot be reached."""
        await _schema_is_current(self.watch)
        await self.edge.start()
        for task in self.tasks:
            work = kept_running(partial(task, self), repr(task))
            self.running.append(asyncio.create_task(work))

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.edge.stop()
        await self.redis.close()
        await self.db.close()
        await self.watch.close()


# Runs until it is cancelled; begun anew if it fails.
Task = Callable[[Resources], Coroutine[Any, Any, None]]


class Part(Generic[T]):
    """What a capability has one of in each replica: `PLACES = Part(make)`, `PLACES.of(shared)`. It
    is made when it is first asked for."""

    def __init__(self, make: Callable[[Resources], T]) -> None:
        self._make = make

    def of(self, shared: Resources) -> T:
        found: T | None = shared.parts.get(self)
        if found is None:
            found = shared.parts[self] = self._make(shared)
        return found


def make_resources(
    settings: Settings,
    transport: Transport,
    process: str,
    capabilities: Sequence[Capability],
    served: Sequence[Capability],
) -> Resources:
    """The resources of one replica, which serves some of the `capabilities`. `process` names it
    among all, for metrics. Raises ValueError if two consumers have one name."""
    consumers.check_names(consumer for each in capabilities for consumer in each.consumers)
    clock = SystemClock()
    db = Database(settings.app_database_url)
    watch = Database(settings.app_database_url, pool_size=1)
    redis = Redis(settings.effective_redis_url)
    edge = Edge(settings, db, redis, clock, process=process)
    return Resources(
        settings=settings,
        db=db,
        watch=watch,
        redis=redis,
        clock=clock,
        edge=edge,
        bus=CommandBus(Directory(partial(_read_directory, watch), clock), transport, clock),
        capabilities=tuple(capabilities),
        hooks=hooks_of(capabilities),
        checks={
            "postgres": partial(_postgres_is_well, watch),
            "schema": partial(_schema_is_well, watch),
            "redis": redis.ping,
            "keeper": partial(_keeper_is_at_work, watch),
            "hosts": partial(_shards_have_owners, watch),
            "disk": edge.space.is_well,
        },
        tasks=(
            _keep_time,
            _tidy,
            partial(_consume, served),
            *(task for each in served for task in each.tasks),
        ),
    )


async def _tidy(_: Resources) -> None:
    await Tidying().run()


async def _consume(served: Sequence[Capability], shared: Resources) -> None:
    """Works for the consumers of the capabilities that are served here."""
    await event_reader.run(shared.db, [consumer for each in served for consumer in each.consumers])


async def _keep_time(shared: Resources) -> None:
    """Keeps arrival stamps on the database's time, by which holds expire."""
    clock, db = shared.clock, shared.watch
    while True:
        with suppress(Unavailable):
            sent_ms = clock.now_ms()
            database_now_ms = await db.now_ms()
            clock.calibrate(database_now_ms, sent_ms, clock.now_ms())
        await asyncio.sleep(CALIBRATE_SECONDS)


async def _read_directory(db: Database) -> tuple[int, dict[Shard, leases.Owned]]:
    async with db.transaction(Scope()) as tx:
        return await leases.directory(tx)


async def _postgres_is_well(db: Database) -> None:
    await db.now_ms()


async def _schema_is_well(db: Database) -> None:
    if why := await db.lacks_migrations():
        raise Unavailable(why)


async def _schema_is_current(db: Database) -> None:
    waited = False
    while why := await db.lacks_migrations():
        if not waited:
            _log.warning("waiting for migrations", reason=why)
        waited = True
        await asyncio.sleep(LOOK_FOR_MIGRATIONS_SECONDS)
    if waited:
        _log.info("migrations are done")


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
