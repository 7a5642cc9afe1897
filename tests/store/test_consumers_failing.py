"""Consumers whose handlers fail: what waits, what goes on, and what is set aside."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.events import Delivery
from core.ids import uuid7
from deployments.kit import event_reader, portions
from deployments.kit.consumers import Consumer
from store.kit import backlog
from store.kit import consumers as stored
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit_all
from tests.store.consumer_kit import (
    FAST_SECONDS,
    QUICK,
    Ground,
    consuming,
    note,
    noting,
    some_ids,
)
from tests.store.events import ThingMade


def failing(bad: set[str], **options: object) -> Consumer:
    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        await note(tx, "noting", tenant_id, delivery)
        if delivery.event.name in bad:  # type: ignore[attr-defined]
            raise ValueError("cannot bear this one")

    return noting(handle=handle, **options)


async def test_what_fails_lets_its_subject_wait_and_all_others_go_on(at: Ground) -> None:
    (tenant, other), (sick, well) = some_ids(2), some_ids(2)
    bad = {"x1"}
    consumer = failing(bad, retry_seconds=0.3)
    await at.emit(tenant, sick, "x0", "x1", "x2")
    await at.emit(tenant, well, "y1")
    await at.emit(other, sick, "z1")
    async with consuming(at.urls.app, consumer):
        await at.wait_for(["x0", "y1", "z1"])
        await at.emit(tenant, sick, "x3")
        await at.emit(tenant, well, "y2")
        await at.wait_for(["x0", "y1", "y2", "z1"])
        bad.clear()
        await at.wait_for(["x0", "x1", "x2", "x3", "y1", "y2", "z1"])
        await at.emit(tenant, sick, "x4")
        await at.wait_for(["x0", "x1", "x2", "x3", "x4", "y1", "y2", "z1"])
    of_tenant = [name for name in await at.names(subject=sick) if name != "z1"]
    assert of_tenant == ["x0", "x1", "x2", "x3", "x4"]
    assert await at.owner.fetchval("SELECT count(*) FROM consumer_backlog") == 0


async def test_what_fails_for_good_is_set_aside_listed_and_may_be_tried_again(at: Ground) -> None:
    tenant, subject = some_ids(2)
    bad = {"b"}
    await at.emit(tenant, subject, "a", "b", "c")
    host = Database(at.urls.host)
    async with consuming(at.urls.app, failing(bad, **QUICK)):
        await at.wait_for(["a", "c"])
        async with host.transaction(Scope()) as tx:
            (listed,) = await backlog.set_aside(tx, limit=10)
        assert (listed.consumer, listed.type, listed.subject) == (
            "noting",
            ThingMade.kind,
            str(subject),
        )
        assert listed.attempts == QUICK["max_attempts"]
        assert "cannot bear this one" in listed.problem
        bad.clear()
        await asyncio.sleep(2 * FAST_SECONDS)
        assert await at.names() == ["a", "c"], "nobody tries it again unasked"
        async with host.transaction(Scope()) as tx:
            assert await backlog.try_again(tx, "noting") == 1
        await at.wait_for(["a", "b", "c"])
    await host.close()


async def test_an_event_that_takes_the_connection_along_does_not_stop_the_rest(at: Ground) -> None:
    tenant, sick, well = some_ids(3)

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        await note(tx, "noting", tenant_id, delivery)
        if delivery.subject == str(sick):
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    await at.emit(tenant, well, "a")
    await at.emit(tenant, sick, "b")
    await at.emit(tenant, well, "c")
    async with consuming(at.urls.app, noting(handle=handle, **QUICK)):
        await at.wait_for(["a", "c"])
        await at.wait_until("count(*) = 1 FROM consumer_backlog WHERE set_aside_at IS NOT NULL")


async def test_an_event_that_cannot_be_read_is_one_that_fails(at: Ground) -> None:
    tenant, subject = some_ids(2)
    await at.owner.execute(
        "INSERT INTO outbox (event_id, tenant_id, type, subject, data)"
        " VALUES ($1, $2, $3, $4, '{\"name\": 7}')",
        uuid7(),
        tenant,
        ThingMade.kind,
        str(subject),
    )
    await at.emit(tenant, uuid7(), "well")
    async with consuming(at.urls.app, noting(**QUICK)):
        await at.wait_for(["well"])
        await at.wait_until(
            "count(*) = 1 FROM consumer_backlog"
            " WHERE set_aside_at IS NOT NULL AND problem LIKE '%str%'"
        )


@pytest.mark.parametrize(
    "error",
    [ValueError("a NUL \0 and half a pair \ud800"), asyncio.CancelledError()],
    ids=["words that cannot be stored", "cancelled"],
)
async def test_whatever_an_event_fails_of_it_does_not_stop_the_rest(
    at: Ground, error: BaseException
) -> None:
    """What cannot be written down as a failure would be tried forever, before all others; and who
    takes a handler's cancelled task for the end of its own ends."""
    tenant, sick, well = some_ids(3)

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        await note(tx, "noting", tenant_id, delivery)
        if delivery.subject == str(sick):
            raise error

    await at.emit(tenant, sick, "a")
    await at.emit(tenant, well, "b")
    async with consuming(at.urls.app, noting(handle=handle, **QUICK)):
        await at.wait_for(["b"])
        await at.wait_until("count(*) = 1 FROM consumer_backlog WHERE set_aside_at IS NOT NULL")


