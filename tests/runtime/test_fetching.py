"""What the store refuses, or is late with, is the trouble of who asked for it alone."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from actors.runtime.wire import Outcome
from actors.stock import model as m
from core.ids import uuid7
from store.hosts.journal import Cause, Rejected
from tests.runtime.clients import Shop, hold_of
from tests.runtime.kit import Urls, running


async def test_no_neighbour_waits_while_a_culprit_is_looked_for(urls: Urls) -> None:
    """The statement that serves all is given up once; who is not of the culprit's tenant does not
    wait until it is given up again and again."""
    async with running(urls, 1) as cluster:
        big, small, node = Shop(cluster), Shop(cluster), cluster.nodes["h0"]
        products = await small.stock(10, 4)
        node.host._memory.drop()
        plain, go, asked = node.store.load, asyncio.Event(), 0

        async def late(loader: Any, keys: Any) -> Any:
            nonlocal asked
            if not any(key.tenant_id == big.tenant_id for key in keys):
                return await plain(loader, keys)
            asked += 1
            if asked > 1:
                await go.wait()
            raise Rejected("too slow", Cause.BROKEN)

        with patch.object(node.store, "load", late):
            slow = [big.envelope(m.AddStock(uuid7(), 1)) for _ in range(9)]
            quick = [small.envelope(hold_of(product)) for product in products]
            call = node.host.take([*slow, *quick])
            told = {}
            async with asyncio.timeout(10):
                while len(told) < len(quick):
                    told |= dict(await call.some())
            assert {*told} == {*range(9, 13)}
            assert {answer.outcome for answer in told.values()} == {Outcome.DONE}
            assert asked == 2, "of a tenant one question at a time"
            go.set()
            assert {answer.outcome for _, answer in await call.some()} == {Outcome.BUSY}
        assert not node.host._memory._expected, "nothing is expected any more"
