"""What falls due is decided sooner or later whatever happens to it, before all that its tenant
asks for later, and at nobody else's cost."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest

from actors.families import decode_reply
from actors.runtime import agenda, batch, committing, ownership
from actors.runtime.wire import Outcome
from actors.stock import model as m
from core.ids import uuid7
from store.hosts.journal import Cause, Rejected
from tests.runtime.audit import audit
from tests.runtime.clients import Shop
from tests.runtime.kit import Cluster, Urls, running
from tests.runtime.node import Node, SteerableClock
from tests.runtime.test_holds import EXPIRED_MS, TTL_MS, _pass, _until_free
from tests.waiting import until


def _clock() -> SteerableClock:
    return SteerableClock(calibrates=False)


def _hold(product: UUID, quantity: int = 1, reference: str | None = None) -> m.Reserve:
    return m.Reserve(uuid7(), (m.Line(product, quantity),), TTL_MS, reference)


async def _held(shop: Shop, node: Node, product: UUID, number: int) -> None:
    """So many holds of one unit."""
    for start in range(0, number, 500):
        some = [shop.envelope(_hold(product)) for _ in range(min(500, number - start))]
        answers = await node.host.submit(some)
        assert {answer.outcome for answer in answers} == {Outcome.DONE}


@pytest.mark.parametrize(("name", "cause"), [("load", Cause.BROKEN), ("commit", Cause.STALE)])
async def test_what_could_not_be_decided_when_it_was_due_is_soon_tried_again(
    urls: Urls, name: str, cause: Cause
) -> None:
    async with running(urls, 1, clock=_clock()) as cluster:
        shop, node = Shop(cluster), cluster.nodes["h0"]
        (product,) = await shop.stock(1)
        await shop.do(_hold(product))
        node.host._memory.drop()
        plain, refusals = getattr(node.store, name), iter(range(2))

        async def refuses(*arguments: Any) -> Any:
            if next(refusals, None) is not None:
                raise Rejected("not now", cause)
            return await plain(*arguments)

        with patch.object(node.store, name, refuses):
            cluster.clock.ahead_ms += EXPIRED_MS + 1
            await _until_free(urls, product, 15)
        assert next(refusals, None) is None


async def test_what_is_stale_when_it_is_due_is_decided_before_what_comes_later(urls: Urls) -> None:
    async with running(urls, 1, clock=_clock()) as cluster:
        shop, node = Shop(cluster), cluster.nodes["h0"]
        (product,) = await shop.stock(1)
        await shop.do(_hold(product))
        # With its rival, and then alone.
        plain, refusals = node.store.commit, iter(range(2))

        async def refuses(*arguments: Any) -> Any:
            if next(refusals, None) is not None:
                raise Rejected("not as remembered", Cause.STALE)
            return await plain(*arguments)

        with patch.object(node.store, "commit", refuses):
            async with node.host._turn:
                await _pass(cluster.clock, EXPIRED_MS + 1)
                before = len(node.host._mailbox)
                rival = asyncio.create_task(shop.do(_hold(product)))
                await until(lambda: len(node.host._mailbox) > before)
            assert isinstance(await rival, m.Hold)


async def _reserves_all_after_a_refused_batch(urls: Urls) -> object:
    """Three holds fall due; a command that wants all of it comes after them in one batch, with a
    culprit. The halves in which the culprit is looked for then take their time."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop, node = Shop(cluster), cluster.nodes["h0"]
        (product,) = await shop.stock(3)
        await _held(shop, node, product, 3)
        plain, refusals = node.store.commit, iter(range(1))
        with pytest.MonkeyPatch.context() as slow:

            async def refuses(*arguments: Any) -> Any:
                if next(refusals, None) is not None:
                    slow.setattr(committing, "MAX_DECIDE_SECONDS", -1.0)
                    slow.setattr(batch, "LOOK_WEIGHT", 1)
                    raise Rejected("a culprit", Cause.DATA)
                return await plain(*arguments)

            slow.setattr(node.store, "commit", refuses)
            async with node.host._turn:
                await _pass(cluster.clock, EXPIRED_MS + 1)
                some = [shop.envelope(_hold(product, quantity)) for quantity in (3, 1, 1)]
                told = node.host.take(some)
            answers = await told.all()
        assert (await audit(urls, shop.log)).clean
        return decode_reply(answers[0].reply)


