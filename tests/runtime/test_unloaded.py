"""What is not in memory is not absent. A command may come to need more than it named when its
batch was loaded, because of what the commands before it did: a draft that has got other lines, a
register that stands elsewhere, a sale that was made a moment ago."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from actors.messages import Command, Refused
from actors.purchasing import model as p
from actors.stock import model as m
from actors.till import messages as t
from actors.till import model as till
from core.ids import uuid7
from tests.runtime import till_trade
from tests.runtime.audit import contradictions
from tests.runtime.batches import in_one_batch
from tests.runtime.clients import Request, Shop
from tests.runtime.kit import Cluster, Urls, running

ON_HAND, THRESHOLD, BACKORDER = 12, 3, 4
# Of a level that has got its goods and its threshold.
SEQUENCE = 2


@dataclass
class Goods:
    """An item with terms of its own and a level in each of two places, and an item that every
    test has in memory. All else is in the database alone."""

    cluster: Cluster
    shop: Shop
    item: UUID
    other: UUID
    elsewhere: UUID

    async def forgotten(self) -> None:
        """A restart, an eviction, a moved shard: memory is a cache."""
        self.cluster.kill("h0")
        await self.cluster.settled()

    async def together(self, *commands: Command) -> list[object]:
        """Has them decided in one batch. All must be done."""
        told = await in_one_batch(
            self.cluster, self.shop, [Request(command) for command in commands]
        )
        assert not [reply for reply in told if isinstance(reply, Refused | BaseException)], told
        return told

    async def level(self, place: UUID) -> m.Level:
        """As its owner knows it, which is as the database has it."""
        reply = await self.shop.do(m.GetLevels((self.item,), place))
        assert isinstance(reply, m.Levels)
        owner = await asyncpg.connect(self.cluster.urls.owner)
        try:
            row = await owner.fetchrow(
                "SELECT on_hand, incoming, low_stock_threshold, l.sequence, discontinued,"
                " backorder_limit FROM stock_levels l JOIN stock_items USING (product_id)"
                " WHERE product_id = $1 AND location_id = $2",
                self.item,
                place,
            )
        finally:
            await owner.close()
        (level,) = reply.levels
        told = (level.on_hand, level.incoming, level.low_stock_threshold, level.sequence)
        assert tuple(row) == (*told, level.discontinued, level.backorder_limit)
        return level


@asynccontextmanager
async def _goods(urls: Urls) -> AsyncIterator[Goods]:
    async with running(urls, 1) as cluster:
        shop = Shop(cluster)
        elsewhere = await shop.location()
        item, other = uuid7(), uuid7()
        for place in (None, elsewhere):
            await shop.do(m.AddStock(item, ON_HAND, THRESHOLD, location_id=place))
        await shop.do(m.AddStock(other, 7))
        await shop.do(m.SetItemTerms(item, discontinued=True, backorder_limit=BACKORDER))
        yield Goods(cluster, shop, item, other, elsewhere)
        assert not await contradictions(urls)


def _as_it_was(level: m.Level) -> bool:
    """Whether what nobody changed is as it was."""
    terms = (level.low_stock_threshold, level.discontinued, level.backorder_limit)
    return terms == (THRESHOLD, True, BACKORDER)


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_draft_is_written_and_placed(urls: Urls, is_new: bool) -> None:
    async with _goods(urls) as goods:
        shop, order = goods.shop, uuid7()
        terms = p.Terms(uuid7(), shop.tenant_id, "EUR")
        if not is_new:
            await shop.do(p.PutPurchase(order, terms, (p.WantedLine(goods.other, 3, 100),), True))
        await goods.forgotten()
        lines = (p.WantedLine(goods.item, 4, 100),)
        _, placed = await goods.together(
            p.PutPurchase(order, terms, lines, is_new), p.PlacePurchase(order)
        )
        assert isinstance(placed, p.PurchaseReply)
        assert placed.status is p.PurchaseStatus.ORDERED
        level = await goods.level(shop.tenant_id)
        assert (level.on_hand, level.incoming, level.sequence) == (ON_HAND, 4, SEQUENCE + 1)
        assert _as_it_was(level)
        await shop.do(p.ReceivePurchase(order, (p.Delivered(goods.item, 4),)))
        level = await goods.level(shop.tenant_id)
        assert (level.on_hand, level.incoming, level.sequence) == (ON_HAND + 4, 0, SEQUENCE + 2)


async def _till(shop: Shop, place: UUID) -> tuple[UUID, t.PutRegister, t.OpenShift]:
    register = uuid7()
    made = t.PutRegister(register, place, "Till", 20, create=True)
    return register, made, t.OpenShift(register, uuid7(), till_trade.FLOAT_MINOR, "EUR")


def _sale(goods: Goods, register: UUID) -> t.Sell:
    line = till_trade.line(goods.item, 2)
    paid = (t.Tender(till.Method.CASH, line.total_minor),)
    return t.Sell(uuid7(), register, goods.shop.tenant_id, "EUR", (line,), paid)


async def test_a_register_moves_and_goods_come_back_to_it(urls: Urls) -> None:
    async with _goods(urls) as goods:
        shop = goods.shop
        register, made, opened = await _till(shop, shop.tenant_id)
        for command in (made, opened, sale := _sale(goods, register)):
            await shop.do(command)
        other, made, opened = await _till(shop, shop.tenant_id)
        await shop.do(made)
        await goods.forgotten()
        moved = t.PutRegister(other, goods.elsewhere, "Till", 20)
        back = t.Return(uuid7(), sale.sale_id, other, (t.ReturnLine(0, 1),))
        await goods.together(moved, opened, back)
        here, there = await goods.level(shop.tenant_id), await goods.level(goods.elsewhere)
        assert (here.on_hand, here.sequence) == (ON_HAND - 2, SEQUENCE + 1)
        assert (there.on_hand, there.sequence) == (ON_HAND + 1, SEQUENCE + 1)
        assert _as_it_was(there)


async def test_a_sale_comes_back_elsewhere_at_once(urls: Urls) -> None:
    async with _goods(urls) as goods:
        shop = goods.shop
        here, *opening = await _till(shop, shop.tenant_id)
        there, *more = await _till(shop, goods.elsewhere)
        for command in (*opening, *more):
            await shop.do(command)
        await goods.forgotten()
        sale = _sale(goods, here)
        await goods.together(sale, t.Return(uuid7(), sale.sale_id, there, (t.ReturnLine(0, 2),)))
        level = await goods.level(goods.elsewhere)
        assert (level.on_hand, level.sequence) == (ON_HAND + 2, SEQUENCE + 1)
        assert _as_it_was(level)
