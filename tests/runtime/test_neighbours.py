"""Nobody pays for what another asks for: heavy commands, slow look-ups, data that is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from unittest.mock import patch

import pytest

from actors.runtime import mailbox, queue
from actors.runtime.host import Host
from actors.runtime.lease import in_thread
from actors.runtime.wire import Outcome
from actors.stock import model as m
from core.ids import uuid7
from store.hosts.connections import OutcomeUnknown
from store.hosts.journal import Cause, HostStore, Rejected
from tests.runtime.audit import audit
from tests.runtime.clients import hold_of, two_shops
from tests.runtime.kit import Urls, running
from tests.runtime.node import Node
from tests.waiting import until

LINES = 200


def _heavy() -> m.Adjust:
    lines = tuple(m.Adjustment(uuid7(), 1, None, "add") for _ in range(LINES))
    return m.Adjust(lines, "other")


async def _answered_before_a_light_one(urls: Urls) -> int:
    """How many heavy commands of a neighbour, who came first, are answered before a light one."""
    async with running(urls, 1) as cluster:
        big, small, node = await two_shops(cluster)
        (product,) = await small.stock(10)
        heavy = [big.envelope(_heavy()) for _ in range(8)]
        async with node.host._turn:
            many = node.host.take(heavy)
            async with asyncio.timeout(10):
                while len(node.host._mailbox.ready) < len(heavy):
                    await asyncio.sleep(0.01)
            light = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
            one = asyncio.create_task(node.host.submit([small.envelope(light)]))
            await until(lambda: len(node.host._mailbox.ready) > len(heavy))
        assert (await one)[0].outcome is Outcome.DONE
        answered = len(heavy) - many.left
        assert {answer.outcome for answer in await many.all()} == {Outcome.DONE}
        return answered


async def test_a_light_command_overtakes_a_neighbours_heavy_ones(urls: Urls) -> None:
    assert await _answered_before_a_light_one(urls) <= 1


async def test_it_would_wait_for_all_of_them_in_one_queue(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "QUANTUM", 10**9)
    monkeypatch.setattr(mailbox, "MAX_BATCH_WEIGHT", 10**9)
    monkeypatch.setattr("actors.runtime.committing.MAX_DECIDE_SECONDS", 10**9)
    assert await _answered_before_a_light_one(urls) == 8


class Gate(asyncio.Event):
    """What waits for it to be set has `begun` when the first one does."""

    begun = False

    async def wait(self) -> Literal[True]:
        self.begun = True
        return await super().wait()


@contextmanager
def _slow(node: Node, name: str) -> Iterator[Gate]:
    """What the store is asked for under this name takes until the gate is set."""
    plain, go = getattr(node.store, name), Gate()

    async def slow(*arguments: Any) -> Any:
        await go.wait()
        return await plain(*arguments)

    with patch.object(node.store, name, slow):
        yield go
        go.set()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("load", lambda product, now_ms: m.AddStock(uuid7(), 1)),
        ("known", lambda product, now_ms: m.Reserve(uuid7(), (m.Line(product, 1_000),), 60_000)),
        ("ask", lambda product, now_ms: m.Count((m.CountLine(product, 5, now_ms - 60_000),))),
        ("ask", lambda product, now_ms: m.ReleaseOldest(product, 1)),
    ],
)
async def test_what_is_fetched_for_one_keeps_no_other_waiting(
    urls: Urls, name: str, command: Any
) -> None:
    async with running(urls, 1) as cluster:
        big, small, node = await two_shops(cluster)
        (hot,), (product,) = await big.stock(100), await small.stock(100)
        await small.do(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000))
        await big.do(m.Reserve(uuid7(), (m.Line(hot, 1),), 60_000))
        reserve = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
        with _slow(node, name) as go:
            asked = command(hot, cluster.clock.now_ms())
            waits = asyncio.create_task(node.host.submit([big.envelope(asked, look_up=True)]))
            await until(lambda: len(node.host._mailbox) == 1)
            # It cannot have come before this tenure began, so it need not be looked up.
            new = small.envelope(reserve, arrived_ms=cluster.clock.now_ms() + 10_000)
            (told,) = await asyncio.wait_for(node.host.submit([new]), 10)
            assert told.outcome is Outcome.DONE
            assert not waits.done()
            go.set()
            assert (await waits)[0].outcome is Outcome.DONE
        assert not (await audit(urls, [*big.log, *small.log])).contradictions


async def test_what_is_fetched_together_is_waited_for_apart(urls: Urls) -> None:
    """One fetch carries both; who needs nothing slow goes on, and so does what it asks next."""
    async with running(urls, 1) as cluster:
        big, small, node = await two_shops(cluster)
        (product,) = await small.stock(100)
        with _slow(node, "load") as go:
            slow = big.envelope(m.AddStock(uuid7(), 1))
            call = node.host.take([slow, small.envelope(hold_of(product), look_up=True)])
            assert [place for place, _ in await asyncio.wait_for(call.some(), 10)] == [1]
            for _ in range(3):
                again = small.envelope(hold_of(product), look_up=True)
                (told,) = await asyncio.wait_for(node.host.submit([again]), 10)
                assert told.outcome is Outcome.DONE
            assert call.left == 1
            go.set()
            assert [answer.outcome for _, answer in await call.some()] == [Outcome.DONE]


async def test_who_is_refused_a_load_holds_up_no_other(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        big, small, node = await two_shops(cluster)
        (product,) = await small.stock(100)
        node.host._memory.drop()
        plain, go = node.store.load, asyncio.Event()

        async def fails(loader: Any, keys: Any) -> Any:
            tenants = {key.tenant_id for key in keys}
            if big.tenant_id not in tenants:
                return await plain(loader, keys)
            if len(tenants) == 1:
                await go.wait()
            raise Rejected("too slow", Cause.BROKEN)

        with patch.object(node.store, "load", fails):
            slow = big.envelope(m.AddStock(uuid7(), 1))
            call = node.host.take([slow, small.envelope(hold_of(product))])
            ((place, told),) = await asyncio.wait_for(call.some(), 10)
            assert (place, told.outcome) == (1, Outcome.DONE)
            go.set()
            assert [answer.outcome for _, answer in await call.some()] == [Outcome.BUSY]


async def test_who_has_gone_on_is_not_told_that_it_came_too_late(urls: Urls) -> None:
    """What it was fetched with fails while it is being committed: it would happen, and a repeat
    that believed otherwise would be decided once more."""
    async with running(urls, 1) as cluster:
        big, small, node = await two_shops(cluster)
        (product,) = await small.stock(100)
        now_ms, lost = cluster.clock.now_ms(), asyncio.Event()
        plain = node.store.load

        async def fails(*arguments: Any) -> Any:
            if lost.is_set():
                return await plain(*arguments)
            await lost.wait()
            raise OutcomeUnknown

        with patch.object(node.store, "load", fails), _slow(node, "commit") as go:
            hold = small.envelope(hold_of(product), look_up=True, deadline_ms=now_ms + 500)
            call = node.host.take([big.envelope(m.AddStock(uuid7(), 1)), hold])
            await until(node.host._turn.locked)  # its commit is under way
            await asyncio.sleep(0.7)
            lost.set()
            await asyncio.sleep(0.05)
            go.set()
            answers = await asyncio.wait_for(call.all(), 10)
        assert answers[1].outcome is Outcome.DONE


async def test_no_question_is_put_for_who_is_late(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop, _, node = await two_shops(cluster)
        (product,) = await shop.stock(10)
        now_ms, asked, plain = cluster.clock.now_ms(), 0, node.store.ask

        async def slow(*arguments: Any) -> Any:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.5)
            return await plain(*arguments)

        counts = [
            shop.envelope(
                m.Count((m.CountLine(product, 10, now_ms - 60_000),)), deadline_ms=now_ms + 400
            )
            for _ in range(5)
        ]
        with patch.object(node.store, "ask", slow):
            answers = await asyncio.wait_for(node.host.submit(counts), 20)
        assert {answer.outcome for answer in answers} == {Outcome.TOO_LATE}
        assert asked == 1


async def test_nothing_of_a_tenant_changes_between_an_answer_and_what_rests_on_it(
    urls: Urls,
) -> None:
    """A count is decided on what the store says has moved since; goods that leave meanwhile
    would be counted as there."""
    async with running(urls, 1) as cluster:
        shop, _, node = await two_shops(cluster)
        (product,) = await shop.stock(10)
        before_ms = cluster.clock.now_ms()
        await asyncio.sleep(0.01)
        with _slow(node, "ask") as go:
            count = asyncio.create_task(
                node.host.submit([shop.envelope(m.Count((m.CountLine(product, 7, before_ms),)))])
            )
            await until(lambda: go.begun)
            sale = m.Adjust((m.Adjustment(product, -2),), "other")
            moved = asyncio.create_task(node.host.submit([shop.envelope(sale)]))
            await asyncio.sleep(0.05)
            assert not moved.done()
            go.set()
            await asyncio.gather(count, moved)
        assert (await shop.level(product)).on_hand == 5


# --- data that is refused ----------------------------------------------------------------------


# --- the lease ---------------------------------------------------------------------------------


async def _renewals_while_the_loop_is_busy(urls: Urls, *, apart: bool) -> int:
    async with running(urls, 1) as cluster:
        node = cluster.nodes["h0"]
        plain, renewals = node.host._tenure.renewed, 0

        def renewed(sent_boot_seconds: float) -> None:
            nonlocal renewals
            renewals += 1
            plain(sent_boot_seconds)

        aside = in_thread("test-lease") if apart else node.host._aside
        store = HostStore(urls.host, node.incarnation)
        host = Host(store, node.host._families, cluster.clock, lambda: None, aside)
        host._renewal._tenure.renewed = renewed  # type: ignore[method-assign]
        keeping = asyncio.create_task(host._keep_renewing())
        await asyncio.sleep(0)
        time.sleep(2.5)  # noqa: ASYNC251 - a rule that takes its time
        seen = renewals
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await aside(store.close())
        return seen


async def test_a_lease_is_renewed_while_the_work_loop_decides(urls: Urls) -> None:
    assert await _renewals_while_the_loop_is_busy(urls, apart=True) >= 1
    assert await _renewals_while_the_loop_is_busy(urls, apart=False) == 0