async def test_nothing_overtakes_what_is_due_where_a_culprit_is_looked_for(urls: Urls) -> None:
    assert isinstance(await _reserves_all_after_a_refused_batch(urls), m.Hold)


# --- many at once ------------------------------------------------------------------------------


async def _two(cluster: Cluster) -> tuple[Shop, Shop]:
    """Tenants of one shard, so that nothing but their lanes keeps them apart."""
    one = Shop(cluster)
    while True:
        other = Shop(cluster)
        if other.envelope(_hold(uuid7())).shard == one.envelope(_hold(uuid7())).shard:
            return one, other


async def test_a_mass_of_holds_that_fall_due_keeps_no_neighbour_waiting(urls: Urls) -> None:
    async with running(urls, 1, clock=_clock()) as cluster:
        node = cluster.nodes["h0"]
        big, small = await _two(cluster)
        (hot,), (product,) = await big.stock(4_000), await small.stock(1)
        await _held(big, node, hot, 3_000)
        async with node.host._turn:
            await _pass(cluster.clock, EXPIRED_MS + 1)
            theirs = node.host.take([small.envelope(_hold(product))])
            own = node.host.take([big.envelope(_hold(hot, 4_000))])
        ((_, told),) = await theirs.some()
        assert told.outcome is Outcome.DONE
        assert len(node.host._agenda) >= 1_000, "it waited for the neighbour's holds"
        ((_, all_of_it),) = await own.some()
        assert len(node.host._agenda) == 0, "its own come first"
        assert all_of_it.receipts, "all is free"
        found = await audit(urls, [*big.log, *small.log])
        assert not found.contradictions, found


# Hosts write whole milliseconds; a row that an import or a person wrote need not be one.
@pytest.mark.parametrize("fraction_us", [0, 400, 600])
async def test_timers_are_read_page_by_page_and_no_further_ahead_than_need_be(
    urls: Urls, monkeypatch: pytest.MonkeyPatch, fraction_us: int
) -> None:
    monkeypatch.setattr(ownership, "MAX_READ", 40)
    monkeypatch.setattr(agenda, "MAX_TIMERS", 100)
    async with running(urls, 1, clock=_clock()) as cluster:
        shop, node = Shop(cluster), cluster.nodes["h0"]
        (product,) = await shop.stock(400)
        for _ in range(40):  # ten at a time fall due at the same time
            await _held(shop, node, product, 10)
        sizes: list[int] = []
        make = cluster.hosts._make

        def watched(name: str) -> Node:
            fresh = make(name)
            due = fresh.store.due

            async def counted(*arguments: Any) -> Any:
                rows = await due(*arguments)
                sizes.append(len(rows))
                return rows

            fresh.store.due = counted
            return fresh

        monkeypatch.setattr(cluster.hosts, "_make", watched)
        cluster.kill("h0")
        owner = await asyncpg.connect(urls.owner)
        await owner.execute(
            "UPDATE reservations SET expires_at = expires_at + $1 * interval '1 microsecond'",
            fraction_us,
        )
        await owner.close()
        # 30 s ahead of what is due: not yet near.
        cluster.clock.ahead_ms += EXPIRED_MS - 30_000
        await cluster.settled()
        fresh = cluster.nodes["h0"].host
        await until(lambda: fresh._agenda.is_full)  # it serves while it reads
        assert len(fresh._agenda) < 160
        assert max(sizes) <= 60
        cluster.clock.ahead_ms += 30_000
        await _until_free(urls, product)
        assert max(sizes) <= 60
        assert sum(sizes) < 440, "nothing is read twice"
