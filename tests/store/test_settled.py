"""What consumers may read: nothing beyond what may still appear, in the order of commits."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from actors.families import FAMILIES
from core.ids import uuid7
from deployments.kit import portions
from store.hosts.batches import Procedure
from store.hosts.command_log import Logged
from store.hosts.journal import HostStore
from store.hosts.leases import Incarnation, Shard
from store.kit.consumers import Look, Settled, look
from store.kit.engine import Database, Scope
from store.kit.outbox import emit
from tests.store.consumer_kit import FAST_SECONDS, Ground, consuming, noting, some_ids
from tests.store.events import ThingMade


def see(settled: Settled, newest: int, oldest: int, coming: int) -> int | None:
    settled.see(Look(newest, oldest, coming, False))
    return settled.id


def test_while_nothing_runs_all_is_settled_at_once() -> None:
    settled = Settled()
    assert see(settled, 7, 100, 100) == 7
    assert see(settled, 9, 103, 103) == 9


def test_what_was_seen_is_settled_once_all_that_ran_then_have_ended() -> None:
    settled = Settled()
    assert see(settled, 7, 95, 100) is None
    assert see(settled, 8, 99, 104) is None, "99 may still give an id below 7"
    assert see(settled, 9, 100, 105) == 7, "100 began later: its ids are above 7"
    assert see(settled, 9, 104, 106) == 7, "not all that ran when 9 was seen"
    assert see(settled, 9, 105, 106) == 9
    assert see(settled, 3, 200, 200) == 9, "what is settled stays so"


def test_what_another_server_knows_counts_from_its_own_beginning() -> None:
    """A standby that took over may lack what was seen, and give the same ids again."""
    settled = Settled()
    assert see(settled, 9, 105, 105) == 9
    assert see(settled, 7, 100, 100) is None, "it was looked at as if 9 were settled"
    assert see(settled, 7, 90, 101) is None
    assert see(settled, 8, 101, 104) == 7


async def test_a_row_that_commits_late_is_not_skipped(at: Ground) -> None:
    tenant, early, late = some_ids(3)
    async with consuming(at.urls.app, noting()):
        await at.passed("noting", 0)
        async with at.open_emit(tenant, late, "lower id, later commit"):
            await at.emit(tenant, early, "higher id")
            visible = await at.owner.fetchval("SELECT data->>'name' FROM outbox")
            assert visible == "higher id", "a reader that went on from here would skip the other"
            await asyncio.sleep(4 * FAST_SECONDS)
            assert await at.names() == []
        await at.wait_for(["lower id, later commit", "higher id"])
    assert await at.names() == ["lower id, later commit", "higher id"]


async def test_a_row_is_not_skipped_whose_transaction_began_after_what_is_visible(
    at: Ground,
) -> None:
    """It has the lower id and the higher number: no transaction has ended that was given one after
    it, so a snapshot's end is not above it."""
    tenant, early, late = some_ids(3)
    async with consuming(at.urls.app, noting()):
        await at.passed("noting", 0)
        async with at.db.transaction(Scope(tenant)) as begun_first:
            await begun_first.execute(text("SELECT pg_current_xact_id()"))
            async with at.open_emit(tenant, late, "lower id, later commit"):
                await emit(begun_first, tenant, early, ThingMade(name="higher id"))
                await begun_first.commit()
                await asyncio.sleep(4 * FAST_SECONDS)
                assert await at.names() == []
        await at.wait_for(["lower id, later commit", "higher id"])
    assert await at.names() == ["lower id, later commit", "higher id"]


async def test_a_look_takes_a_number_only_where_there_is_more_than_is_settled(at: Ground) -> None:
    await at.emit(uuid7(), uuid7(), "a")
    first = await look(at.db, None)
    assert (await look(at.db, None)).next_transaction > first.next_transaction
    numbers = {(await look(at.db, first.newest)).next_transaction for _ in range(3)}
    assert len(numbers) == 1, "who looks in vain uses up no numbers"


