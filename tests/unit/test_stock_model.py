"""Stock against a plain model: whatever is asked, in any order, the two agree."""

from __future__ import annotations

from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.stock import model as m
from core.ids import uuid7
from tests.unit.stock_bench import StockBench

PRODUCTS = [UUID(int=number) for number in range(1, 4)]
products = st.sampled_from(PRODUCTS)
quantities = st.integers(1, 6)
lines = st.lists(st.tuples(products, quantities), min_size=1, max_size=4)
callers = st.sampled_from(["alice", "bob"])


class StockMachine(RuleBasedStateMachine):
    """The model: goods on the shelf, and open promises as plain dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = StockBench()
        self.shelf = dict.fromkeys(PRODUCTS, 0)
        self.holds: dict[UUID, dict[UUID, int]] = {}
        self.owner: dict[UUID, str] = {}
        self.ended: dict[UUID, tuple[str, dict[UUID, int]]] = {}

    def free(self, product: UUID) -> int:
        return self.shelf[product] - sum(hold.get(product, 0) for hold in self.holds.values())

    @rule(product=products, quantity=st.integers(0, 12))
    def add(self, product: UUID, quantity: int) -> None:
        self.bench.run(m.AddStock(product, quantity))
        self.shelf[product] += quantity

    @rule(product=products, delta=st.integers(-8, 8).filter(bool))
    def adjust(self, product: UUID, delta: int) -> None:
        reply = self.bench.run(m.Adjust((m.Adjustment(product, delta),), "recount"))
        if self.free(product) + delta < 0:
            assert reply.code == "insufficient_stock"
        else:
            self.shelf[product] += delta

    @rule(wanted=lines, by=callers, ttl_ms=st.integers(1_000, 90_000))
    def reserve(self, wanted: list[tuple[UUID, int]], by: str, ttl_ms: int) -> None:
        total: dict[UUID, int] = {}
        for product, quantity in wanted:
            total[product] = total.get(product, 0) + quantity
        chosen = tuple(m.Line(*line) for line in wanted)
        reply = self.bench.run(m.Reserve(uuid7(), chosen, ttl_ms), by=by)
        if any(self.free(product) < quantity for product, quantity in total.items()):
            assert reply.code == "insufficient_stock"
        else:
            self.holds[reply.reservation_id] = total
            self.owner[reply.reservation_id] = by

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        known = [*self.holds, *self.ended]
        if not known:
            return
        chosen = data.draw(st.sampled_from(known))
        reply = self.bench.run(m.Confirm(chosen))
        if chosen in self.holds:
            self._leave(self.holds[chosen])
            self.ended[chosen] = ("confirmed", self.holds.pop(chosen))
            return
        ending, total = self.ended[chosen]
        if ending == "released":
            assert reply.code == "not_open"
        elif ending == "expired":
            if all(self.free(product) >= quantity for product, quantity in total.items()):
                self._leave(total)
                self.ended[chosen] = ("confirmed", total)
            else:
                assert reply.code == "reservation_expired"

    def _leave(self, total: dict[UUID, int]) -> None:
        for product, quantity in total.items():
            self.shelf[product] -= quantity

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        known = [*self.holds, *self.ended]
        if known:
            chosen = data.draw(st.sampled_from(known))
            self.bench.run(m.Release(chosen))
            if chosen in self.holds:
                self.ended[chosen] = ("released", self.holds.pop(chosen))

    @rule(product=products, quantity=quantities, by=callers)
    def release_oldest(self, product: UUID, quantity: int, by: str) -> None:
        mine = sorted(
            one for one, hold in self.holds.items() if self.owner[one] == by and product in hold
        )
        reply = self.bench.run(m.ReleaseOldest(product, quantity), by=by)
        if sum(self.holds[one][product] for one in mine) < quantity:
            assert reply.code == "no_open_hold"
            return
        for one in mine:
            freed = min(quantity, self.holds[one][product])
            quantity -= freed
            self.holds[one][product] -= freed
            if not self.holds[one][product]:
                del self.holds[one][product]
            if not self.holds[one]:
                self.ended[one] = ("released", self.holds.pop(one))
            if not quantity:
                break

    @rule(ms=st.integers(1, 100_000))
    def time_passes(self, ms: int) -> None:
        self.bench.now_ms += ms
        for one in list(self.holds):
            due = self.bench.now_ms >= self.bench.reservation(one).expires_at_ms + m.GRACE_MS
            reply = self.bench.run(m.Expire(one))
            assert (reply == m.Refused("not_due")) is not due
            if due:
                self.ended[one] = ("expired", self.holds.pop(one))

    @invariant()
    def they_agree(self) -> None:
        for product in PRODUCTS:
            stock = self.bench.stock(product)
            assert stock.on_hand == self.shelf[product]
            assert stock.available == self.free(product) >= 0
            assert stock.low == (stock.available < stock.low_stock_threshold)

    @invariant()
    def the_ledger_adds_up(self) -> None:
        for product in PRODUCTS:
            moved = [
                change.event
                for change in self.bench.ledger
                if change.key.id == product and isinstance(change.event, m.Movement)
            ]
            stock = self.bench.stock(product)
            assert sum(event.on_hand_delta for event in moved) == stock.on_hand
            assert sum(event.reserved_delta for event in moved) == stock.reserved


TestStockMachine = StockMachine.TestCase
TestStockMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
