"""What an operator wants of shards and hosts, which the keeper brings about by ordinary
hand-overs; and how things stand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import asyncpg

from core.errors import Unavailable
from store.hosts.leases import Shard
from store.kit.connect import FAILURES, connect

_TIMEOUT_SECONDS = 10


class Wishes(NamedTuple):
    """`pins`: where shards should be, by the host's name. `drained`: names of hosts that should
    have none."""

    pins: dict[Shard, str]
    drained: frozenset[str]


class Held(NamedTuple):
    """A shard, and who holds it until when; a shard without an owner has none of the rest."""

    family: str
    shard: int
    epoch: int
    host: str | None
    build: str | None
    machine: str | None
    pid: int | None
    expires_at: datetime | None
    is_valid: bool
    pinned_to: str | None


class HostState(NamedTuple):
    """A host with a valid lease."""

    name: str
    build: str
    machine: str
    pid: int
    shards: int
    is_drained: bool


@asynccontextmanager
async def operator(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for what follows; `url` is the host role's. Raises Unavailable when the
    database cannot be reached."""
    try:
        connection = await connect(
            url,
            application_name="hf-operator",
            command_timeout_seconds=_TIMEOUT_SECONDS,
        )
        try:
            yield connection
        finally:
            connection.terminate()
    except FAILURES as error:
        raise Unavailable from error


async def wishes(connection: asyncpg.Connection) -> Wishes:
    pins = await connection.fetch("SELECT family, shard, host_name FROM shard_pins")
    drained = await connection.fetch("SELECT name FROM drained_hosts")
    return Wishes(
        {Shard(family, shard): host_name for family, shard, host_name in pins},
        frozenset(name for (name,) in drained),
    )


async def pin(connection: asyncpg.Connection, shard: Shard, host_name: str) -> None:
    """Wants a shard to be at a host, and to stay while the host may have shards."""
    await connection.execute(
        "INSERT INTO shard_pins (family, shard, host_name) VALUES ($1, $2, $3)"
        " ON CONFLICT (family, shard) DO UPDATE SET host_name = excluded.host_name",
        *shard,
        host_name,
    )


async def unpin(connection: asyncpg.Connection, shard: Shard) -> None:
    """Leaves it to the keeper again where a shard is."""
    await connection.execute("DELETE FROM shard_pins WHERE family = $1 AND shard = $2", *shard)


async def drain(connection: asyncpg.Connection, host_name: str) -> None:
    """Wants a host to give all its shards away and to get none."""
    await connection.execute(
        "INSERT INTO drained_hosts (name) VALUES ($1) ON CONFLICT DO NOTHING", host_name
    )


async def fill(connection: asyncpg.Connection, host_name: str) -> None:
    """Ends the draining of a host."""
    await connection.execute("DELETE FROM drained_hosts WHERE name = $1", host_name)


async def held(connection: asyncpg.Connection) -> Sequence[Held]:
    """Every shard, in order."""
    rows = await connection.fetch(
        "SELECT l.family, l.shard, l.epoch, h.name AS host, h.build, h.machine, h.pid,"
        " h.expires_at, p.host_name AS pinned_to,"
        " coalesce(h.lost_at IS NULL AND h.expires_at > clock_timestamp(), false) AS is_valid"
        " FROM shard_leases l LEFT JOIN shard_hosts h ON h.id = l.host_id"
        " LEFT JOIN shard_pins p ON p.family = l.family AND p.shard = l.shard"
        " ORDER BY l.family, l.shard"
    )
    return [Held(**row) for row in rows]


async def hosts(connection: asyncpg.Connection) -> Sequence[HostState]:
    """Every host that may decide now, in the order of names."""
    rows = await connection.fetch(
        "SELECT h.name, h.build, h.machine, h.pid,"
        " (SELECT count(*) FROM shard_leases l WHERE l.host_id = h.id) AS shards,"
        " EXISTS (SELECT FROM drained_hosts d WHERE d.name = h.name) AS is_drained"
        " FROM shard_hosts h WHERE h.lost_at IS NULL AND h.superseded_at IS NULL"
        " AND h.expires_at > clock_timestamp() ORDER BY h.name"
    )
    return [HostState(**row) for row in rows]
