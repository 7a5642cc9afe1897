"""What the till brings into the family of commerce."""

from __future__ import annotations

from actors.composite import Module, Rule
from actors.till import cards, drawer, goods, returns, sell
from actors.till import messages as t
from actors.till import model as m
from actors.till.evolve import EVOLUTIONS
from actors.till.project import RECORDS, STATES
from actors.till.restore import RESTORES
from actors.till.rows import WRITTEN

TILL_MODULE = Module(
    commands={
        t.PutRegister: Rule(drawer.keys, drawer.put_register),
        t.RemoveRegister: Rule(drawer.keys, drawer.remove_register),
        t.OpenShift: Rule(drawer.keys, drawer.open_shift),
        t.MoveCash: Rule(drawer.keys, drawer.move_cash),
        t.CloseShift: Rule(drawer.keys, drawer.close_shift),
        t.GetRegister: Rule(drawer.keys, drawer.get_register),
        t.Sell: Rule(sell.keys, sell.sell),
        t.HoldSale: Rule(sell.hold_keys, sell.hold),
        t.Return: Rule(returns.return_keys, returns.return_goods),
        t.ReturnUnreceipted: Rule(returns.unreceipted_keys, returns.return_unreceipted),
        t.DisableCard: Rule(cards.keys, cards.disable_card),
        t.GetCard: Rule(cards.keys, cards.get_card),
        t.Abandon: Rule(goods.abandon_keys, goods.abandon),
    },
    events=EVOLUTIONS,
    records=RECORDS,
    states=STATES,
    rows=WRITTEN,
    restores=RESTORES,
    creates=frozenset((m.Sold, m.ReturnMade)),
)
