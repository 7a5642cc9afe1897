"""What an operator sees of shards and hosts, and what they wished for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.ids import uuid7
from core.settings import Settings
from store.hosts import leases, wishes
from store.hosts.leases import Incarnation, Shard

HOST = Incarnation(uuid7(), "seen", "machine 1", 4711, "build 2", 99)
SHARD, FREE = Shard("wished", 0), Shard("wished", 1)


@pytest.fixture
async def connection(embedded: Settings) -> AsyncIterator[asyncpg.Connection]:
    """With a host that owns one of two shards; nothing of it stays."""
    made = await asyncpg.connect(embedded.owner_database_url)
    transaction = made.transaction()
    await transaction.start()
    await made.execute(
        "INSERT INTO shard_hosts (id, name, machine, pid, build, birth, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + interval '1 minute')",
        *HOST,
    )
    await made.execute(
        "INSERT INTO shard_leases (family, shard, host_id, epoch)"
        " VALUES ('wished', 0, $1, 5), ('wished', 1, NULL, 0)",
        HOST.id,
    )
    yield made
    await transaction.rollback()
    await made.close()


async def test_each_shard_is_shown_with_its_owner_and_its_pin(
    connection: asyncpg.Connection,
) -> None:
    await wishes.pin(connection, FREE, "seen")
    owned, free = [shard for shard in await wishes.held(connection) if shard.family == "wished"]
    assert owned.expires_at is not None
    assert owned._replace(expires_at=None) == wishes.Held(
        family="wished",
        shard=0,
        epoch=5,
        host="seen",
        build="build 2",
        machine="machine 1",
        pid=4711,
        expires_at=None,
        is_valid=True,
        pinned_to=None,
    )
    nothing = dict.fromkeys(("host", "build", "machine", "pid", "expires_at"))
    assert free == wishes.Held(
        family="wished", shard=1, epoch=0, is_valid=False, pinned_to="seen", **nothing
    )
    assert (await wishes.wishes(connection)).pins[FREE] == "seen"


async def test_each_host_is_shown_with_its_shards(connection: asyncpg.Connection) -> None:
    await wishes.drain(connection, "seen")
    (host,) = [host for host in await wishes.hosts(connection) if host.name == "seen"]
    assert host == wishes.HostState(
        name="seen", build="build 2", machine="machine 1", pid=4711, shards=1, is_drained=True
    )
    assert "seen" in (await wishes.wishes(connection)).drained
    assert (await leases.live_hosts(connection))[HOST] == [SHARD]
    assert (await leases.owned(connection, HOST.id))[SHARD].epoch == 5
