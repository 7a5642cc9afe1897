"""Leases: which incarnation of which host may decide for a shard, and until when.

A host's incarnation (one process) holds one row with one expiry, renewed once a second;
a shard's row names the incarnation that owns it and the epoch, which every commit proves.
Expiry is by the database's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.kit.connect import connect

LEASE_SECONDS = 5
_TERMINATE_WAIT_MS = 5_000
_BRIEFLY_SECONDS = 5

T = TypeVar("T")


class Shard(NamedTuple):
    """A family's shard, such as ('commerce', 17)."""

    family: str
    number: int


class Lease(NamedTuple):
    """What an owner holds of one shard."""

    epoch: int
    decided_at_ms: int


class Owned(NamedTuple):
    """Who owns a shard, and in which tenure."""

    host_name: str
    host_id: UUID
    epoch: int


class Incarnation(NamedTuple):
    """One process of a host. `machine` tells machines (and their boots) apart; `birth` is when
    the process began, as its machine counts: a pid that was given to another since has another
    birth. 0: not known."""

    id: UUID
    name: str
    machine: str
    pid: int
    build: str = ""
    birth: int = 0


_INCARNATION = ", ".join(f"h.{name}" for name in Incarnation._fields)
_NAMES_LOCK = 0x486E  # "Hn": one host at a time takes a name


def application_name(host_id: UUID) -> str:
    """How an incarnation's connections are known to the database."""
    return f"hf-host-{host_id}"


async def register(connection: asyncpg.Connection, host: Incarnation) -> None:
    """Adds the incarnation, with a first lease; does nothing the second time.

    Hosts are called by name, so an older incarnation of the name, wherever it runs, could no
    longer be reached: it can never renew again, and its shards move once its lease is over.
    """
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1, hashtext($2))", _NAMES_LOCK, host.name
        )
        is_new = await connection.fetchval(
            "INSERT INTO shard_hosts (id, name, machine, pid, build, birth, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))"
            " ON CONFLICT (id) DO NOTHING RETURNING true",
            *host,
            LEASE_SECONDS,
        )
        if is_new:
            await connection.execute(
                "UPDATE shard_hosts SET superseded_at = clock_timestamp()"
                " WHERE name = $1 AND id <> $2 AND lost_at IS NULL AND superseded_at IS NULL",
                host.name,
                host.id,
            )


async def predecessors(connection: asyncpg.Connection, host: Incarnation) -> list[Incarnation]:
    """Earlier incarnations of the same name on the same machine that nobody has taken from."""
    rows = await connection.fetch(
        f"SELECT {_INCARNATION} FROM shard_hosts h"  # noqa: S608
        " WHERE name = $1 AND machine = $2 AND id <> $3 AND lost_at IS NULL",
        host.name,
        host.machine,
        host.id,
    )
    return [Incarnation(**row) for row in rows]


async def expire(connection: asyncpg.Connection, host_ids: Iterable[UUID]) -> None:
    """Ends leases at once. Only for incarnations whose process is proved to be gone."""
    await connection.execute(
        "UPDATE shard_hosts SET expires_at = clock_timestamp()"
        " WHERE id = ANY($1::uuid[]) AND lost_at IS NULL",
        list(host_ids),
    )


def expire_all(url: str) -> None:
    """Ends every lease, so that a start need not wait for them. Only for the supervising
    command, and only once every process of the earlier run is proved to be gone. Blocks and
    raises as `orphans` does."""

    async def update(connection: asyncpg.Connection) -> None:
        await connection.execute(
            "UPDATE shard_hosts SET expires_at = clock_timestamp() WHERE lost_at IS NULL"
        )

    asyncio.run(_briefly(url, update))


async def renew(connection: asyncpg.Connection, host_id: UUID, decided_at_ms: int) -> int | None:
    """Renews the incarnation's lease.

    Returns the database's clock in ms; None when its shards or its name were taken: it must not
    answer anything again.
    """
    now_ms: int | None = await connection.fetchval(
        "UPDATE shard_hosts SET decided_at_ms = greatest(decided_at_ms, $2),"
        " expires_at = clock_timestamp() + make_interval(secs => $3)"
        " WHERE id = $1 AND lost_at IS NULL AND superseded_at IS NULL"
        " RETURNING (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        host_id,
        decided_at_ms,
        LEASE_SECONDS,
    )
    return now_ms


async def owned(connection: asyncpg.Connection, host_id: UUID) -> dict[Shard, Lease]:
    """The shards of an incarnation."""
    rows = await connection.fetch(
        "SELECT family, shard, epoch, decided_at_ms FROM shard_leases WHERE host_id = $1", host_id
    )
    return {
        Shard(family, shard): Lease(epoch, decided_at_ms)
        for family, shard, epoch, decided_at_ms in rows
    }


