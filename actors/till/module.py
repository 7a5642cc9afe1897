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
    commands=drawer.COMMANDS
    | cards.COMMANDS
    | goods.COMMANDS
    | {
        t.Sell: Rule(sell.keys, sell.sell),
        t.HoldSale: Rule(sell.hold_keys, sell.hold),
        t.Return: Rule(returns.return_keys, returns.return_goods),
        t.ReturnUnreceipted: Rule(returns.unreceipted_keys, returns.return_unreceipted),
    },
    events=EVOLUTIONS,
    records=RECORDS,
    states=STATES,
    rows=WRITTEN,
    restores=RESTORES,
    creates=frozenset((m.Sold, m.ReturnMade)),
)
