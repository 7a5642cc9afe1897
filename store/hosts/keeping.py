"""The keeper's way to Postgres, as the role `holdfast_host`: one connection for leases, one for
housekeeping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from uuid import UUID

import asyncpg

from store.hosts import leases, wishes
from store.hosts.connections import HostConnection
from store.hosts.leases import Incarnation, Shard
from store.hosts.rotation import rotate
from store.hosts.trimming import Trimmed, trim
from store.hosts.wishes import Wishes
from store.kit.connect import connect
from store.kit.reached import HEAD
from store.kit.schema import LOCK_TIMEOUT

# How long a keeper must have been silent before another one takes its place.
STAND_BY_SECONDS = 5
_TIMEOUT_SECONDS = 10


class KeeperStore:
    """Every method raises OutcomeUnknown when the database cannot be reached."""

    def __init__(self, url: str) -> None:
        self._leases = HostConnection(partial(_connect, url))
        # Its own, so that housekeeping delays no look at the leases.
        self._chores = HostConnection(partial(_connect, url, lock_timeout=LOCK_TIMEOUT))

    async def beat(self, keeper_id: UUID, *, first: bool) -> int | None:
        """Records that a keeper is at work, unless a younger one is: a keeper that beats for the
        first time takes over from the one before. Returns the database's clock in ms; None when
        this keeper is to stand by."""
        async with self._leases.use() as connection:
            now_ms: int | None = await connection.fetchval(
                "UPDATE keeper_beat SET seen_at = clock_timestamp(), keeper_id = $1"
                " WHERE $2 OR keeper_id IS NULL OR keeper_id = $1"
                " OR seen_at < clock_timestamp() - make_interval(secs => $3)"
                " RETURNING (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
                keeper_id,
                first,
                STAND_BY_SECONDS,
            )
        return now_ms

    async def create_shards(self, families: Iterable[str]) -> int:
        """See `leases.create_shards`."""
        async with self._leases.use() as connection:
            return await leases.create_shards(connection, families)

    async def live_hosts(self) -> dict[Incarnation, list[Shard]]:
        """See `leases.live_hosts`."""
        async with self._leases.use() as connection:
            return await leases.live_hosts(connection)

    async def ownerless(self) -> list[Shard]:
        """See `leases.ownerless`."""
        async with self._leases.use() as connection:
            return await leases.ownerless(connection)

    async def wishes(self) -> Wishes:
        """See `wishes.wishes`."""
        async with self._leases.use() as connection:
            return await wishes.wishes(connection)

    async def mark_lost(self) -> list[UUID]:
        """See `leases.mark_lost`."""
        async with self._leases.use() as connection:
            return await leases.mark_lost(connection)

    async def take(self, assignments: Mapping[Shard, UUID]) -> None:
        """See `leases.take`."""
        async with self._leases.use() as connection:
            await leases.take(connection, assignments)

    async def rotate_command_log(self) -> bool:
        """See `rotation.rotate`."""
        async with self._chores.use() as connection:
            return await rotate(connection)

    async def trim_outbox(self) -> Trimmed:
        """See `trimming.trim`."""
        async with self._chores.use() as connection:
            return await trim(connection)

    async def close(self) -> None:
        await self._leases.close()
        await self._chores.close()


async def _connect(url: str, **settings: str) -> asyncpg.Connection:
    return await connect(
        url,
        application_name="hf-keeper",
        command_timeout_seconds=_TIMEOUT_SECONDS,
        settings=settings,
        schema=HEAD,
    )
