"""What `holdfast doctor` asks the database about itself: bounded questions, which write nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from core.errors import Unavailable
from store.kit.connect import FAILURES, connect
from store.kit.schema import APP_ROLE, HOST_ROLE

STATEMENT_TIMEOUT_SECONDS = 30
DEEP_TIMEOUT_SECONDS = 900
MAX_COUNTED = 100_000  # whatever waits is counted up to here
_LONG_OPEN_SECONDS = 60
_OVERDUE_SECONDS = 120  # a hold's grace is half a minute, and the sweep follows at once

# What the doctor's questions need of a connection, without knowing what it is.
Connection: TypeAlias = asyncpg.Connection


@asynccontextmanager
async def asked(url: str, timeout_seconds: int) -> AsyncIterator[Any]:
    """A connection for questions. Raises Unavailable when it cannot be had, or one fails."""
    try:
        connection = await connect(
            url,
            application_name="holdfast-doctor",
            command_timeout_seconds=timeout_seconds + 1,
            settings={
                "statement_timeout": f"{timeout_seconds}s",
                "lock_timeout": "2s",
                "default_transaction_read_only": "on",
            },
        )
        try:
            yield connection
        finally:
            connection.terminate()
    except FAILURES as error:
        raise Unavailable(f"It does not answer: {str(error) or type(error).__name__}") from error


class Standby(NamedTuple):
    """A server that follows; `mode` is sync, quorum, potential or async (empty: not shown)."""

    name: str
    state: str
    mode: str


async def standbys(connection: Connection) -> list[Standby]:
    rows = await connection.fetch(
        "SELECT application_name, coalesce(state, ''), coalesce(sync_state, '')"
        " FROM pg_stat_replication WHERE application_name NOT LIKE 'pg_basebackup%' ORDER BY 1"
    )
    return [Standby(*row) for row in rows]


async def weaker_roles(connection: Connection) -> list[str]:
    """Roles of ours, or databases, for which commits are configured to be less than durable."""
    rows = await connection.fetch(
        "SELECT coalesce(r.rolname, 'every role') || coalesce(' in ' || d.datname, '')"
        " FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole"
        " LEFT JOIN pg_database d ON d.oid = s.setdatabase"
        " WHERE (d.datname IS NULL OR d.datname = current_database())"
        " AND (r.rolname IS NULL OR r.rolname IN ($1, $2))"
        " AND s.setconfig && '{synchronous_commit=off,synchronous_commit=local}'::text[]",
        APP_ROLE,
        HOST_ROLE,
    )
    return [name for (name,) in rows]


class Sessions(NamedTuple):
    """How many connections there are, and of which roles; `app_limit` is -1 for no limit."""

    used: int
    used_by_app: int
    app_limit: int


async def sessions(connection: Connection) -> Sessions:
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " (SELECT count(*) FROM pg_stat_activity WHERE usename = $1),"
        " coalesce((SELECT rolconnlimit FROM pg_roles WHERE rolname = $1), -1)",
        APP_ROLE,
    )
    return Sessions(*row)


class Forgotten(NamedTuple):
    """A transaction that has been open for long: it keeps locks, and dead rows from being
    removed; and one that writes, in whichever of the server's databases, keeps consumers from what
    is emitted after it."""

    pid: int
    name: str
    seconds: int


async def forgotten(connection: Connection) -> list[Forgotten]:
    """Not the tool's that makes a backup, which takes its time; at most ten."""
    rows = await connection.fetch(
        "SELECT pid, coalesce(nullif(application_name, ''), 'a client without a name'),"
        " extract(epoch FROM clock_timestamp() - xact_start)::int FROM pg_stat_activity"
        " WHERE (datname = current_database() OR backend_xid IS NOT NULL)"
        " AND pid <> pg_backend_pid()"
        " AND application_name <> 'pg_dump' AND backend_type = 'client backend'"
        " AND xact_start < clock_timestamp() - make_interval(secs => $1)"
        " ORDER BY xact_start LIMIT 10",
        _LONG_OPEN_SECONDS,
    )
    return [Forgotten(*row) for row in rows]


class Host(NamedTuple):
    """An incarnation that nobody has taken from. `lease_seconds` is what is left of its lease."""

    name: str
    shards: int
    lease_seconds: float


