"""A till that sells online and offline against a plain model: in whatever order it is told."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from actors.messages import Command
from actors.stock import model as stock
from actors.till import messages as t
from actors.till import model as m
from core.ids import uuid7
from tests.unit.offline_bench import FLOAT_MINOR, ITEMS, offline, register, shop
from tests.unit.stock_bench import ON_HAND, RESERVED, TENANT
from tests.unit.till_bench import CURRENCY, REGISTER, line

PRICE_MINOR = 100
items = st.sampled_from(ITEMS)
quantities = st.integers(1, 4)


class OfflineMachine(RuleBasedStateMachine):
    """The model: what moved and what was counted, with the moments; promises; cash in a box; and
    which offline sales are in, with their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = shop()
        self.moved: dict[UUID, list[tuple[int, int]]] = defaultdict(list)
        self.counted: dict[UUID, dict[int, int]] = defaultdict(dict)
        self.held: dict[UUID, tuple[UUID, int]] = {}
        self.paper: list[t.Sell] = []
        self.uploaded: dict[UUID, int] = {}
        self.given = 0
        self.cash: int | None = FLOAT_MINOR

    def run(self, command: Command, **options: Any) -> Any:
        self.bench.now_ms += 1  # nothing happens at the same moment
        return self.bench.run(command, **options)

    def on_hand(self, item: UUID) -> int:
        at_ms, counted = max(self.counted[item].items(), default=(-1, 0))
        return counted + sum(delta for when, delta in self.moved[item] if when > at_ms)

    def free(self, item: UUID) -> int:
        return self.on_hand(item) - sum(n for other, n in self.held.values() if other == item)

    @rule(item=items, quantity=st.integers(1, 8))
    def deliver(self, item: UUID, quantity: int) -> None:
        self.run(stock.AddStock(item, quantity))
        self.moved[item].append((self.bench.now_ms, quantity))

    @rule(item=items, counted=st.integers(0, 8), ago_ms=st.integers(0, 30))
    def count(self, item: UUID, counted: int, ago_ms: int) -> None:
        at_ms = self.bench.now_ms + 1 - ago_ms
        if at_ms not in self.counted[item]:
            self.run(stock.Count((stock.CountLine(item, counted, at_ms),)))
            self.counted[item][at_ms] = counted

    @rule(item=items, quantity=quantities)
    def promise(self, item: UUID, quantity: int) -> None:
        fits = self.free(item) >= quantity
        reply = self.run(stock.Reserve(uuid7(), (stock.Line(item, quantity),), 10**9))
        if fits:
            self.held[reply.reservation_id] = (item, quantity)
        else:
            assert reply.code == "insufficient_stock"

    @rule(data=st.data())
    def keep_a_promise(self, data: st.DataObject) -> None:
        """Also when the goods were sold offline meanwhile."""
        if self.held:
            chosen = data.draw(st.sampled_from(sorted(self.held)))
            self.run(stock.Confirm(chosen))
            item, quantity = self.held.pop(chosen)
            self.moved[item].append((self.bench.now_ms, -quantity))

    @rule(item=items, quantity=quantities)
    def sell_online(self, item: UUID, quantity: int) -> None:
        fits = self.free(item) >= quantity
        due = quantity * PRICE_MINOR
        paid = (t.Tender(m.Method.CASH, due),)
        goods = (line(item, quantity, PRICE_MINOR),)
        reply = self.run(t.Sell(uuid7(), REGISTER, TENANT, CURRENCY, goods, paid))
        if self.cash is None:
            assert reply.code == "shift_closed"
        elif not fits:
            assert reply.code == "insufficient_stock"
        else:
            self._sold(item, quantity, self.bench.now_ms, reply)

    @rule(item=items, quantity=quantities, ago_ms=st.integers(0, 40))
    def sell_offline(self, item: UUID, quantity: int, ago_ms: int) -> None:
        at_ms = self.bench.now_ms - ago_ms
        self.paper.append(offline(item, quantity, at_ms=at_ms, price_minor=PRICE_MINOR))

    @rule(data=st.data(), by=st.sampled_from(["ann", "bob"]))
    def upload(self, data: st.DataObject, by: str) -> None:
        if not self.paper:
            return
        sale = data.draw(st.sampled_from(self.paper))
        reply = self.run(sale, by=by)
        if sale.sale_id in self.uploaded:
            assert isinstance(reply, t.SaleKnown)
            assert reply.sale.receipt_number == self.uploaded[sale.sale_id]
        elif self.cash is None:
            assert reply.code == "shift_closed"
        else:
            assert sale.offline is not None
            self.uploaded[sale.sale_id] = self.given + 1
            self._sold(
                sale.lines[0].item_id, sale.lines[0].quantity, sale.offline.occurred_at_ms, reply
            )

    @rule(data=st.data())
    def upload_another_under_its_name(self, data: st.DataObject) -> None:
        if self.uploaded:
            chosen = data.draw(st.sampled_from(sorted(self.uploaded)))
            sale = next(receipt for receipt in self.paper if receipt.sale_id == chosen)
            assert sale.offline is not None
            other = replace(sale, offline=replace(sale.offline, digest=b"other"))
            assert self.run(other).code == "client_sale_id_reused"

    def _sold(self, item: UUID, quantity: int, at_ms: int, reply: t.SaleMade) -> None:
        self.given += 1
        assert reply.sold.sale.receipt_number == self.given
        self.moved[item].append((at_ms, -quantity))
        self.cash = (self.cash or 0) + quantity * PRICE_MINOR

    @rule()
    def close_or_open(self) -> None:
        if self.cash is None:
            self.run(t.OpenShift(REGISTER, uuid7(), FLOAT_MINOR, CURRENCY))
            self.cash = FLOAT_MINOR
        else:
            reply = self.run(t.CloseShift(REGISTER, 0, by_manager=True))
            assert reply.shift.expected_minor == self.cash
            self.cash = None

    @invariant()
    def goods_agree(self) -> None:
        for item in ITEMS:
            level, lines = self.bench.stock(item), self.bench.ledger_of(item)
            assert level.on_hand == self.on_hand(item)
            assert level.available == self.free(item)
            assert sum(row[ON_HAND] for row in lines) == level.on_hand
            assert sum(row[RESERVED] for row in lines) == level.reserved

    @invariant()
    def drawer_and_numbers_agree(self) -> None:
        till = register(self.bench)
        assert (till.shift.expected_minor if till.shift else None) == self.cash
        assert till.next_receipt_number == self.given + 1


TestOffline = OfflineMachine.TestCase
TestOffline.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