async def raise_epochs(connection: asyncpg.Connection, host_id: UUID) -> None:
    """Gives an incarnation new epochs for its own shards, after a commit of unknown outcome.

    Waits for the transaction in doubt to end, because that one holds the rows FOR SHARE.
    """
    await connection.execute(
        "UPDATE shard_leases SET epoch = epoch + 1 WHERE host_id = $1"
        " AND EXISTS (SELECT 1 FROM shard_hosts WHERE id = $1 AND lost_at IS NULL)",
        host_id,
    )


async def hand_over(
    connection: asyncpg.Connection,
    host_id: UUID,
    epochs: Mapping[Shard, int],
    successor: UUID,
    last_decided_ms: Mapping[Shard, int],
) -> None:
    """Gives shards of a live, drained incarnation to another one, unless their epochs moved.
    `last_decided_ms`: by shard, before which its next owner decides nothing."""
    await connection.execute(
        "UPDATE shard_leases l SET host_id = $2, epoch = l.epoch + 1,"
        " decided_at_ms = greatest(decided_at_ms, s.last_decided_ms)"
        " FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[])"
        "   AS s(family, shard, epoch, last_decided_ms)"
        " WHERE l.family = s.family AND l.shard = s.shard AND l.host_id = $1"
        " AND l.epoch = s.epoch"
        " AND EXISTS (SELECT 1 FROM shard_hosts"
        "   WHERE id = $2 AND lost_at IS NULL AND superseded_at IS NULL)",
        host_id,
        successor,
        [shard.family for shard in epochs],
        [shard.number for shard in epochs],
        list(epochs.values()),
        [last_decided_ms[shard] for shard in epochs],
    )


# --- the keeper's side -------------------------------------------------------------------


async def create_shards(connection: asyncpg.Connection, families: Iterable[str]) -> int:
    """Makes sure that every family has its shards; returns how many each has.

    The number was fixed at installation and is read from the database alone.
    """
    shards = int(await connection.fetchval("SELECT value FROM installation WHERE name = 'shards'"))
    await connection.execute(
        "INSERT INTO shard_leases (family, shard)"
        " SELECT f, s FROM unnest($1::text[]) AS f, generate_series(0, $2 - 1) AS s"
        " ON CONFLICT DO NOTHING",
        list(families),
        shards,
    )
    return shards


async def live_hosts(connection: asyncpg.Connection) -> dict[Incarnation, list[Shard]]:
    """Incarnations with a valid lease, and the shards of each."""
    rows = await connection.fetch(
        f"SELECT {_INCARNATION}, l.family, l.shard FROM shard_hosts h"  # noqa: S608
        " LEFT JOIN shard_leases l ON l.host_id = h.id"
        " WHERE h.lost_at IS NULL AND h.superseded_at IS NULL"
        " AND h.expires_at > clock_timestamp()"
        " ORDER BY l.family, l.shard"
    )
    hosts: dict[Incarnation, list[Shard]] = {}
    for row in rows:
        host = Incarnation(**{name: row[name] for name in Incarnation._fields})
        shards = hosts.setdefault(host, [])
        if row["family"] is not None:
            shards.append(Shard(row["family"], row["shard"]))
    return hosts


async def ownerless(connection: asyncpg.Connection) -> list[Shard]:
    """Shards that nobody may decide for: never given, or whose owner's lease has expired."""
    rows = await connection.fetch(
        "SELECT l.family, l.shard FROM shard_leases l LEFT JOIN shard_hosts h ON h.id = l.host_id"
        " WHERE h.id IS NULL OR h.lost_at IS NOT NULL OR h.expires_at <= clock_timestamp()"
    )
    return [Shard(*row) for row in rows]


async def mark_lost(connection: asyncpg.Connection) -> list[UUID]:
    """Marks incarnations whose lease has expired as lost, whether or not they own a shard and
    anybody could take it: the supervisor that ends processes on their machines goes by that.
    Returns them."""
    rows = await connection.fetch(
        "UPDATE shard_hosts SET lost_at = clock_timestamp()"
        " WHERE lost_at IS NULL AND expires_at <= clock_timestamp() RETURNING id"
    )
    return [host_id for (host_id,) in rows]