class Leases(NamedTuple):
    """`keeper_silence_seconds` is infinite when no keeper was ever at work."""

    shards: int
    unowned: int
    hosts: list[Host]
    keeper_silence_seconds: float


async def leases(connection: Connection) -> Leases:
    rows = await connection.fetch(
        "SELECT h.name, count(l.shard),"
        " extract(epoch FROM h.expires_at - clock_timestamp())::float FROM shard_hosts h"
        " LEFT JOIN shard_leases l ON l.host_id = h.id WHERE h.lost_at IS NULL"
        " GROUP BY h.id ORDER BY h.name LIMIT 200"
    )
    counted = await connection.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE h.id IS NULL OR h.lost_at IS NOT NULL"
        "   OR h.expires_at <= clock_timestamp())"
        " FROM shard_leases l LEFT JOIN shard_hosts h ON h.id = l.host_id"
    )
    silence = await connection.fetchval(
        "SELECT extract(epoch FROM clock_timestamp() - seen_at)::float FROM keeper_beat"
    )
    hosts = [Host(*row) for row in rows]
    shards, unowned = counted
    return Leases(shards, unowned, hosts, float("inf") if silence is None else silence)


class Waiting(NamedTuple):
    """Things that wait, up to MAX_COUNTED, and since when the oldest does."""

    number: int
    oldest_seconds: float


async def oldest_event_seconds(connection: Connection) -> float:
    """How long ago the oldest event happened that is kept; 0 when there is none."""
    age = await connection.fetchval(
        "SELECT extract(epoch FROM clock_timestamp() - time)::float FROM outbox ORDER BY id LIMIT 1"
    )
    return age or 0.0


class Consumer(NamedTuple):
    """A consumer of events: how many it has not read yet, up to MAX_COUNTED, and since when the
    oldest of them waits; how many wait in its backlog, and how many were set aside.
    `missed_seconds` is how long ago events were deleted that it had not read, if ever."""

    name: str
    unread: Waiting
    in_backlog: int
    set_aside: int
    missed_seconds: float | None


async def consumers(connection: Connection) -> list[Consumer]:
    rows = await connection.fetch(
        "SELECT c.name, unread.number, unread.seconds, backlog.waiting, backlog.set_aside,"  # noqa: S608
        " extract(epoch FROM clock_timestamp() - c.missed_at)::float AS missed"
        " FROM consumers c,"
        " LATERAL (SELECT count(*) AS number,"
        "   extract(epoch FROM clock_timestamp() - min(time))::float AS seconds FROM ("
        f"   SELECT time FROM outbox o WHERE o.id > c.position ORDER BY o.id LIMIT {MAX_COUNTED})"
        "   AS few) AS unread,"
        " LATERAL (SELECT count(*) FILTER (WHERE set_aside_at IS NULL) AS waiting,"
        "   count(*) FILTER (WHERE set_aside_at IS NOT NULL) AS set_aside FROM ("
        "   SELECT set_aside_at FROM consumer_backlog b WHERE b.consumer = c.name"
        f"   LIMIT {MAX_COUNTED}) AS few) AS backlog"
        " ORDER BY c.name LIMIT 200"
    )
    return [
        Consumer(
            row["name"],
            Waiting(row["number"], row["seconds"] or 0.0),
            row["waiting"],
            row["set_aside"],
            row["missed"],
        )
        for row in rows
    ]


async def overdue_holds(connection: Connection) -> Waiting:
    """Open holds whose time was up long ago. Shard by shard, as their index has them."""
    number, oldest_seconds = await connection.fetchrow(
        "SELECT count(*), extract(epoch FROM clock_timestamp() - min(due.expires_at))::float"
        " FROM (SELECT DISTINCT shard FROM shard_leases) AS s, LATERAL ("
        "   SELECT expires_at FROM reservations r WHERE r.status = 'open' AND r.shard = s.shard"
        "   AND r.expires_at < clock_timestamp() - make_interval(secs => $1)"
        "   ORDER BY expires_at LIMIT 1000) AS due",
        _OVERDUE_SECONDS,
    )
    return Waiting(number, oldest_seconds or 0.0)
