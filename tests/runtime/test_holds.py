"""Holds over time: expiry and grace, the sweep, takeovers, and clocks that disagree."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from actors.stock import model as m
from core.ids import uuid7
from store.hosts.connections import OutcomeUnknown
from tests.runtime import sabotage
from tests.runtime.audit import audit, contradictions
from tests.runtime.clients import Shop
from tests.runtime.kit import Urls, running
from tests.runtime.node import SteerableClock
from tests.waiting import until

TTL_MS = 60_000
EXPIRED_MS = TTL_MS + m.GRACE_MS


async def _reserved(urls: Urls, product: UUID) -> int:
    """From the database: nothing asks the owner, so nothing touches the product."""
    owner = await asyncpg.connect(urls.owner)
    try:
        found = await owner.fetchval(
            "SELECT reserved FROM stock_levels WHERE product_id = $1", product
        )
        return int(found)
    finally:
        await owner.close()


async def _until_free(urls: Urls, product: UUID, timeout_seconds: float = 30) -> None:
    async with asyncio.timeout(timeout_seconds):
        while await _reserved(urls, product):
            await asyncio.sleep(0.05)


def _clock() -> SteerableClock:
    """Kept where the test puts it; the database's own time goes on."""
    return SteerableClock(calibrates=False)


async def _pass(clock: SteerableClock, ms: int) -> None:
    """Time passes; not in one leap, which would outrun the sweeps: a host that sleeps that long
    has lost its lease, and looks ahead anew."""
    while ms > 0:
        step_ms = min(ms, 20_000)
        clock.ahead_ms += step_ms
        ms -= step_ms
        if ms:
            await asyncio.sleep(0.4)


async def _held(shop: Shop, product: UUID, ttl_ms: int = TTL_MS) -> m.Hold:
    reply = await shop.do(m.Reserve(uuid7(), (m.Line(product, 1),), ttl_ms))
    assert isinstance(reply, m.Hold)
    return reply


async def test_a_hold_lasts_until_its_grace_is_over_and_then_is_swept(urls: Urls) -> None:
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(5)
        await _held(shop, product)
        cluster.clock.ahead_ms += EXPIRED_MS - 2_000
        await asyncio.sleep(0.6)
        assert await _reserved(urls, product) == 1, "the grace is not over"
        cluster.clock.ahead_ms += 3_000
        await _until_free(urls, product)
        assert (await audit(urls, shop.log)).clean


async def test_the_sweep_goes_on_after_a_takeover(urls: Urls) -> None:
    """The successor finds in the database what is due soon, what was due while nobody was there,
    and later what was far away."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        soon, far = await shop.stock(5, 2)
        await _held(shop, soon)
        await _held(shop, far, ttl_ms=10 * TTL_MS)
        cluster.kill("h0")
        cluster.clock.ahead_ms += EXPIRED_MS + 1_000
        await cluster.settled()
        await _until_free(urls, soon)
        assert await _reserved(urls, far) == 1
        cluster.clock.ahead_ms += 9 * TTL_MS
        await _until_free(urls, far)
        assert (await audit(urls, shop.log)).clean


async def test_an_extended_hold_is_swept_at_its_new_end(urls: Urls) -> None:
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(5)
        hold = await _held(shop, product)
        cluster.clock.ahead_ms += TTL_MS
        await shop.do(m.Extend(hold.reservation_id, TTL_MS))
        cluster.clock.ahead_ms += m.GRACE_MS + 1_000  # where it would have ended
        await asyncio.sleep(0.6)
        assert await _reserved(urls, product) == 1
        cluster.clock.ahead_ms += TTL_MS
        await _until_free(urls, product)


async def test_a_decision_sees_nothing_that_is_due(urls: Urls) -> None:
    """The last unit is held by nobody any more: the next caller gets it, without a sweep."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1)
        await _held(shop, product)
        await _pass(cluster.clock, EXPIRED_MS + 1)
        assert isinstance(await shop.send(shop.reserve(product)), m.Hold)


