"""A family of commerce whose rules have a bug: a command with a certain reference decides what
the database must refuse."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from actors.composite import CompositeRules
from actors.families import COMMERCE, FAMILIES
from actors.runtime.family import Context, Decision, Family, View
from actors.stock import model as m
from actors.stock.levels import stock_key
from actors.stock.module import STOCK_MODULE

NEGATIVE = "makes its first product's level negative, which a CHECK refuses (class 23)"
TOO_LARGE = "makes a number too large for its column (class 22)"
BREAKS = "raises in the rule"


class PoisonedRules(CompositeRules):
    """Commerce, but for commands whose reference says otherwise. What they hold besides is
    decided as usual, so that a neighbour may see it."""

    def decide(self, view: View, command: m.Command, context: Context) -> Decision:
        decision = super().decide(view, command, context)
        reference = getattr(command, "reference", None)
        if reference == BREAKS:
            raise ArithmeticError("a bug in a rule")
        if reference not in (NEGATIVE, TOO_LARGE) or decision.refused:
            return decision
        product = command.lines[0][0] if isinstance(command, m.Reserve) else command.product_id
        poison: Any = m.Movement("adjusted", -(10**6), 0)
        if reference == TOO_LARGE:
            poison = m.ThresholdSet(2**70)
        key = stock_key(context, product)
        return replace(decision, events=[*decision.events, (key, poison)])


POISONED = {COMMERCE: Family(COMMERCE, FAMILIES[COMMERCE].loader, PoisonedRules((STOCK_MODULE,)))}
