"""A day at the tills of one shop, as clients live through it, and an audit of the books."""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from actors.messages import Refused
from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.runtime.clients import Request, Shop
from tests.runtime.kit import Cluster, Urls

PRICE_MINOR = 350
FLOAT_MINOR = 10_000


@dataclass
class Trade:
    """Registers with open shifts, goods, and what was answered."""

    shop: Shop
    goods: list[UUID]
    registers: list[UUID]
    rng: random.Random
    sold: list[t.SaleMade] = field(default_factory=list)
    returned: list[t.ReturnDone] = field(default_factory=list)
    paper: list[t.Sell] = field(default_factory=list)
    uploaded: list[t.SaleMade | t.SaleKnown] = field(default_factory=list)
    ending: bool = False

    @classmethod
    async def open(cls, cluster: Cluster, rng: random.Random, registers: int, units: int) -> Trade:
        shop = Shop(cluster)
        trade = cls(shop, await shop.stock(units, 3), [uuid7() for _ in range(registers)], rng)
        for register in trade.registers:
            await shop.do(t.PutRegister(register, shop.tenant_id, "Till", 20, create=True))
            await shop.do(t.OpenShift(register, uuid7(), FLOAT_MINOR, "EUR"))
        return trade

    def sale(self, *tenders: t.Tender, quantity: int = 1) -> t.Sell:
        lines = tuple(
            line(item, quantity)
            for item in self.rng.sample(self.goods, self.rng.randint(1, len(self.goods)))
        )
        due = sum(line.total_minor for line in lines)
        paid = tenders or (t.Tender(m.Method.CASH, due + 50),)
        place = self.shop.tenant_id
        return t.Sell(uuid7(), self.rng.choice(self.registers), place, "EUR", lines, paid)

    def offline_sale(self) -> t.Sell:
        """One that has happened, perhaps of goods that are not there any more."""
        sale, name = self.sale(quantity=2), uuid7()
        digest = hashlib.sha256(name.bytes).digest()
        at_ms = self.shop.cluster.clock.now_ms() - self.rng.randint(0, 60_000)
        return replace(sale, offline=m.Offline(name, at_ms, "ann", digest))

    async def uploader(self) -> None:
        """Uploads what was sold offline, each sale by a new request and often what somebody has
        uploaded before, until told to end; then all of it once more."""
        while not self.ending:
            if not self.paper or self.rng.random() < 0.4:
                self.paper.append(self.offline_sale())
            await self._upload(self.rng.choice(self.paper))
        for sale in self.rng.sample(self.paper, len(self.paper)):
            await self._upload(sale)

    async def _upload(self, sale: t.Sell) -> None:
        reply = await self.shop.insist(Request(sale))
        assert isinstance(reply, t.SaleMade | t.SaleKnown)
        self.uploaded.append(reply)

    async def clerk(self) -> None:
        """Sells, and takes back something now and then, until told to end."""
        while not self.ending:
            if self.sold and self.rng.random() < 0.25:
                sale = self.rng.choice(self.sold)
                back = t.Return(
                    uuid7(), sale.sale_id, self.rng.choice(self.registers), (t.ReturnLine(0, 1),)
                )
                reply = await self.shop.insist(Request(back))
                if isinstance(reply, t.ReturnDone):
                    self.returned.append(reply)
            else:
                reply = await self.shop.insist(Request(self.sale()))
                if isinstance(reply, t.SaleMade):
                    self.sold.append(reply)
                else:
                    assert isinstance(reply, Refused)
                    await asyncio.sleep(0.01)


def line(item_id: UUID, quantity: int) -> m.SaleLine:
    total = PRICE_MINOR * quantity
    parts = (m.Part(item_id, 1),)
    return m.SaleLine(
        item_id, item_id, "Tea", "T", quantity, PRICE_MINOR, 0, 190_000, 0, total, parts
    )


