"""The keeper's way to Postgres: one connection, role `holdfast_host`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from uuid import UUID

import asyncpg

from store import leases
from store.connect import connect
from store.journal import Line
from store.leases import Incarnation, Shard

_TIMEOUT_SECONDS = 10


class KeeperStore:
    """Every method raises OutcomeUnknown when the database cannot be reached."""

    def __init__(self, url: str) -> None:
        self._line = Line(partial(_connect, url))

    async def beat(self) -> None:
        """Tells that a keeper is at work."""
        async with self._line.use() as connection:
            await connection.execute("UPDATE keeper_beat SET seen_at = clock_timestamp()")

    async def create_shards(self, families: Iterable[str]) -> int:
        """See `leases.create_shards`."""
        async with self._line.use() as connection:
            return await leases.create_shards(connection, families)

    async def live_hosts(self) -> dict[Incarnation, list[Shard]]:
        """See `leases.live_hosts`."""
        async with self._line.use() as connection:
            return await leases.live_hosts(connection)

    async def ownerless(self) -> list[Shard]:
        """See `leases.ownerless`."""
        async with self._line.use() as connection:
            return await leases.ownerless(connection)

    async def lose(self) -> list[UUID]:
        """See `leases.lose`."""
        async with self._line.use() as connection:
            return await leases.lose(connection)

    async def take(self, gifts: Mapping[Shard, UUID]) -> None:
        """See `leases.take`."""
        async with self._line.use() as connection:
            await leases.take(connection, gifts)

    async def rotate_command_log(self) -> None:
        """Makes the coming days' partitions of the command log and drops those over a week old."""
        async with self._line.use() as connection:
            await connection.execute("SELECT rotate_command_log()")

    async def close(self) -> None:
        await self._line.close()


async def _connect(url: str) -> asyncpg.Connection:
    return await connect(
        url, application_name="hf-keeper", command_timeout_seconds=_TIMEOUT_SECONDS
    )