@pytest.mark.parametrize("is_failing", [False, True], ids=["hangs", "fails late"])
async def test_nobody_waits_for_each_event_of_a_tenant_whose_handler_is_slow(
    at: Ground, monkeypatch: pytest.MonkeyPatch, is_failing: bool
) -> None:
    """They are about as many things, so that none of them waits for an earlier one. What failed of
    others is tried again in time, too."""
    monkeypatch.setattr(event_reader, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(portions, "SLOW_SECONDS", 0.2)
    sick, well = some_ids(2)
    # With others, and alone: then it is in the backlog.
    failures = [*"bbcc"]
    tries: list[str] = []

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        if tenant_id == sick:
            tries.append(delivery.subject)
            await asyncio.sleep(0.25 if is_failing else 60)
            raise ValueError("late")
        name = delivery.event.name  # type: ignore[attr-defined]
        if name in failures:
            failures.remove(name)
            raise ValueError("twice")
        await note(tx, "noting", tenant_id, delivery)

    for subject in some_ids(25):
        await at.emit(sick, subject, "never")
    await at.emit(well, uuid7(), "a")
    async with consuming(at.urls.app, noting(handle=handle, retry_seconds=0.01)):
        await at.wait_for(["a"])
        await at.wait_until("count(*) = 25 FROM consumer_backlog")
        for name, noted in (("b", "ab"), ("c", "abc")):
            await at.emit(well, uuid7(), name)
            await at.wait_for([*noted])
    assert len(tries) <= 4, "of 25, each of which takes a while"


async def test_a_consumer_that_was_forgotten_reads_anew(at: Ground) -> None:
    """What it had given up, and what waited to be tried again, is in its backlog already."""
    tenant, sick, well = some_ids(3)
    await at.emit(tenant, sick, "a", "b")
    await at.emit(tenant, well, "c")
    async with consuming(at.urls.app, failing({"a", "c"}, retry_seconds=60)):
        await at.wait_until("count(*) = 3 FROM consumer_backlog")
    await at.owner.execute(
        "DELETE FROM consumers; UPDATE consumer_backlog SET due_at = now(), set_aside_at ="
        " CASE WHEN id = (SELECT min(id) FROM consumer_backlog) THEN now() END"
    )
    await at.emit(tenant, uuid7(), "d")
    async with consuming(at.urls.app, failing({"a"}, **QUICK)):
        await at.wait_for([*"bcd"])
    (left,) = await at.owner.fetch("SELECT attempts, set_aside_at FROM consumer_backlog")
    assert left["attempts"] == QUICK["max_attempts"]
    assert left["set_aside_at"] is not None


@pytest.mark.parametrize(
    ("where", "what"), [(stored, "look"), (stored, "take"), (backlog, "due_subjects")]
)
async def test_a_cancellation_of_something_else_ends_no_consumer(
    at: Ground, monkeypatch: pytest.MonkeyPatch, where: Any, what: str
) -> None:
    """Of something that was waited for, such as a connection that is being made for several."""
    monkeypatch.setattr("core.background.PAUSE_SECONDS", 0.0)
    real, cancelled = getattr(where, what), asyncio.Event()

    async def once(*arguments: Any) -> Any:
        if not cancelled.is_set():
            cancelled.set()
            raise asyncio.CancelledError
        return await real(*arguments)

    failures = ["at first", "alone"]

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        if failures:
            raise ValueError(failures.pop())
        await note(tx, "noting", tenant_id, delivery)

    monkeypatch.setattr(where, what, once)
    await at.emit(*some_ids(2), "a")
    async with consuming(at.urls.app, noting(handle=handle, **QUICK)):
        await at.wait_for(["a"])
    assert cancelled.is_set()


async def test_one_that_was_forgotten_although_it_runs_goes_on(at: Ground) -> None:
    now, oldest = noting("now", begins="now"), noting("oldest")
    async with consuming(at.urls.app, now, oldest):
        await at.wait_until("count(*) = 2 FROM consumers")
        await at.emit(uuid7(), uuid7(), "a")
        for name in ("now", "oldest"):
            await at.wait_for(["a"], name)
        await at.owner.execute("DELETE FROM consumers")
        await at.emit(uuid7(), uuid7(), "b")
        await at.wait_for(["a", "b"], "now")
        await at.wait_for(["a", "a", "b"], "oldest")


async def test_one_that_fails_among_many_is_found_soon(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is, all others wait."""
    take, batches = stored.take, 0

    async def counted(*arguments: Any) -> int | None:
        nonlocal batches
        batches += 1
        return await take(*arguments)

    monkeypatch.setattr(stored, "take", counted)
    names = [str(number) for number in range(2_000)]
    things = [(uuid7(), ThingMade(name=name)) for name in names]
    async with at.db.transaction(Scope(tenant := uuid7())) as tx:
        await emit_all(tx, tenant, things)
    async with consuming(at.urls.app, failing({"700", "701", "1500"}, retry_seconds=60)):
        await at.passed("noting", await at.newest())
    assert sorted({*names} - {*await at.names()}) == ["1500", "700", "701"]
    assert batches < 200


async def test_a_consumers_failure_is_no_other_consumers(at: Ground) -> None:
    tenant, subject = some_ids(2)

    async def handle(tx: Transaction, tenant_id: UUID, delivery: Delivery) -> None:
        raise ValueError("never")

    await at.emit(tenant, subject, *"abc")
    broken = Consumer("broken", (ThingMade,), handle, begins="oldest")
    async with consuming(at.urls.app, broken, noting()):
        await at.wait_for([*"abc"])
        await at.wait_until("count(*) = 3 FROM consumer_backlog WHERE consumer = 'broken'")


async def test_what_somebody_else_has_seen_to_meanwhile_is_not_parked(
    at: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a failure and the note of it another process may have had the event."""
    failed, noted = event_reader._Reader._failed, asyncio.Event()

    async def late(
        self: Any, position: int, batch: Any, error: Exception, is_alone: bool, after: float
    ) -> None:
        if is_alone:
            async with consuming(at.urls.app, noting()):
                await at.passed("noting", await at.newest())
        await failed(self, position, batch, error, is_alone, after)
        if is_alone:
            noted.set()

    monkeypatch.setattr(event_reader._Reader, "_failed", late)
    await at.emit(uuid7(), uuid7(), "a", "b")
    async with consuming(at.urls.app, failing({"a"})):
        await asyncio.wait_for(noted.wait(), 20)
        await at.wait_for(["a", "b"])
        await at.emit(uuid7(), uuid7(), "c")
        await at.wait_for(["a", "b", "c"])
    assert await at.owner.fetchval("SELECT count(*) FROM consumer_backlog") == 0


def test_each_attempt_comes_later() -> None:
    pauses = [noting().pause_seconds(attempts) for attempts in range(1, 8)]
    assert pauses == [2, 8, 32, 128, 512, 600, 600]
    assert 1_500 < sum(pauses) < 2_400
