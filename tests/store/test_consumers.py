"""Consumers: each event has its effect once, in order, whatever dies and whatever fails."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.events import Delivery
from core.ids import uuid7
from deployments.kit import portions
from deployments.kit.event_reader import run
from deployments.kit.portions import FIRST_BATCH
from store.kit import consumers as stored
from store.kit.consumers import Look
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit
from tests.store.consumer_kit import (
    FAST_SECONDS,
    QUICK,
    Ground,
    consuming,
    note,
    noting,
    some_ids,
)
from tests.store.events import ThingBroken, ThingMade

# --- exactly once --------------------------------------------------------------------------

# Forks of a process that has imported everything, and holds nothing.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def consume(url: str) -> None:
    """What a process does until it is killed."""
    asyncio.run(run(Database(url), [noting()], poll_seconds=0.02))


@pytest.mark.timeout(60)
async def test_each_event_has_its_effect_once_under_kills(at: Ground) -> None:
    """Processes are killed at any moment, also between an effect and its commit; two at a time
    run, while others emit."""
    tenants, subjects = some_ids(3), some_ids(6)
    emitted: dict[UUID, list[str]] = {subject: [] for subject in subjects}
    over = False

    async def emit_on(place: int) -> None:
        number = 0
        while not over:
            number += 1
            name = f"{place}.{number}"
            await at.emit(tenants[place % 3], subjects[place], name)
            emitted[subjects[place]].append(name)

    def started() -> Any:
        process = _FORKS.Process(target=consume, args=[at.urls.app], daemon=True)
        process.start()
        return process

    emitting = [asyncio.create_task(emit_on(place)) for place in range(len(subjects))]
    children = [started(), started()]
    try:
        await at.wait_until("count(*) > 0 FROM effects")
        for turn in range(6):
            seen = await at.owner.fetchval("SELECT count(*) FROM effects")
            await at.wait_until("count(*) > $1 FROM effects", seen + 20)
            await asyncio.sleep(random.uniform(0, 0.05))
            children[turn % 2].kill()
            children[turn % 2].join()
            children[turn % 2] = started()
    finally:
        over = True
        await asyncio.gather(*emitting)
        try:
            await at.wait_for([name for names in emitted.values() for name in names])
        finally:
            for child in children:
                child.kill()
                child.join()
    for subject, names in emitted.items():
        assert await at.names(subject=subject) == names
    assert await at.owner.fetchval("SELECT count(*) FROM consumer_backlog") == 0


async def test_another_takes_over_from_one_that_hangs(at: Ground) -> None:
    """While it hangs it has the position, and the other does not wait for it; once its session
    ends, as the server sees to, the other goes on."""
    tenant, subject = some_ids(2)
    has_begun = asyncio.Event()

    async def hang(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        await note(tx, "noting", tenant_id, delivery)
        has_begun.set()
        await asyncio.Event().wait()

    await at.emit(tenant, subject, "a", "b")
    async with consuming(at.urls.app, noting(handle=hang)):
        await asyncio.wait_for(has_begun.wait(), 10)
        async with consuming(at.urls.app, noting()):
            await asyncio.sleep(4 * FAST_SECONDS)
            assert await at.names() == []
            locked = "count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert await at.owner.fetchval(f"SELECT {locked}") == 0
            await at.owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'idle in transaction'"
            )
            await at.wait_for(["a", "b"])
            assert await at.names() == ["a", "b"]


# --- who is given what ---------------------------------------------------------------------


async def test_a_handler_sees_and_writes_what_is_its_tenants(at: Ground) -> None:
    mine, other = some_ids(2)
    seen: dict[UUID, int] = {}

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        await note(tx, "noting", tenant_id, delivery)
        seen[tenant_id] = await tx.scalar(text("SELECT count(DISTINCT tenant_id) FROM effects"))
        if delivery.event == ThingMade(name="thief"):
            await note(tx, "noting", other, delivery)

    await at.emit(mine, uuid7(), "a")
    await at.emit(other, uuid7(), "b")
    await at.emit(mine, uuid7(), "thief")
    async with consuming(at.urls.app, noting(handle=handle, **QUICK)):
        await at.wait_for(["a", "b"])
        await at.wait_until("count(*) = 1 FROM consumer_backlog WHERE problem LIKE '%security%'")
    assert seen == {mine: 1, other: 1}


async def test_a_new_consumer_begins_now_or_with_the_oldest(at: Ground) -> None:
    tenant, subject = some_ids(2)
    await at.emit(tenant, subject, "before")
    both = [noting("now", begins="now"), noting("oldest", begins="oldest")]
    async with consuming(at.urls.app, *both):
        await at.wait_for(["before"], "oldest")
        await at.wait_until("count(*) = 2 FROM consumers")
        await at.emit(tenant, subject, "after")
        await at.wait_for(["after"], "now")
        await at.wait_for(["before", "after"], "oldest")
    await at.emit(tenant, subject, "while away")
    async with consuming(at.urls.app, *both):
        await at.wait_for(["after", "while away"], "now")


async def test_a_consumer_is_given_its_kinds_and_passes_the_others(at: Ground) -> None:
    tenant, subject = some_ids(2)
    await at.emit(tenant, subject, "made")
    async with at.db.transaction(Scope(tenant)) as tx:
        await emit(tx, tenant, subject, ThingBroken(name="broken"))
    async with consuming(at.urls.app, noting()):
        await at.passed("noting", await at.newest())
    assert await at.names() == ["made"]


async def test_several_may_be_handled_at_once(at: Ground) -> None:
    tenants = some_ids(3)
    sizes: list[int] = []
    bad = {"2.7"}

    async def handle_all(tx: Transaction, tenant_id: UUID, deliveries: list[Delivery]) -> None:
        sizes.append(len(deliveries))
        for delivery in deliveries:
            await note(tx, "noting", tenant_id, delivery)
            if delivery.event.name in bad:  # type: ignore[attr-defined]
                raise ValueError("not this one")

    wanted = []
    for place, tenant in enumerate(tenants):
        names = [f"{place}.{number}" for number in range(20)]
        await asyncio.gather(*(at.emit(tenant, uuid7(), name) for name in names))
        wanted += names
    async with consuming(at.urls.app, noting(handle_all=handle_all, **QUICK)):
        await at.wait_for([name for name in wanted if name not in bad])
    assert 20 in sizes


async def test_what_takes_long_is_taken_in_small_batches(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others emit during a batch counts as settled only afterwards."""
    sizes: list[int] = []

    async def handle_all(tx: Transaction, tenant_id: UUID, deliveries: list[Delivery]) -> None:
        sizes.append(len(deliveries))
        await asyncio.sleep(0.005 * len(deliveries))

    monkeypatch.setattr(portions, "BATCH_SECONDS", 0.1)
    await at.owner.execute(
        "INSERT INTO outbox (event_id, tenant_id, type, subject, data)"
        " SELECT gen_random_uuid(), $1, $2, 's', '{\"name\": \"a\"}' FROM generate_series(1, 200)",
        uuid7(),
        ThingMade.kind,
    )
    async with consuming(at.urls.app, noting(handle_all=handle_all)):
        await at.passed("noting", await at.newest())
    assert sizes[0] == FIRST_BATCH, sizes
    assert max(sizes[1:]) < FIRST_BATCH / 2
    assert sum(sizes) == 200


