"""The rules of products that become something else: none gets variants while it has stock of its
own, and none is measured otherwise once its stock has moved. Pure.

The owner of the stock decides, in the order in which it decides on everything that moves stock. The
replica that writes a product's first variant asks before, and marks the product from before the
asking to the commit (`deployments/catalog/variants/parents.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.composite import Rule
from actors.rules import At, Events, about, refuse
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as m
from actors.stock.levels import everywhere, item_key, level

_PLAIN = m.Item()


def _become_parents(view: View, command: m.BecomeParents, context: Context) -> Decision:
    events: Events = []
    stocked: list[m.Level] = []
    for product_id in dict.fromkeys(command.product_ids):
        key = item_key(context, product_id)
        item = view.get(key) or _PLAIN
        levels = [
            level(place, view.get(place), item) for place in everywhere(view, context, product_id)
        ]
        left = [found for found in levels if found.on_hand or found.reserved or found.incoming]
        if left:
            stocked += left
        else:
            events.append((key, m.ParentSet(True)))
    return Decision(m.Levels(tuple(stocked)), events, tuple(key for key, _ in events))


def _become_simple(known: m.Item | None, command: m.BecomeSimple, at: At) -> Events | Decision:
    """Refused: moved_meanwhile."""
    if (known or _PLAIN).sequence != command.sequence:
        return refuse("moved_meanwhile")
    return [(at.key, m.ParentSet(False))]


def _set_measure(view: View, command: m.SetMeasure, context: Context) -> Decision:
    events: Events = []
    stocked: list[m.Level] = []
    for product_id in dict.fromkeys(command.product_ids):
        key = item_key(context, product_id)
        item = view.get(key) or _PLAIN
        if item.location_ids:
            places = everywhere(view, context, product_id)
            stocked += [level(place, view.get(place), item) for place in places]
        elif item.decimals != command.decimals:
            events.append((key, m.MeasureSet(command.decimals)))
    if stocked:
        return Decision(m.Levels(tuple(stocked)))
    return Decision(m.Levels(()), events, tuple(key for key, _ in events))


def _parents_keys(
    command: m.BecomeParents | m.SetMeasure, context: Context, view: View
) -> Iterator[Key]:
    for product_id in command.product_ids:
        yield item_key(context, product_id)
        yield from everywhere(view, context, product_id)


COMMANDS: dict[type, Rule] = {
    m.BecomeParents: Rule(_parents_keys, _become_parents),
    m.SetMeasure: Rule(_parents_keys, _set_measure),
    m.BecomeSimple: about(
        m.ITEM,
        key=lambda command, context: item_key(context, command.product_id),
        decide=_become_simple,
        reply=lambda item, command, at: m.Levels(()),
        may_be_new=True,
    ),
}