_BOOKS = {
    # A receipt for each sale and return, and none besides; numbers from 1, without a gap.
    "receipts with a gap": """
        SELECT register_id FROM pos_receipts GROUP BY register_id
        HAVING min(number) <> 1 OR max(number) <> count(*)""",
    "receipts of nothing": """
        SELECT subject_id FROM pos_receipts r WHERE NOT EXISTS (
          SELECT FROM pos_sales s WHERE s.id = r.subject_id AND s.receipt_number = r.number)
        AND NOT EXISTS (
          SELECT FROM pos_returns s WHERE s.id = r.subject_id AND s.receipt_number = r.number)""",
    "numbers not in step": """
        SELECT g.id FROM pos_registers g WHERE next_receipt_number - 1
          <> (SELECT count(*) FROM pos_receipts r WHERE r.register_id = g.id)""",
    # No sale without stock, no stock without sale.
    "stock not in step": """
        SELECT l.product_id FROM stock_levels l GROUP BY l.product_id HAVING sum(l.on_hand) <>
          (SELECT coalesce(sum(on_hand_delta), 0) FROM stock_movements v
             WHERE v.product_id = l.product_id AND kind NOT IN ('sold', 'returned'))
          - (SELECT coalesce(sum(quantity * (part->>1)::int), 0)
             FROM pos_sale_lines s, jsonb_array_elements(s.parts) AS part
             WHERE (part->>0)::uuid = l.product_id)
          + (SELECT coalesce(sum(b.quantity * (part->>1)::int), 0) FROM pos_return_lines b
             JOIN pos_returns x ON x.id = b.return_id
             LEFT JOIN pos_sale_lines s ON s.sale_id = x.sale_id AND s.number = b.line_number,
             jsonb_array_elements(
               coalesce(s.parts, jsonb_build_array(jsonb_build_array(b.item_id, 1)))) AS part
             WHERE restock AND (part->>0)::uuid = l.product_id)""",
    "drawers not in step": """
        SELECT s.id FROM pos_shifts s WHERE expected_minor <> opening_float_minor
          + (SELECT coalesce(sum(p.amount_minor), 0) FROM pos_payments p
             JOIN pos_sales x ON x.id = p.sale_id WHERE x.shift_id = s.id AND p.method = 'cash')
          - (SELECT coalesce(sum(f.amount_minor), 0) FROM pos_refunds f
             JOIN pos_returns x ON x.id = f.return_id
             WHERE x.shift_id = s.id AND f.method = 'cash')
          + (SELECT coalesce(sum(CASE kind WHEN 'paid_in' THEN amount_minor
               WHEN 'paid_out' THEN -amount_minor END), 0)
             FROM pos_cash_movements c WHERE c.shift_id = s.id)""",
    "returned not in step": """
        SELECT s.sale_id FROM pos_sale_lines s WHERE returned <>
          (SELECT coalesce(sum(b.quantity), 0) FROM pos_return_lines b
           JOIN pos_returns x ON x.id = b.return_id
           WHERE x.sale_id = s.sale_id AND b.line_number = s.number)""",
    "events not in step": """
        SELECT 1 WHERE (SELECT count(*) FROM pos_sales)
          <> (SELECT count(*) FROM outbox WHERE type = 'pos.sale.completed.v1')""",
    "gift cards not in step": """
        SELECT c.id FROM gift_cards c WHERE balance_minor <>
          (SELECT sum(delta_minor) FROM gift_card_movements v WHERE v.card_id = c.id)""",
}


async def audit(urls: Urls) -> dict[str, int]:
    """What does not fit in the books of everyone: how many of each."""
    owner = await asyncpg.connect(urls.owner)
    try:
        found = {name: len(await owner.fetch(query)) for name, query in _BOOKS.items()}
    finally:
        await owner.close()
    return {name: count for name, count in found.items() if count}


async def ids(urls: Urls, table: str) -> set[Any]:
    owner = await asyncpg.connect(urls.owner)
    try:
        return {row[0] for row in await owner.fetch(f"SELECT id FROM {table}")}
    finally:
        await owner.close()
