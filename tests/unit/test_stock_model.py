"""Stock against a plain model: whatever is asked, in any order, the two agree."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.messages import Command
from actors.stock import model as m
from actors.stock import transfers as t
from core.ids import uuid7
from tests.unit.stock_bench import INCOMING, OCCURRED, ON_HAND, RESERVED, TENANT, StockBench

PRODUCTS = [UUID(int=number) for number in range(1, 4)]
PLACES = [TENANT, UUID(int=8)]
products = st.sampled_from(PRODUCTS)
places = st.sampled_from(PLACES)
quantities = st.integers(1, 6)
lines = st.lists(st.tuples(products, quantities), min_size=1, max_size=4)
callers = st.sampled_from(["alice", "bob"])
Shelf = tuple[UUID, UUID]


class StockMachine(RuleBasedStateMachine):
    """The model: what moved and what was counted, with the moments, and open promises as plain
    dictionaries. What is on hand is the latest count and what moved after it."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = StockBench()
        self.moved: dict[Shelf, list[tuple[int, int]]] = defaultdict(list)
        self.counted: dict[Shelf, list[tuple[int, int]]] = defaultdict(list)
        self.limit = dict.fromkeys(PRODUCTS, 0)
        self.holds: dict[UUID, dict[UUID, int]] = {}
        self.place: dict[UUID, UUID] = {}
        self.owner: dict[UUID, str] = {}
        self.ended: dict[UUID, tuple[str, dict[UUID, int]]] = {}
        self.shipped: dict[UUID, tuple[UUID, UUID, dict[UUID, int]]] = {}

    def run(self, command: Command, **options: Any) -> Any:
        self.bench.now_ms += 1  # nothing happens at the same moment
        return self.bench.run(command, **options)

    def on_hand(self, product: UUID, place: UUID) -> int:
        shelf = (product, place)
        at_ms, counted = max(self.counted[shelf], default=(-1, 0), key=lambda count: count[0])
        return counted + sum(delta for when, delta in self.moved[shelf] if when > at_ms)

    def held(self, product: UUID, place: UUID) -> int:
        return sum(
            hold.get(product, 0)
            for hold_id, hold in self.holds.items()
            if self.place[hold_id] == place
        )

    def free(self, product: UUID, place: UUID) -> int:
        return self.on_hand(product, place) - self.held(product, place)

    def can_give(self, total: dict[UUID, int], place: UUID) -> bool:
        return all(
            self.free(product, place) + self.limit[product] >= n for product, n in total.items()
        )

    def move(self, product: UUID, place: UUID, delta: int, at_ms: int | None = None) -> None:
        self.moved[product, place].append((at_ms or self.bench.now_ms, delta))

    @rule(product=products, place=places, quantity=st.integers(0, 12))
    def add(self, product: UUID, place: UUID, quantity: int) -> None:
        self.run(m.AddStock(product, quantity, location_id=place))
        self.move(product, place, quantity)

    @rule(product=products, limit=st.integers(0, 5))
    def set_limit(self, product: UUID, limit: int) -> None:
        self.run(m.SetItemTerms(product, backorder_limit=limit))
        self.limit[product] = limit

    @rule(
        product=products,
        place=places,
        delta=st.integers(-8, 8).filter(bool),
        ago_ms=st.none() | st.integers(1, 30),
    )
    def adjust(self, product: UUID, place: UUID, delta: int, ago_ms: int | None) -> None:
        at_ms = None if ago_ms is None else self.bench.now_ms + 1 - ago_ms
        before, free = self.on_hand(product, place), self.free(product, place)
        line = m.Adjustment(product, delta, place, occurred_at_ms=at_ms)
        reply = self.run(m.Adjust((line,), "recount"))
        self.move(product, place, delta, at_ms)
        change = self.on_hand(product, place) - before
        if free + change < min(free, -self.limit[product]):
            assert reply.code == "insufficient_stock"
            self.moved[product, place].pop()
        else:
            assert reply.levels[0].on_hand == before + change

    @rule(place=places, wanted=st.lists(st.tuples(products, st.integers(0, 9)), max_size=4))
    def set_all(self, place: UUID, wanted: list[tuple[UUID, int]]) -> None:
        before = {product: self.on_hand(product, place) for product, _ in wanted}
        held = {product: self.held(product, place) for product, _ in wanted}
        last = dict(wanted)
        chosen = tuple(m.Adjustment(product, number, place, "set") for product, number in wanted)
        if not chosen:
            return
        reply = self.run(m.Adjust(chosen, "recount"))
        fits = all(
            last[product] - held[product]
            >= min(before[product] - held[product], -self.limit[product])
            for product in last
        )
        if not fits:
            assert reply.code == "insufficient_stock"
            return
        for product, number in last.items():
            self.move(product, place, number - before[product])

    @rule(
        product=products,
        place=places,
        counted=st.integers(0, 12),
        ago_ms=st.integers(0, 30),
    )
    def count(self, product: UUID, place: UUID, counted: int, ago_ms: int) -> None:
        at_ms = self.bench.now_ms + 1 - ago_ms
        if any(at_ms == when for when, _ in self.counted[product, place]):
            return
        self.run(m.Count((m.CountLine(product, counted, at_ms, place),)))
        self.counted[product, place].append((at_ms, counted))

    @rule(product=products, place=places, on_hand=st.booleans(), off=st.integers(-1, 1))
    def compare_and_set(self, product: UUID, place: UUID, on_hand: bool, off: int) -> None:
        stock = self.bench.stock(product, place)
        line = m.Adjustment(
            product,
            1,
            place,
            expected_sequence=None if on_hand else stock.sequence + off,
            expected_on_hand=stock.on_hand + off if on_hand else None,
        )
        reply = self.run(m.Adjust((line,), "found"))
        if off:
            assert reply.code == "stock_changed"
            assert reply.facts["sequence"] == stock.sequence
        else:
            self.move(product, place, 1)

    @rule(wanted=lines, place=places, by=callers, ttl_ms=st.integers(1_000, 90_000))
    def reserve(self, wanted: list[tuple[UUID, int]], place: UUID, by: str, ttl_ms: int) -> None:
        total: dict[UUID, int] = {}
        for product, quantity in wanted:
            total[product] = total.get(product, 0) + quantity
        chosen = tuple(m.Line(*line) for line in wanted)
        fits = self.can_give(total, place)
        reply = self.run(m.Reserve(uuid7(), chosen, ttl_ms, location_id=place), by=by)
        if not fits:
            assert reply.code == "insufficient_stock"
        else:
            self.holds[reply.reservation_id] = total
            self.place[reply.reservation_id] = place
            self.owner[reply.reservation_id] = by

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        known = [*self.holds, *self.ended]
        if not known:
            return
        chosen = data.draw(st.sampled_from(known))
        reply = self.run(m.Confirm(chosen))
        if chosen in self.holds:
            self._leave(self.holds[chosen], self.place[chosen])
            self.ended[chosen] = ("confirmed", self.holds.pop(chosen))
            return
        ending, total = self.ended[chosen]
        if ending == "released":
            assert reply.code == "not_open"
        elif ending == "expired":
            if self.can_give(total, self.place[chosen]):
                self._leave(total, self.place[chosen])
                self.ended[chosen] = ("confirmed", total)
            else:
                assert reply.code == "reservation_expired"

    def _leave(self, total: dict[UUID, int], place: UUID) -> None:
        for product, quantity in total.items():
            self.move(product, place, -quantity)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        known = [*self.holds, *self.ended]
        if known:
            chosen = data.draw(st.sampled_from(known))
            self.run(m.Release(chosen))
            if chosen in self.holds:
                self.ended[chosen] = ("released", self.holds.pop(chosen))

    @rule(product=products, place=places, quantity=quantities, by=callers)
    def release_oldest(self, product: UUID, place: UUID, quantity: int, by: str) -> None:
        mine = sorted(
            hold_id
            for hold_id, hold in self.holds.items()
            if self.owner[hold_id] == by and self.place[hold_id] == place and product in hold
        )
        reply = self.run(m.ReleaseOldest(product, quantity, place), by=by)
        if sum(self.holds[hold_id][product] for hold_id in mine) < quantity:
            assert reply.code == "no_open_hold"
            return
        for hold_id in mine:
            freed = min(quantity, self.holds[hold_id][product])
            quantity -= freed
            self.holds[hold_id][product] -= freed
            if not self.holds[hold_id][product]:
                del self.holds[hold_id][product]
            if not self.holds[hold_id]:
                self.ended[hold_id] = ("released", self.holds.pop(hold_id))
            if not quantity:
                break

    @rule(wanted=lines, source=places, goal=places, ship=st.booleans())
    def transfer(
        self, wanted: list[tuple[UUID, int]], source: UUID, goal: UUID, ship: bool
    ) -> None:
        total: dict[UUID, int] = {}
        for product, quantity in wanted:
            total[product] = total.get(product, 0) + quantity
        fits = self.can_give(total, source)
        chosen = tuple(m.Line(*line) for line in wanted)
        reply = self.run(t.StartTransfer(uuid7(), chosen, source, goal, ship))
        if source == goal:
            assert reply.code == "same_location"
        elif not fits:
            assert reply.code == "insufficient_stock"
        else:
            self._leave(total, source)
            if ship:
                self.shipped[reply.transfer_id] = (source, goal, total)
            else:
                self._leave({product: -n for product, n in total.items()}, goal)

    @rule(data=st.data(), arrives=st.booleans())
    def end_transfer(self, data: st.DataObject, arrives: bool) -> None:
        if not self.shipped:
            return
        chosen = data.draw(st.sampled_from(sorted(self.shipped)))
        source, target, total = self.shipped.pop(chosen)
        command = t.ReceiveTransfer if arrives else t.CancelTransfer
        self.run(command(chosen))
        self._leave({product: -n for product, n in total.items()}, target if arrives else source)
        self.run(command(chosen))  # once more changes nothing
        other = t.CancelTransfer if arrives else t.ReceiveTransfer
        assert self.run(other(chosen)).code == "transfer_closed"

    @rule(ms=st.integers(1, 100_000))
    def time_passes(self, ms: int) -> None:
        self.bench.now_ms += ms
        for hold_id in list(self.holds):
            due = self.bench.now_ms >= self.bench.reservation(hold_id).expires_at_ms + m.GRACE_MS
            reply = self.bench.run(m.Expire(hold_id))
            assert (reply == m.Refused("not_due")) is not due
            if due:
                self.ended[hold_id] = ("expired", self.holds.pop(hold_id))

    @rule(product=products, place=places)
    def nothing_is_to_be_repaired(self, product: UUID, place: UUID) -> None:
        assert not self.run(m.Repair(product, "drift", place)).repaired

    @invariant()
    def they_agree(self) -> None:
        for product in PRODUCTS:
            for place in PLACES:
                stock = self.bench.stock(product, place)
                assert stock.on_hand == self.on_hand(product, place)
                assert stock.reserved == self.held(product, place)
                assert stock.low == (stock.available < stock.low_stock_threshold)
                assert stock.incoming == sum(
                    total.get(product, 0)
                    for _, target, total in self.shipped.values()
                    if target == place
                )

    @invariant()
    def the_ledger_adds_up(self) -> None:
        for product in PRODUCTS:
            for place in PLACES:
                stock, lines = (
                    self.bench.stock(product, place),
                    self.bench.ledger_of(product, place),
                )
                assert sum(line[ON_HAND] for line in lines) == stock.on_hand
                assert sum(line[RESERVED] for line in lines) == stock.reserved
                assert sum(line[INCOMING] for line in lines) == stock.incoming

    @invariant()
    def in_the_order_of_things_the_ledger_passes_through_the_count(self) -> None:
        for (product, place), counted in self.counted.items():
            if not counted:
                continue
            at_ms, number = max(counted, key=lambda count: count[0])
            lines = self.bench.ledger_of(product, place)
            assert sum(line[ON_HAND] for line in lines if line[OCCURRED] <= at_ms) == number


TestStockMachine = StockMachine.TestCase
TestStockMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