async def test_a_hosts_batch_that_commits_late_is_not_skipped(at: Ground) -> None:
    tenant, subject = some_ids(2)
    host = Incarnation(uuid7(), "h", "m", 1)
    await at.owner.execute(
        "INSERT INTO shard_hosts (id, name, machine, pid, expires_at)"
        " VALUES ($1, 'h', 'm', 1, 'infinity')",
        host.id,
    )
    await at.owner.execute(
        "INSERT INTO shard_leases (family, shard, host_id, epoch) VALUES ('commerce', 0, $1, 1)",
        host.id,
    )
    store, taken = HostStore(at.urls.host, host), uuid7()
    rows = {"outbox": [(tenant, ThingMade.kind, str(subject), 0, ThingMade(name="host's").json)]}
    batch = store.commit(
        {Shard("commerce", 0): 1},
        [(FAMILIES["commerce"].loader, rows)],
        [Logged(taken, tenant, b"", b"")],
        lock_timeout_ms=10_000,
    )
    holder = await asyncpg.connect(at.urls.owner)
    try:
        async with consuming(at.urls.app, noting()):
            blocking = holder.transaction()
            await blocking.start()
            # The batch writes its event, and then waits to learn whether this command is known.
            await holder.execute(
                "INSERT INTO command_log (id, tenant_id, fingerprint, reply)"
                " VALUES ($1, $2, '', '')",
                taken,
                tenant,
            )
            committing = asyncio.create_task(batch)
            await at.wait_until(
                "count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            await at.emit(tenant, uuid7(), "later")
            await asyncio.sleep(4 * FAST_SECONDS)
            assert await at.names() == []
            await blocking.rollback()
            await committing
            await at.wait_for(["host's", "later"])
        assert await at.names() == ["host's", "later"]
    finally:
        await holder.close()
        await store.close()


async def test_a_subjects_events_come_as_they_were_committed(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a batch ends. The order of transactions' numbers would be another one."""
    monkeypatch.setattr(portions, "MAX_BATCH", 1)
    tenant, other, subject = some_ids(3)
    async with consuming(at.urls.app, noting()):
        async with at.db.transaction(Scope(tenant)) as tx:
            await emit(tx, tenant, other, ThingMade(name="other"))  # it has its number
            await at.emit(tenant, subject, "first")
            await emit(tx, tenant, subject, ThingMade(name="second"))
        await at.wait_for(["other", "first", "second"])
    assert await at.names(subject=subject) == ["first", "second"]
    by_number = await at.owner.fetch(
        "SELECT data->>'name' AS name FROM outbox WHERE subject = $1 ORDER BY xid, id", str(subject)
    )
    assert [row["name"] for row in by_number] == ["second", "first"]


_STRICT = """
CREATE TEMP TABLE outbox (LIKE public.outbox INCLUDING DEFAULTS);
CREATE FUNCTION pg_temp.strict_id() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  IF pg_current_xact_id_if_assigned() IS NULL THEN RAISE EXCEPTION 'it has no number'; END IF;
  RETURN 7;
END $$;
ALTER TABLE pg_temp.outbox ALTER id SET DEFAULT pg_temp.strict_id();
"""


async def test_who_emits_has_a_number_before_the_row_has_an_id(at: Ground) -> None:
    """Of a transaction without one nobody could know that it runs, and may have a lower id."""
    owner = Database(at.urls.owner, pool_size=1)
    try:
        async with owner.transaction(Scope()) as tx:
            connection = await tx.get_raw_connection()
            await connection.driver_connection.execute(_STRICT)
        async with owner.transaction(Scope()) as tx:
            await emit(tx, uuid7(), uuid7(), ThingMade())
            assert await tx.scalar(text("SELECT id FROM outbox")) == 7
        with pytest.raises(DBAPIError, match="no number"):
            async with owner.transaction(Scope()) as tx:
                await tx.execute(text("INSERT INTO outbox (event_id) VALUES (gen_random_uuid())"))
    finally:
        await owner.close()


def test_a_host_has_a_number_before_its_rows_have_ids() -> None:
    """It locks its leases first."""
    written = Procedure(0, [FAMILIES["commerce"].loader.writes]).definition
    assert written.index("FOR SHARE") < written.index("INSERT INTO outbox")
