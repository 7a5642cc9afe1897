"""A shard in a test's hands: applies decisions of stock the way the runtime does, without I/O."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from actors.composite import Rows
from actors.families import commerce
from actors.messages import Command
from actors.runtime.family import Change, Context, Decision, Key
from actors.stock import counts
from actors.stock import model as m
from actors.stock.levels import item_key, location_of, stock_key

TENANT = UUID(int=7)
# Columns of a line of the ledger.
PRODUCT, LOCATION, SEQUENCE, KIND, ON_HAND, RESERVED, INCOMING = 0, 1, 2, 4, 5, 6, 7
OCCURRED, RECORDED = 16, 17


class StockBench:
    """`now_ms` is moved by the test; `ledger` collects every change that happened, `lines` what
    they wrote into the ledger. A `batch` answers the store's questions as they were at its
    beginning, as the runtime does."""

    def __init__(self) -> None:
        self.states: dict[Key, Any] = {}
        self.ledger: list[Change] = []
        self.lines: list[tuple[Any, ...]] = []
        self.now_ms = 1_000_000
        self._asked: dict[Key, Any] | None = None

    def get(self, key: Key) -> Any:
        if not key.ephemeral:
            return self.states.get(key)
        if self._asked is None:
            return self._answer(key)
        return self._asked[key]

    def __contains__(self, key: object) -> bool:
        return True

    def context(self, by: str = "alice", arrived_ms: int | None = None) -> Context:
        return Context(3, TENANT, by, uuid4(), arrived_ms or self.now_ms, self.now_ms)

    def batch(self, *commands: Command) -> list[Any]:
        """Decides the commands as one batch; their replies."""
        self._asked = {
            key: self._answer(key)
            for command in commands
            for key in commerce.keys(command, self.context(), self)
            if key.ephemeral
        }
        try:
            return [self.run(command) for command in commands]
        finally:
            self._asked = None

    def run(self, command: Command, *, by: str = "alice", arrived_ms: int | None = None) -> Any:
        """Decides and applies one command; returns its reply."""
        context = self.context(by, arrived_ms)
        list(commerce.keys(command, context, self))
        decision: Decision = commerce.decide(self, command, context)
        if decision.refused:
            assert not decision.events, "a refusal writes nothing"
        changes = []
        for key, event in decision.events:
            before = self.states.get(key)
            self.states[key] = commerce.evolve(before, event)
            changes.append(Change(key, event, before, self.states[key], context))
        self.ledger += changes
        rows = commerce.project(changes)
        for row in [*rows["stock_levels"], *rows["stock_levels moved"]]:
            assert row[4] >= 0, "reserved_not_negative"
            assert row[5] >= 0, "incoming_not_negative"
            assert row[3] - row[4] >= row[8], "available_above_floor"
        self.lines += rows["stock_movements"]
        assert all(key in self.states for key in decision.touched), "a receipt names what is there"
        return decision.answer(self, {})

    def rows(self) -> Rows:
        """What all that happened would write, as if it were one batch."""
        return commerce.project(self.ledger)

    def stock(self, product: UUID, location: UUID | None = None) -> m.Stock:
        return self.states.get(stock_key(self.context(), product, location)) or m.Stock()

    def item(self, product: UUID) -> m.Item:
        return self.states.get(item_key(self.context(), product)) or m.Item()

    def reservation(self, reservation_id: UUID) -> m.Reservation:
        return self.states[Key(m.RESERVATION, 3, TENANT, reservation_id)]

    def ledger_of(self, product: UUID, location: UUID | None = None) -> list[tuple[Any, ...]]:
        """Its lines as they were recorded."""
        place = (product, location or TENANT)
        return [line for line in self.lines if (line[PRODUCT], line[LOCATION]) == place]

    # --- what the store would say ------------------------------------------------------------

    def _answer(self, key: Key) -> Any:
        return {
            m.OPEN_HOLDS: self._open_holds,
            m.MOVED_AFTER: self._moved_after,
            m.BOOKS: self._books,
        }[key.kind](key)

    def _open_holds(self, key: Key) -> list[UUID]:
        caller, location = key.detail
        return sorted(
            held.id
            for held, state in self.states.items()
            if held.kind == m.RESERVATION
            and state.status is m.Status.OPEN
            and state.created_by == caller
            and (state.location_id or TENANT) == location
            and any(line.product_id == key.id for line in state.lines)
        )

    def _moved_after(self, key: Key) -> counts.MovedAfter:
        location, at_ms = key.detail
        stock = self.stock(key.id, location)
        lines = self.ledger_of(key.id, location)
        moved = sum(line[ON_HAND] for line in lines if line[OCCURRED] > at_ms)
        return counts.MovedAfter(stock.sequence, stock.on_hand, moved)

    def _books(self, key: Key) -> counts.Books:
        stock = self.stock(key.id, key.detail)
        lines = self.ledger_of(key.id, key.detail)
        sums = [sum(line[column] for line in lines) for column in (ON_HAND, RESERVED, INCOMING)]
        held = sum(
            line.quantity
            for held_key, state in self.states.items()
            if held_key.kind == m.RESERVATION and state.status is m.Status.OPEN
            for line in state.lines
            if line.product_id == key.id and (state.location_id or TENANT) == key.detail
        )
        last = max((line[SEQUENCE] for line in lines), default=0)
        levels = (stock.on_hand, stock.reserved, stock.incoming)
        return counts.Books(stock.sequence, *levels, last, *sums, held)


def places(bench: StockBench) -> set[tuple[UUID, UUID]]:
    """Every item and location that has a level."""
    return {(key.id, location_of(key)) for key in bench.states if key.kind == m.STOCK}
