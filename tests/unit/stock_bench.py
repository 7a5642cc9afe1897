"""A shard in a test's hands: applies stock decisions the way the runtime does, without I/O."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from actors.families import commerce
from actors.runtime.family import Change, Context, Decision, Key
from actors.stock import model as m
from actors.stock.levels import stock_key

TENANT = UUID(int=7)


class StockBench:
    """`now_ms` is moved by the test; `ledger` collects every change that happened."""

    def __init__(self) -> None:
        self.states: dict[Key, Any] = {}
        self.ledger: list[Change] = []
        self.now_ms = 1_000_000

    def get(self, key: Key) -> Any:
        if key.kind == m.OPEN_HOLDS:
            return self._open_holds(key)
        return self.states.get(key)

    def __contains__(self, key: object) -> bool:
        return True

    def run(self, command: m.Command, *, by: str = "alice", arrived_ms: int | None = None) -> Any:
        """Decides and applies one command; returns its reply."""
        context = Context(3, TENANT, by, uuid4(), arrived_ms or self.now_ms, self.now_ms)
        list(commerce.keys(command, context, self))
        decision: Decision = commerce.decide(self, command, context)
        if decision.refused:
            assert not decision.events, "a refusal writes nothing"
        for key, event in decision.events:
            before = self.states.get(key)
            self.states[key] = commerce.evolve(before, event)
            self.ledger.append(Change(key, event, before, self.states[key], context))
        return decision.reply

    def stock(self, product: UUID, location: UUID | None = None) -> m.Stock:
        context = Context(3, TENANT, "", uuid4(), 0, 0)
        return self.states.get(stock_key(context, product, location)) or m.Stock()

    def reservation(self, reservation_id: UUID) -> m.Reservation:
        return self.states[Key(m.RESERVATION, 3, TENANT, reservation_id)]

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
