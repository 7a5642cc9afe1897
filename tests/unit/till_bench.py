"""A shard in a test's hands: decides commands of the till and of stock, without I/O."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from actors.composite import CompositeRules, Rows
from actors.messages import Refused
from actors.runtime.family import Change, Context, Decision, Key
from actors.stock import model as stock
from actors.stock.levels import stock_key
from actors.stock.module import STOCK_MODULE
from actors.till import messages as t
from actors.till import model as m
from actors.till.module import TILL_MODULE
from core.ids import uuid7

TENANT = UUID(int=7)
REGISTER = UUID(int=70)
CURRENCY = "EUR"

rules = CompositeRules((STOCK_MODULE, TILL_MODULE))


class TillBench:
    """`now_ms` is moved by the test; `ledger` collects every change that happened."""

    def __init__(self) -> None:
        self.states: dict[Key, Any] = {}
        self.ledger: list[Change] = []
        self.now_ms = 1_000_000
        self.context = Context(3, TENANT, "ann", uuid4(), 0, 0)

    def get(self, key: Key) -> Any:
        return self.states.get(key)

    def __contains__(self, key: object) -> bool:
        return True

    def run(self, command: Any, by: str = "ann") -> Any:
        """Decides and applies one command; returns its reply."""
        context = Context(3, TENANT, by, uuid4(), self.now_ms, self.now_ms)
        # What travels must come through unharmed.
        command = rules.decode(rules.encode(command))
        list(rules.keys(command, context, self))
        decision: Decision = rules.decide(self, command, context)
        if decision.refused:
            assert isinstance(decision.reply, Refused)
            assert not decision.events, "a refusal writes nothing"
        for key, event in decision.events:
            before = self.states.get(key)
            self.states[key] = rules.evolve(before, event)
            self.ledger.append(Change(key, event, before, self.states[key], context))
        return rules.decode_reply(rules.encode(decision.answer(self, {})))

    def rows(self) -> Rows:
        """What all that happened would write, as if it were one batch."""
        return rules.project(self.ledger)

    def register(self, register_id: UUID = REGISTER) -> m.Register:
        state: m.Register = self.states[Key(m.REGISTER, 3, TENANT, register_id)]
        return state

    def shift(self, register_id: UUID = REGISTER) -> m.Shift:
        shift = self.register(register_id).shift
        assert shift is not None
        return shift

    def sale(self, sale_id: UUID) -> m.Sale:
        state: m.Sale = self.states[Key(m.SALE, 3, TENANT, sale_id)]
        return state

    def card(self, card_id: UUID) -> m.GiftCard:
        state: m.GiftCard = self.states[Key(m.GIFT_CARD, 3, TENANT, card_id)]
        return state

    def stock(self, item_id: UUID) -> stock.Stock:
        found: stock.Stock | None = self.states.get(stock_key(self.context, item_id))
        return found or stock.Stock()

    def open(self, float_minor: int = 10_000, register_id: UUID = REGISTER) -> None:
        """A register with an open shift."""
        self.run(t.PutRegister(register_id, TENANT, "Till 1", 20, create=True))
        self.run(t.OpenShift(register_id, uuid7(), float_minor, CURRENCY))

    def sell(self, *lines: m.SaleLine, by: str = "ann", **rest: Any) -> Any:
        """A sale, paid in exact cash unless `tenders` are given."""
        due = sum(line.total_minor for line in lines) + rest.get("tips_minor", 0)
        tenders = rest.pop("tenders", (t.Tender(m.Method.CASH, due),))
        sale = t.Sell(uuid7(), REGISTER, TENANT, CURRENCY, lines, tenders, **rest)
        return self.run(sale, by)


def line(
    item_id: UUID, quantity: int = 1, price_minor: int = 100, *, discount: int = 0, tax_ppm: int = 0
) -> m.SaleLine:
    """A line of a simple item; its price includes the tax."""
    total = quantity * price_minor - discount
    tax = total * tax_ppm // (m.PPM + tax_ppm)
    parts = (m.Part(item_id, 1),)
    return m.SaleLine(
        item_id, item_id, "Tea", "T-1", quantity, price_minor, discount, tax_ppm, tax, total, parts
    )


def card_line(card_id: UUID, amount_minor: int) -> m.SaleLine:
    """A line that sells a gift card."""
    return m.SaleLine(
        card_id, card_id, "Gift card", "", 1, amount_minor, 0, 0, 0, amount_minor, (), card_id
    )
