"""How long events are kept, and for whom longer."""

from __future__ import annotations

import asyncpg
import pytest

from store.hosts import trimming
from store.hosts.keeping import KeeperStore
from store.hosts.trimming import KEPT_DAYS, MAX_KEPT_DAYS, Trimmed
from tests.store.consumer_kit import Ground, consuming, noting, some_ids
from tests.store.events import ThingMade


async def aged(at: Ground, *days: int) -> list[int]:
    """Events that are so old, the oldest first; their ids."""
    (tenant,) = some_ids(1)
    rows = await at.owner.fetch(
        "INSERT INTO outbox (event_id, tenant_id, type, subject, time, data)"
        " SELECT gen_random_uuid(), $1, $2, 's', now() - make_interval(days => age),"
        " jsonb_build_object('name', age::text) FROM unnest($3::int[]) AS age RETURNING id",
        tenant,
        ThingMade.kind,
        [*days],
    )
    return [row["id"] for row in rows]


async def left(at: Ground) -> list[int]:
    rows = await at.owner.fetch("SELECT data->>'name' AS days FROM outbox ORDER BY id")
    return [int(row["days"]) for row in rows]


async def trim(at: Ground) -> Trimmed:
    keeper = KeeperStore(at.urls.host)
    try:
        return await keeper.trim_outbox()
    finally:
        await keeper.close()


OLD, OLDER = KEPT_DAYS + 1, MAX_KEPT_DAYS + 1


async def test_what_nobody_reads_is_kept_for_a_week(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "CHUNK", 2)
    await aged(at, OLDER, OLD, OLD, KEPT_DAYS - 1, 0)
    assert await trim(at) == Trimmed(3, frozenset())
    assert await left(at) == [KEPT_DAYS - 1, 0]


async def test_what_a_consumer_has_not_read_is_kept_for_it(at: Ground) -> None:
    ids = await aged(at, OLD, OLD, OLD, 0)
    await at.owner.execute(
        "INSERT INTO consumers VALUES ('slow', $1), ('fast', $2)", ids[0], ids[3]
    )
    assert await trim(at) == Trimmed(1, frozenset())
    assert await left(at) == [OLD, OLD, 0]
    async with consuming(at.urls.app, noting("slow")):
        await at.wait_for([str(OLD), str(OLD), "0"], "slow")
    assert await trim(at) == Trimmed(2, frozenset())
    assert await left(at) == [0]


async def test_a_consumer_that_stays_away_holds_nothing_for_more_than_a_month(at: Ground) -> None:
    ids = await aged(at, OLDER, OLDER, OLD, 0)
    await at.owner.execute("INSERT INTO consumers VALUES ('gone', 0), ('well', $1)", ids[2])
    assert await trim(at) == Trimmed(2, frozenset({"gone"}))
    assert await left(at) == [OLD, 0]
    missed = await at.owner.fetch("SELECT name FROM consumers WHERE missed_at IS NOT NULL")
    assert [row["name"] for row in missed] == ["gone"]


async def test_what_was_set_aside_outlives_its_event(at: Ground) -> None:
    await aged(at, OLD)
    bad = {str(OLD)}

    async def handle(tx: object, tenant_id: object, delivery: object) -> None:
        if bad:
            raise ValueError("not yet")

    consumer = noting(handle=handle, max_attempts=1, retry_seconds=0.02)
    async with consuming(at.urls.app, consumer):
        await at.wait_until("count(*) = 1 FROM consumer_backlog WHERE set_aside_at IS NOT NULL")
    assert await trim(at) == Trimmed(1, frozenset())
    bad.clear()
    await at.owner.execute("UPDATE consumer_backlog SET set_aside_at = NULL, due_at = now()")
    async with consuming(at.urls.app, consumer):
        await at.wait_until("count(*) = 0 FROM consumer_backlog")


async def test_replicas_delete_nothing(at: Ground) -> None:
    await aged(at, OLDER)
    app = await asyncpg.connect(at.urls.app)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await trimming.trim(app)
    await app.close()
