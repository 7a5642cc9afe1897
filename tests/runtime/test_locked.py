"""Somebody holds rows in a forgotten transaction: that is their tenant's trouble, nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from actors.runtime import committing
from actors.runtime.wire import Answer, Outcome
from actors.stock import model as m
from core.ids import uuid7
from tests.runtime.audit import audit
from tests.runtime.clients import Shop, two_shops
from tests.runtime.conftest import PATIENCE
from tests.runtime.kit import Urls, running
from tests.runtime.node import Node, SteerableClock
from tests.runtime.test_holds import EXPIRED_MS, TTL_MS, _pass

BACK_SECONDS = 15


@asynccontextmanager
async def _rows_held(urls: Urls, shop: Shop) -> AsyncIterator[None]:
    """Somebody looks at a tenant's levels before he changes them, and goes to lunch."""
    forgetful = await asyncpg.connect(urls.owner)
    levels = "SELECT 1 FROM stock_levels WHERE tenant_id = $1 FOR UPDATE"
    try:
        async with forgetful.transaction():
            assert await forgetful.fetch(levels, shop.tenant_id)
            yield
    finally:
        await forgetful.close()


def _hold(product: UUID, quantity: int = 1) -> m.Reserve:
    return m.Reserve(uuid7(), (m.Line(product, quantity),), TTL_MS)


async def _in_one_batch(node: Node, *asked: tuple[Shop, UUID]) -> list[Answer]:
    envelopes = [shop.envelope(_hold(product)) for shop, product in asked]
    async with node.host._turn:
        told = asyncio.create_task(node.host.submit(envelopes))
        await asyncio.sleep(0.05)
    return await told


async def test_rows_that_somebody_holds_are_their_tenants_trouble_alone(urls: Urls) -> None:
    clock = SteerableClock(calibrates=False)
    async with running(urls, 1, clock=clock) as cluster:
        held, free, node = await two_shops(cluster)
        (last,), (product,) = await held.stock(2), await free.stock(1_000)
        assert isinstance(await held.do(_hold(last)), m.Hold)
        epochs = node.host.epochs
        async with _rows_held(urls, held):
            asked = [(free, product)] * 10 + [(held, last)] * 3 + [(free, product)] * 10
            outcomes = [answer.outcome for answer in await _in_one_batch(node, *asked)]
            assert outcomes == [Outcome.DONE] * 10 + [Outcome.BUSY] * 3 + [Outcome.DONE] * 10
            # From now on nobody waits for it, and it falls due in vain.
            await _pass(clock, EXPIRED_MS + 1)
            for _ in range(3):
                one, other = await _in_one_batch(node, (free, product), (held, last))
                assert (one.outcome, other.outcome) == (Outcome.DONE, Outcome.BUSY)
                await asyncio.sleep(0.4)
        async with asyncio.timeout(BACK_SECONDS * PATIENCE):
            whole = await held.do(_hold(last, 2))
            assert isinstance(whole, m.Hold), "what had fallen due came first"
        assert node.host.epochs == epochs, "nobody's memory was forgotten because of it"
        assert (await audit(urls, held.log)).clean


async def test_a_neighbour_may_wait_while_somebody_is_blamed(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a commit waits whose rows are held; the transaction that holds these will soon be
    done."""
    async with running(urls, 1) as cluster:
        held, free, node = await two_shops(cluster)
        (last,), (product,) = await held.stock(2), await free.stock(10)
        async with _rows_held(urls, held):
            (refused,) = await _in_one_batch(node, (held, last))
            assert refused.outcome is Outcome.BUSY
            monkeypatch.setattr(committing, "LOCK_TIMEOUT_MS", 20_000)
            async with _rows_held(urls, free):
                waiting = asyncio.create_task(_in_one_batch(node, (free, product)))
                await asyncio.sleep(5 * committing.BRIEF_LOCK_TIMEOUT_MS / 1_000)
            (answer,) = await waiting
            assert answer.outcome is Outcome.DONE


async def test_where_several_are_blamed_nobody_waits_for_long(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when somebody holds the whole table: each tenant would wait in turn, and all with it."""
    async with running(urls, 1) as cluster:
        one, other, node = await two_shops(cluster)
        third = Shop(cluster)
        while cluster.owner_of_tenant(third.tenant_id) is not node:
            third = Shop(cluster)
        shops = (one, other, third)
        products = [(await shop.stock(2))[0] for shop in shops]
        async with _rows_held(urls, one), _rows_held(urls, other), _rows_held(urls, third):
            for shop, product in list(zip(shops, products, strict=True))[:2]:
                (answer,) = await _in_one_batch(node, (shop, product))
                assert answer.outcome is Outcome.BUSY
            monkeypatch.setattr(committing, "LOCK_TIMEOUT_MS", 60_000)
            async with asyncio.timeout(8):
                (answer,) = await _in_one_batch(node, (third, products[2]))
            assert answer.outcome is Outcome.BUSY


async def test_all_would_wait_for_them(urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "LOCK_TIMEOUT_MS", 60_000)
    async with running(urls, 1) as cluster:
        held, free, node = await two_shops(cluster)
        (last,), (product,) = await held.stock(1), await free.stock(10)
        async with _rows_held(urls, held):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_in_one_batch(node, (free, product), (held, last)), 3)