async def test_a_confirm_in_time_is_honoured_across_a_failover(urls: Urls) -> None:
    """It arrived before the expiry, and its host died; the successor comes some time later."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1)
        hold = await _held(shop, product)
        cluster.clock.ahead_ms += TTL_MS - 500
        node = cluster.nodes["h0"]
        async with node.host._turn:
            confirm = asyncio.create_task(shop.do(m.Confirm(hold.reservation_id)))
            rival = asyncio.create_task(shop.do(m.Reserve(uuid7(), (m.Line(product, 1),), 1_000)))
            await until(lambda: len(node.host._mailbox) == 2)
            cluster.kill("h0")
            cluster.clock.ahead_ms += 20_000
        assert (await confirm).status is m.Status.CONFIRMED
        assert isinstance(await rival, m.Refused)
        assert (await audit(urls, shop.log)).clean


async def test_a_confirm_that_is_too_late_takes_what_is_free_or_says_so(urls: Urls) -> None:
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        free, gone = await shop.stock(1, 2)
        lucky, unlucky = await _held(shop, free), await _held(shop, gone)
        await _pass(cluster.clock, EXPIRED_MS + 1)
        await _held(shop, gone)
        assert (await shop.do(m.Confirm(lucky.reservation_id))).status is m.Status.CONFIRMED
        refusal = await shop.do(m.Confirm(unlucky.reservation_id))
        assert isinstance(refusal, m.Refused)
        assert refusal.code == "reservation_expired"
        assert (await audit(urls, shop.log)).clean


# --- clocks that disagree --------------------------------------------------------------------


async def _slower_successor(urls: Urls) -> list[str]:
    """A host decides, dies, and its successor's clock is ten seconds behind; what the ledger
    then says is wrong."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(100)
        for _ in range(5):
            await shop.insist(shop.reserve(product))
        cluster.kill("h0")
        cluster.clock.ahead_ms -= 10_000
        await cluster.settled()
        for _ in range(5):
            await shop.insist(shop.reserve(product))
        return list(await contradictions(urls))


async def test_decision_time_never_runs_backwards(urls: Urls) -> None:
    assert not await _slower_successor(urls)


async def test_time_that_runs_backwards_is_caught_without_the_floor(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.floor_off(monkeypatch)
    assert await _slower_successor(urls) == ["time runs backwards in the ledger"]


async def test_a_slow_answer_of_the_database_does_not_move_the_clock() -> None:
    """It is read somewhere between asking and hearing; only what lies outside of that moves."""
    clock = SteerableClock()
    true_ms = clock.now_ms()
    clock.calibrate(true_ms + 2_900, true_ms, true_ms + 3_000)  # it waited for a lock
    assert abs(clock.now_ms() - true_ms) < 500
    clock.calibrate(true_ms + 5_000, true_ms, true_ms + 10)
    assert 4_500 < clock.now_ms() - true_ms < 5_500, "the first that tells anything is believed"


async def test_a_calibrated_host_follows_the_database(urls: Urls) -> None:
    """A host whose machine is two minutes ahead must not expire what is not due."""
    clock = SteerableClock()
    clock.ahead_ms = 120_000
    async with running(urls, 1, clock=clock) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1)
        hold = await _held(shop, product, ttl_ms=1_000)
        owner = await asyncpg.connect(urls.owner)
        database_ms = await owner.fetchval(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        )
        await owner.close()
        assert abs(hold.created_at_ms - database_ms) < 2_000


async def test_many_holds_fall_due_at_once(urls: Urls) -> None:
    """More than one batch of them, and commands in between."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(2_000)
        await asyncio.gather(*(_held(shop, product) for _ in range(1_300)))
        await _pass(cluster.clock, EXPIRED_MS + 1)
        reply = await shop.do(m.Reserve(uuid7(), (m.Line(product, 2_000),), TTL_MS))
        assert isinstance(reply, m.Hold), "all are free when the first one after is decided"
        found = await audit(urls, shop.log)
        assert found.clean, found


async def test_a_hold_that_cannot_be_swept_now_is_swept_later(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost just when it is due: the timer must not be lost with it."""
    async with running(urls, 1, clock=_clock()) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1)
        await _held(shop, product)
        store = cluster.nodes["h0"].store
        commit, losses = store.commit, iter(range(2))

        async def losing(*arguments: Any) -> None:
            if next(losses, None) is not None:
                raise OutcomeUnknown
            await commit(*arguments)

        monkeypatch.setattr(store, "commit", losing)
        cluster.clock.ahead_ms += EXPIRED_MS + 1
        await _until_free(urls, product, 10)