async def take(connection: asyncpg.Connection, assignments: Mapping[Shard, UUID]) -> None:
    """Takes ownerless shards and gives each to a live incarnation, under a new epoch.

    Only shards of owners that are lost (`mark_lost`: they can never renew again). First ends their
    database connections, which frees what a process stopped in mid-transaction holds, and only
    then moves the shards.
    """
    await _terminate(connection)
    async with connection.transaction():
        await connection.execute(
            "UPDATE shard_leases l SET epoch = l.epoch + 1, host_id = g.host_id,"
            # The old owner reported the time of its decisions up to a second ago; now is later
            # than its lease, and so than anything it has decided since.
            " decided_at_ms = greatest(l.decided_at_ms,"
            "   (SELECT h.decided_at_ms FROM shard_hosts h WHERE h.id = l.host_id),"
            "   (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
            " FROM unnest($1::text[], $2::int[], $3::uuid[]) AS g(family, shard, host_id)"
            " WHERE l.family = g.family AND l.shard = g.shard"
            " AND (l.host_id IS NULL OR EXISTS"
            "   (SELECT 1 FROM shard_hosts h WHERE h.id = l.host_id AND h.lost_at IS NOT NULL))",
            [shard.family for shard in assignments],
            [shard.number for shard in assignments],
            list(assignments.values()),
        )
        await connection.execute(
            "DELETE FROM shard_hosts h WHERE lost_at < clock_timestamp() - interval '1 day'"
            " AND NOT EXISTS (SELECT 1 FROM shard_leases l WHERE l.host_id = h.id)"
        )


async def _terminate(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(a.pid, $1) FROM pg_stat_activity a"
        " JOIN shard_hosts h ON a.application_name = 'hf-host-' || h.id"
        " WHERE h.lost_at IS NOT NULL",
        _TERMINATE_WAIT_MS,
    )


# --- on the machine of a host that was lost -------------------------------------------------


def orphans(url: str, machine: str) -> list[Incarnation]:
    """Incarnations of a machine (`machine_id()`) that are lost and may still run: stopped, in an
    endless loop, cut off. None of them can ever renew or commit again.

    The supervisor of that machine asks for them about once a second, sends SIGKILL to each of
    which `upkeep.is_running` says (by pid and birth) that it is still the same process, and
    reports those that are gone by `mark_ended`. One without a birth is never killed. Blocks, for
    5 s at most, then raises TimeoutError; OSError or the driver's error when the database cannot
    be reached."""

    async def ask(connection: asyncpg.Connection) -> list[Incarnation]:
        rows = await connection.fetch(
            f"SELECT {_INCARNATION} FROM shard_hosts h"  # noqa: S608
            " WHERE machine = $1 AND ended_at IS NULL AND (lost_at IS NOT NULL"
            "   OR superseded_at IS NOT NULL AND expires_at <= clock_timestamp())",
            machine,
        )
        return [Incarnation(**row) for row in rows]

    return asyncio.run(_briefly(url, ask))


def mark_ended(url: str, host_ids: Iterable[UUID]) -> None:
    """Takes lost incarnations off the list of `orphans`: their processes are proved to be gone.
    Blocks and raises as that does."""

    async def update(connection: asyncpg.Connection) -> None:
        await connection.execute(
            "UPDATE shard_hosts SET ended_at = clock_timestamp() WHERE id = ANY($1::uuid[])",
            list(host_ids),
        )

    asyncio.run(_briefly(url, update))


async def _briefly(url: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    async with asyncio.timeout(_BRIEFLY_SECONDS):
        connection = await connect(url, application_name="holdfast-up")
        try:
            return await work(connection)
        finally:
            connection.terminate()


# --- the replicas' side ------------------------------------------------------------------


async def directory(
    connection: AsyncConnection,
) -> tuple[int, dict[Shard, Owned]]:
    """Number of shards per family, and who owns each of those that are owned."""
    shards = await connection.scalar(text("SELECT value FROM installation WHERE name = 'shards'"))
    rows = await connection.execute(
        text(
            "SELECT l.family, l.shard, h.name, h.id, l.epoch FROM shard_leases l"
            " JOIN shard_hosts h ON h.id = l.host_id WHERE h.lost_at IS NULL"
        )
    )
    return int(shards), {Shard(family, shard): Owned(*owned) for family, shard, *owned in rows}


async def count_shards(connection: AsyncConnection) -> tuple[int, int]:
    """How many shards there are, and how many of them nobody serves right now."""
    shards, unserved = (
        await connection.execute(
            text(
                "SELECT count(*), count(*) FILTER (WHERE h.id IS NULL OR h.lost_at IS NOT NULL"
                " OR h.expires_at <= clock_timestamp())"
                " FROM shard_leases l LEFT JOIN shard_hosts h ON h.id = l.host_id"
            )
        )
    ).one()
    return int(shards), int(unserved)


async def keeper_silence_seconds(connection: AsyncConnection) -> float:
    """How long ago a keeper last looked at everything; infinite if none ever did."""
    silence = await connection.scalar(
        text("SELECT extract(epoch FROM clock_timestamp() - seen_at)::float FROM keeper_beat")
    )
    return float("inf") if silence is None else float(silence)
