"""The rules of levels: goods come in, levels are corrected, items get their terms. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from actors.composite import Rule
from actors.rules import At, Events, about, quantity_fact, refuse
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as m
from actors.stock.evolve import EVENTS
from actors.stock.levels import (
    begun,
    dated,
    everywhere,
    item_key,
    level,
    location_of,
    max_on_hand,
    measure_changed,
    misfit,
    stock_key,
    unmoved,
)

_NEW, _PLAIN = m.Stock(), m.Item()


def _add_stock(known: m.Stock | None, command: m.AddStock, at: At) -> Events | Decision:
    """Refused: stock_limit, choose_variant, measure_changed."""
    item = at.view.get(item_key(at.context, command.product_id)) or _PLAIN
    decimals = dict(command.measures).get(at.key.id, 0)
    stock = known or unmoved(item)
    if stock.on_hand + command.quantity > max_on_hand(item, decimals):
        return refuse("stock_limit")
    if refused := misfit(at.key.id, item, decimals):
        return Decision(refused, refused=True)
    events: Events = []
    if known is None:
        events += begun(at.key, item, decimals)
    first = len(events)
    threshold = command.low_stock_threshold
    if threshold is not None and threshold != stock.low_stock_threshold:
        events.append((at.key, m.ThresholdSet(threshold)))
    if command.quantity or (known is None and len(events) == first):
        movement = m.Movement(
            "received",
            command.quantity,
            0,
            backorder_limit=item.backorder_limit,
            reference=command.reference,
        )
        events.append((at.key, movement))
    return events


def _added(stock: m.Stock | None, command: m.AddStock, at: At) -> m.Levels:
    item = at.view.get(item_key(at.context, command.product_id)) or _PLAIN
    return m.Levels((level(at.key, stock, item),))


def _adjust(view: View, command: m.Adjust, context: Context) -> Decision:
    """Refused: stock_changed, choose_variant, measure_changed, stock_limit, insufficient_stock."""
    meant = dict(command.measures)
    before: dict[Key, m.Stock | None] = {}
    now: dict[Key, m.Stock | None] = {}
    events: Events = []
    for number, line in enumerate(command.lines):
        key = stock_key(context, line.product_id, line.location_id)
        if key not in before:
            before[key] = now[key] = view.get(key)
        if changed := _expectation(number, line, key, before[key] or _NEW):
            return changed
        item = view.get(item_key(context, key.id)) or _PLAIN
        decimals = meant.get(key.id, 0)
        if refused := misfit(key.id, item, decimals):
            return Decision(refused, refused=True)
        for event in _line_events(command, line, now[key], item):
            if now[key] is None:
                start = begun(key, item, decimals)
                events += start
                for _, first in start[1:]:
                    now[key] = EVENTS[type(first)](None, first)
            now[key] = EVENTS[type(event)](now[key], event)
            events.append((key, event))
    return _bounded(view, context, before, now, events, meant)


def _expectation(number: int, line: m.Adjustment, key: Key, stock: m.Stock) -> Decision | None:
    """A refusal when the level is not what the caller thinks it is, with what it is. Refused:
    stock_changed."""
    if line.expected_sequence in (None, stock.sequence) and line.expected_on_hand in (
        None,
        stock.on_hand,
    ):
        return None
    return refuse(
        "stock_changed",
        line=number,
        productId=str(key.id),
        locationId=str(location_of(key)),
        sequence=stock.sequence,
        **quantity_fact("onHand", stock.on_hand, stock.decimals),
    )


def _line_events(
    command: m.Adjust, line: m.Adjustment, known: m.Stock | None, item: m.Item
) -> Iterator[Any]:
    stock = known or _NEW
    threshold = line.low_stock_threshold
    if threshold is not None and threshold != stock.low_stock_threshold:
        yield m.ThresholdSet(threshold)
    delta = line.quantity - stock.on_hand if line.action == "set" else line.quantity
    if delta == 0 and known is not None:
        return
    movement = m.Movement(
        "received" if line.action == "add" else "adjusted",
        delta,
        0,
        backorder_limit=item.backorder_limit,
        reason=command.reason,
        reference=command.reference,
        occurred_at_ms=line.occurred_at_ms,
    )
    yield dated(known, movement)


def _bounded(
    view: View,
    context: Context,
    before: dict[Key, m.Stock | None],
    now: dict[Key, m.Stock | None],
    events: Events,
    meant: Mapping[UUID, int],
) -> Decision:
    """What the lines of each level come to together must be possible. Refused: stock_limit,
    insufficient_stock."""
    shortages, levels = [], []
    for key, stock in now.items():
        was, stock = before[key] or _NEW, stock or _NEW
        item = view.get(item_key(context, key.id)) or _PLAIN
        if stock.on_hand > max_on_hand(item, meant.get(key.id, 0)):
            return refuse("stock_limit")
        if stock.available < min(was.available, -item.backorder_limit):
            left = max(was.available + item.backorder_limit, 0)
            wanted = was.on_hand - stock.on_hand
            decimals = item.decimals or meant.get(key.id, 0)
            shortages.append(m.Shortage(key.id, wanted, left, decimals))
        levels.append(level(key, stock, item))
    if shortages:
        return refuse("insufficient_stock", shortages)
    return Decision(m.Levels(tuple(levels)), events, tuple(key for key in now if now[key]))


def _set_item_terms(known: m.Item | None, command: m.SetItemTerms, at: At) -> Events | Decision:
    """Refused: measure_changed."""
    item = known or _PLAIN
    limit, decimals = command.backorder_limit, command.decimals
    if limit is None:
        limit, decimals = item.backorder_limit, item.decimals or 0
    elif not item.takes(decimals):
        return Decision(measure_changed(command.product_id, item), refused=True)
    terms = m.TermsSet(
        item.discontinued if command.discontinued is None else command.discontinued,
        limit,
        decimals,
    )
    same = terms == m.TermsSet(item.discontinued, item.backorder_limit, decimals)
    # What never had terms, and gets none, has no sequence for a receipt to name.
    return [] if same else [(at.key, terms)]


def _terms(known: m.Item | None, command: m.SetItemTerms, at: At) -> m.TermsReply:
    item = known or _PLAIN
    return m.TermsReply(
        command.product_id, item.discontinued, item.backorder_limit, item.decimals or 0
    )


def _get_levels(view: View, command: m.GetLevels, context: Context) -> Decision:
    levels = []
    for key in _level_keys(command, context, view):
        item = view.get(item_key(context, key.id)) or _PLAIN
        levels.append(level(key, view.get(key), item))
    return Decision(m.Levels(tuple(levels)))


def _level_keys(command: m.GetLevels, context: Context, view: View) -> list[Key]:
    """Those that are asked for, as far as the items are loaded; the main location's first."""
    keys = []
    for product_id in command.product_ids:
        if not command.everywhere:
            keys.append(stock_key(context, product_id, command.location_id))
            continue
        keys += everywhere(view, context, product_id)
    return keys


def _get_levels_keys(command: m.GetLevels, context: Context, view: View) -> Iterator[Key]:
    for product_id in command.product_ids:
        yield item_key(context, product_id)
    yield from _level_keys(command, context, view)


def _level(command: m.AddStock, context: Context) -> Key:
    return stock_key(context, command.product_id, command.location_id)


def _item(command: m.SetItemTerms, context: Context) -> Key:
    return item_key(context, command.product_id)


def _its_item(command: m.AddStock, context: Context) -> Iterator[Key]:
    yield item_key(context, command.product_id)


def _adjust_keys(command: m.Adjust, context: Context, view: View) -> Iterator[Key]:
    for line in command.lines:
        yield stock_key(context, line.product_id, line.location_id)
        yield item_key(context, line.product_id)


COMMANDS: dict[type, Rule] = {
    m.AddStock: about(
        m.STOCK, key=_level, also=_its_item, decide=_add_stock, reply=_added, may_be_new=True
    ),
    m.Adjust: Rule(_adjust_keys, _adjust),
    m.SetItemTerms: about(m.ITEM, key=_item, decide=_set_item_terms, reply=_terms, may_be_new=True),
    m.GetLevels: Rule(_get_levels_keys, _get_levels),
}
