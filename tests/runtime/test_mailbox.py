"""The mailbox: deadlines and hang-ups; and a repeat is answered as the first was."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from msgspec.structs import replace as changed

from actors.runtime.wire import Answer, Envelope, Outcome
from actors.stock import model as m
from core.errors import IdempotencyMismatch, Unavailable
from core.ids import uuid7
from tests.runtime.audit import audit
from tests.runtime.clients import Request, Shop
from tests.runtime.kit import Urls, running
from tests.runtime.node import Node
from tests.waiting import until


async def _ask(node: Node, envelope: Envelope) -> Answer:
    (answer,) = await node.host.submit([envelope])
    return answer


async def test_a_command_is_not_decided_after_its_deadline(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        reserve = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
        now_ms = cluster.clock.now_ms()
        before = shop.envelope(reserve, deadline_ms=now_ms - 1)
        assert (await _ask(node, before)).outcome is Outcome.TOO_LATE
        async with node.host._turn:
            soon = shop.envelope(reserve, deadline_ms=cluster.clock.now_ms() + 200)
            while_it_waits = asyncio.create_task(_ask(node, soon))
            await asyncio.sleep(0.4)
        assert (await while_it_waits).outcome is Outcome.TOO_LATE
        with pytest.raises(Unavailable):
            await shop.send(shop.reserve(product), deadline_ms=-1)
        assert (await shop.level(product)).reserved == 0


async def test_decisions_ahead_of_the_clock_make_nobody_late(urls: Urls) -> None:
    """A predecessor whose clock was an hour ahead has left its time with the lease."""
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        owner = await asyncpg.connect(urls.owner)
        await owner.execute(
            "UPDATE shard_leases SET decided_at_ms = $1", cluster.clock.now_ms() + 3_600_000
        )
        await owner.close()
        cluster.kill("h0")
        await cluster.settled()
        assert isinstance(await shop.send(shop.reserve(product)), m.Hold)


async def test_a_caller_who_hangs_up_changes_nothing(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(100)
        node = cluster.nodes["h0"]
        async with node.host._turn:
            gone = [asyncio.create_task(shop.send(shop.reserve(product))) for _ in range(20)]
            stay = [asyncio.create_task(shop.send(shop.reserve(product))) for _ in range(20)]
            reserve = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
            whole_call = asyncio.create_task(node.host.submit([shop.envelope(reserve)]))
            await until(lambda: len(node.host._mailbox) == 41)
            for task in (*gone, whole_call):
                task.cancel()
            await asyncio.sleep(0)
        told = await asyncio.gather(*stay)
        assert all(isinstance(reply, m.Hold) for reply in told)
        await asyncio.gather(*gone, whole_call, return_exceptions=True)
        await asyncio.sleep(0.2)
        assert (await shop.level(product)).reserved == 41
        assert (await audit(urls, [request for request in shop.log if request.replies])).clean


async def test_a_repeat_hears_the_same(urls: Urls) -> None:
    """In flight, after, and from another process: one effect, one answer."""
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        envelope = shop.envelope(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000))
        other_body = changed(envelope, fingerprint=b"other")
        async with node.host._turn:
            first, twin, other = (
                asyncio.create_task(_ask(node, asked)) for asked in (envelope, envelope, other_body)
            )
            await until(other.done)
            assert not first.done()
        answer = await first
        assert await twin == answer
        assert (await other).outcome is Outcome.MISMATCH
        assert await _ask(node, envelope) == answer
        assert (await _ask(node, other_body)).outcome is Outcome.MISMATCH
        cluster.kill("h0")
        await cluster.settled()
        successor = cluster.nodes["h0"]
        known = changed(envelope, look_up=True)
        assert await _ask(successor, known) == answer
        successor.host._mailbox._remembered.clear()
        mismatch = await _ask(successor, changed(known, fingerprint=b"other"))
        assert mismatch.outcome is Outcome.MISMATCH
        assert (await shop.level(product)).reserved == 1


async def test_a_repeat_that_waits_longer_is_waited_for(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        reserve = m.Reserve(uuid7(), (m.Line(product, 1),), 60_000)
        async with node.host._turn:
            soon = shop.envelope(reserve, deadline_ms=cluster.clock.now_ms() + 100)
            later = changed(soon, deadline_ms=soon.deadline_ms + 30_000)
            told = [asyncio.create_task(_ask(node, asked)) for asked in (soon, later, soon)]
            await asyncio.sleep(0.2)
        assert {(await task).outcome for task in told} == {Outcome.DONE}
        assert (await shop.level(product)).reserved == 1


async def test_a_first_attempt_that_comes_late_is_looked_up(urls: Urls) -> None:
    """Sent as new, held up on its way, and overtaken by its own repeat, which another process
    has decided: the flag that spares new commands the look-up must not decide it twice."""
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        first = shop.envelope(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000))
        answer = await _ask(cluster.nodes["h0"], changed(first, look_up=True))
        await _let_a_day_pass(urls)
        cluster.kill("h0")
        await cluster.settled()
        assert await _ask(cluster.nodes["h0"], first) == answer
        assert (await shop.level(product)).reserved == 1


async def _let_a_day_pass(urls: Urls) -> None:
    """The log's key is unique within a day only: at midnight it guards nothing."""
    owner = await asyncpg.connect(urls.owner)
    await owner.execute("SELECT make_command_log_day((now() AT TIME ZONE 'UTC')::date - 1)")
    await owner.execute("UPDATE command_log SET created_on = created_on - 1")
    await owner.close()


async def test_a_refusal_is_remembered_until_the_deadline(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(0)
        request = shop.reserve(product)
        assert isinstance(await shop.send(request, deadline_ms=1_500), m.Refused)
        await shop.do(m.AddStock(product, 1))
        assert isinstance(await shop.send(request, deadline_ms=1_500), m.Refused)
        await asyncio.sleep(1.6)
        assert isinstance(await shop.send(request, deadline_ms=1_500), m.Hold)


async def test_the_same_key_with_another_body_is_refused(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        request = shop.reserve(product)
        await shop.send(request)
        other = Request(m.AddStock(product, 1), command_id=request.command_id)
        with pytest.raises(IdempotencyMismatch):
            await shop.send(other)


async def test_a_body_that_is_no_text_is_its_callers_alone(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        good = shop.envelope(m.Reserve(uuid7(), (m.Line(product, 1),), 60_000, "word"))
        odd = good.body.replace(b"\xa4word", b"\xa4w\xffrd")
        bad = changed(good, body=odd, command_id=uuid7())
        answers = await cluster.nodes["h0"].host.submit([bad, good])
        assert [answer.outcome for answer in answers] == [Outcome.ASK_AGAIN, Outcome.DONE]


async def test_answers_are_forgotten_after_their_deadline(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(1_000)
        box = cluster.nodes["h0"].host._mailbox
        box._remembered.clear()
        for _ in range(3):
            requests = [shop.reserve(product) for _ in range(100)]
            await asyncio.gather(*(shop.insist(request, deadline_ms=800) for request in requests))
        async with asyncio.timeout(10):
            while box._remembered:  # nobody need ask for anything
                await asyncio.sleep(0.05)
        assert not box._open