async def test_a_server_that_has_taken_over_is_read_from_where_it_is(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lack the last events, the positions after them, and who reads: with what comes then
    nobody waits until there are as many as there were."""
    has_taken_over, look = False, stored.look

    async def look_at_another(db: Database, settled: int | None) -> Look:
        nonlocal has_taken_over
        seen = await look(db, settled)
        if has_taken_over:
            has_taken_over = False
            return seen._replace(next_transaction=1)
        return seen

    monkeypatch.setattr(stored, "look", look_at_another)
    names = ["a", "b", "c"]
    await at.emit(uuid7(), uuid7(), *names)
    async with consuming(at.urls.app, noting()):
        await at.passed("noting", await at.newest())
        await asyncio.sleep(4 * FAST_SECONDS)
        await at.owner.execute("DELETE FROM effects; DELETE FROM consumers")
        has_taken_over = True
        await at.wait_for(names)


async def test_who_has_nothing_to_do_asks_seldom(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, batches = 0, 0
    look, take = stored.look, stored.take

    async def counted_look(db: Database, settled: int | None) -> Look:
        nonlocal looks
        looks += 1
        return await look(db, settled)

    async def counted_take(tx: Transaction, name: str) -> int | None:
        nonlocal batches
        batches += 1
        return await take(tx, name)

    await at.emit(uuid7(), uuid7(), "a")
    monkeypatch.setattr(stored, "look", counted_look)
    monkeypatch.setattr(stored, "take", counted_take)
    async with consuming(at.urls.app, noting("one"), noting("two"), poll_seconds=0.25):
        await at.wait_for(["a"], "one")
        await at.wait_for(["a"], "two")
        await asyncio.sleep(0.6)  # until it has calmed down
        looks = batches = 0
        await asyncio.sleep(1)
        assert 1 <= looks <= 5
        assert batches == 0


async def test_entering_waits_for_no_process_that_moves_the_position(at: Ground) -> None:
    async with at.db.transaction(Scope()) as tx:
        await stored.begin(tx, "noting", 0)
    async with at.db.transaction(Scope()) as moving, at.db.transaction(Scope()) as entering:
        await stored.take(moving, "noting")
        await stored.move(moving, "noting", 5)
        await asyncio.wait_for(stored.begin(entering, "noting", 0), 2)
