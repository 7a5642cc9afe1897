"""A read of what memory holds waits for no batch, and shows what is committed."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest

from actors.families import decode_reply
from actors.runtime.host import Host
from actors.runtime.wire import Answer, Outcome
from actors.stock import model as m
from core.ids import uuid7
from tests.runtime.clients import Shop
from tests.runtime.kit import Urls, running
from tests.runtime.node import Node
from tests.waiting import until


async def _level(node: Node, shop: Shop, product: Any) -> m.Level:
    answer: Answer
    (answer,) = await asyncio.wait_for(
        node.host.submit([shop.envelope(m.GetLevels((product,)))]), 5
    )
    assert answer.outcome is Outcome.DONE
    reply = decode_reply(answer.reply)
    assert isinstance(reply, m.Levels)
    return reply.levels[0]


async def test_a_read_waits_for_no_batch_and_shows_no_undecided_one(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        plain, go = node.store.commit, asyncio.Event()

        async def slow(*arguments: Any) -> None:
            await go.wait()
            await plain(*arguments)

        with patch.object(node.store, "commit", slow):
            hold = m.Reserve(uuid7(), (m.Line(product, 4),), 60_000)
            waits = asyncio.create_task(node.host.submit([shop.envelope(hold)]))
            await asyncio.sleep(0.05)
            assert (await _level(node, shop, product)).reserved == 0
            go.set()
            await waits
        assert (await _level(node, shop, product)).reserved == 4, "what was answered is seen"


async def test_it_would_wait_for_the_batch(urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "_read_now", lambda self, work: False)
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        async with node.host._turn:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(
                    node.host.submit([shop.envelope(m.GetLevels((product,)))]), 0.2
                )


async def test_a_host_without_a_lease_reads_nothing(urls: Urls) -> None:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        node.host._tenure.end()
        (answer,) = await node.host.submit([shop.envelope(m.GetLevels((product,)))])
        assert answer.outcome is Outcome.ASK_AGAIN


async def test_what_a_slow_load_read_before_a_write_is_never_shown_after_it(urls: Urls) -> None:
    """Memory was forgotten meanwhile, as when a row turns out not to be as remembered: what the
    slow load brings is not taken for what is read again."""
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        (product,) = await shop.stock(10)
        node = cluster.nodes["h0"]
        plain, gates, loads = node.store.load, [asyncio.Event(), asyncio.Event()], 0

        async def slow(*arguments: Any) -> Any:
            nonlocal loads
            number, loads = loads, loads + 1
            if number == 0:
                rows = await plain(*arguments)
                await gates[0].wait()
                return rows
            if number == 2:
                await gates[1].wait()
            return await plain(*arguments)

        node.host._memory.drop()
        with patch.object(node.store, "load", slow):
            before = asyncio.create_task(_level(node, shop, product))
            await until(lambda: loads == 1)
            await shop.do(m.AddStock(product, 5))
            assert loads == 2
            node.host._memory.drop()
            # Of another lane than the first read, so that both are fetched at once.
            hold = m.Reserve(uuid7(), (m.Line(product, 12),), 60_000)
            held = asyncio.create_task(node.host.submit([shop.envelope(hold)]))
            await until(lambda: loads == 3)
            gates[0].set()
            await asyncio.sleep(0.1)
            gates[1].set()
            ((told,),) = [await asyncio.wait_for(held, 5)]
            assert isinstance(decode_reply(told.reply), m.Hold), "there are 15"
            await before
