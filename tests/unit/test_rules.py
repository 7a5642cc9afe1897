"""A rule about one aggregate: what the helper does for it."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from actors.families import commerce
from actors.messages import Refused, TurnDown, replies_of
from actors.rules import At, Events, about, refuse, unchanged
from actors.runtime.bus import Decided
from actors.runtime.family import Context, Decision, Key, Unloaded
from actors.stock import model as m
from actors.stock import transfers as tr
from actors.stock.evolve import EVENTS
from actors.till import messages as t
from core.ids import uuid7
from deployments.kit import desk
from tests.unit.stock_bench import StockBench

CONTEXT = Context(3, UUID(int=7), "ann", uuid4(), 1, 1)
BOX, SHELF = UUID(int=1), UUID(int=2)


class Open:
    """A command about a box."""

    box_id = BOX


def box_key(box_id: UUID = BOX) -> Key:
    return Key("box", 3, CONTEXT.tenant_id, box_id)


def shelf_key(shelf_id: UUID = SHELF) -> Key:
    return Key("shelf", 3, CONTEXT.tenant_id, shelf_id)


class Loaded(dict[Key, Any]):
    """A view: what is not in it is not loaded."""

    def get(self, key: Key, _: Any = None) -> Any:
        if key not in self:
            raise Unloaded(key)
        return self[key]


def _fill(state: Any, command: Any, at: At) -> Events | Decision:
    if state == "full":
        return refuse("full")
    return [(at.key, "filled"), (shelf_key(), "moved"), (box_key(uuid4()), "seen")]


def _told(state: Any, command: Any, at: At) -> Any:
    return (state, at.view.get(shelf_key()))


FILL = {"key": "box_id", "decide": _fill, "reply": _told, "moves": "shelf"}


def test_what_is_not_there_is_refused_once_for_all() -> None:
    rule = about("box", **FILL)
    assert rule.decide(Loaded({box_key(): None}), Open(), CONTEXT).reply == Refused("not_found")
    gone = about("box", **FILL, is_there=lambda state: state != "gone")
    assert gone.decide(Loaded({box_key(): "gone"}), Open(), CONTEXT).reply == Refused("not_found")
    new = about("box", **FILL, may_be_new=True)
    assert not new.decide(Loaded({box_key(): None}), Open(), CONTEXT).refused
    full = rule.decide(Loaded({box_key(): "full"}), Open(), CONTEXT)
    assert (full.reply, full.refused, full.events) == (Refused("full"), True, ())


def test_the_reply_is_read_from_what_the_events_leave_behind() -> None:
    view = Loaded({box_key(): "empty", shelf_key(): "here"})
    decision = about("box", **FILL).decide(view, Open(), CONTEXT)
    assert decision.answer(view, {box_key(): "fuller"}) == ("fuller", "here")
    assert decision.answer(view, {shelf_key(): "there"}) == ("empty", "there")


def test_receipts_name_it_and_what_moves() -> None:
    view = Loaded({box_key(): "empty", shelf_key(): "here"})
    decision = about("box", **FILL).decide(view, Open(), CONTEXT)
    assert decision.touched == (box_key(), shelf_key())
    decision = about("box", **FILL, moves_first=True).decide(view, Open(), CONTEXT)
    assert decision.touched == (shelf_key(), box_key())
    # What was never there, and does not come to be, has no sequence.
    nothing = FILL | {"decide": unchanged, "may_be_new": True}
    assert about("box", **nothing).decide(Loaded({box_key(): None}), Open(), CONTEXT).touched == ()


def test_what_the_command_names_is_loaded_with_it_the_rest_once_it_is() -> None:
    rule = about(
        "box",
        **FILL,
        also=lambda command, context: [shelf_key()],
        then=lambda state, context: [shelf_key(UUID(int=9))],
    )
    wanted = []
    with pytest.raises(Unloaded):
        for key in rule.keys(Open(), CONTEXT, Loaded()):
            wanted.append(key)
    assert wanted == [box_key(), shelf_key()]
    known = list(rule.keys(Open(), CONTEXT, Loaded({box_key(): "empty"})))
    assert known == [box_key(), shelf_key(), shelf_key(UUID(int=9))]
    assert list(rule.keys(Open(), CONTEXT, Loaded({box_key(): None}))) == wanted


def test_each_event_evolves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a rule nor its reply works out again what the runtime does."""
    evolved: Counter[str] = Counter()
    for kind, evolve in commerce._events.items():

        def counted(state: Any, event: Any, evolve: Any = evolve) -> Any:
            evolved[type(event).__name__] += 1
            return evolve(state, event)

        monkeypatch.setitem(commerce._events, kind, counted)
        for own in (EVENTS, tr.EVENTS):
            if kind in own:
                monkeypatch.setitem(own, kind, counted)
    bench, product, away = StockBench(), uuid7(), uuid7()
    hold, transfer = uuid7(), uuid7()
    for command in (
        m.AddStock(product, 10),
        m.Reserve(hold, (m.Line(product, 2),), 60_000),
        m.Extend(hold, 90_000),
        m.Confirm(hold),
        m.SetItemTerms(product, backorder_limit=3),
        tr.StartTransfer(transfer, (m.Line(product, 1),), bench.context().tenant_id, away, True),
        tr.ReceiveTransfer(transfer),
    ):
        evolved.clear()
        happened = len(bench.ledger)
        assert not isinstance(bench.run(command), Refused)
        assert evolved.total() == len(bench.ledger) - happened, command


def test_a_command_says_its_reply() -> None:
    assert replies_of(m.Reserve) == (m.Hold,)
    assert replies_of(t.Sell) == (t.SaleMade, t.SaleKnown)
    assert replies_of(TurnDown) == ()


async def test_a_reply_that_its_command_does_not_know_is_none() -> None:
    reply: Any = m.TermsReply(BOX, True, 0)

    class Bus:
        async def read(self, *_: Any) -> Decided:
            return Decided(commerce.encode(reply), ())

    bus: Any = Bus()
    told = await desk.decide(bus, "ann", BOX, None, m.SetItemTerms(BOX))
    assert told == (reply, ())
    with pytest.raises(TypeError, match="GetLevels was answered TermsReply"):
        await desk.decide(bus, "ann", BOX, None, m.GetLevels((BOX,)))
    reply = Refused("not_found")
    assert (await desk.decide(bus, "ann", BOX, None, m.GetLevels((BOX,)))).reply == reply
