"""The rules of physical counts and of repairs: what is true beats what is written. Pure.

A level's ledger, put into the order in which things happened, passes through each count: so a
count makes the level what was counted plus what moved after that moment, in whatever order counts
and movements arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from actors.composite import Rule
from actors.rules import Events, refuse
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as m
from actors.stock.evolve import EVENTS
from actors.stock.levels import (
    begun,
    item_key,
    level,
    location_of,
    max_on_hand,
    misfit,
    stock_key,
    unmoved,
)
from core.quantities import from_steps

_PLAIN = m.Item()


class MovedAfter(NamedTuple):
    """What the store says of a level: its sequence, what is on hand, and the sum of what moved
    after a moment. As it was before the batch."""

    sequence: int
    on_hand: int
    moved: int


class Books(NamedTuple):
    """What the store says of a level, of its ledger's sums, and of its open holds. As it was
    before the batch; a sequence of 0 where there is nothing."""

    sequence: int
    on_hand: int
    reserved: int
    incoming: int
    ledger_sequence: int
    ledger_on_hand: int
    ledger_reserved: int
    ledger_incoming: int
    held: int


def _moved_after_key(key: Key, at_ms: int) -> Key:
    detail = (location_of(key), at_ms)
    return Key(m.MOVED_AFTER, key.shard, key.tenant_id, key.id, detail, True)


def _books_key(key: Key) -> Key:
    return Key(m.BOOKS, key.shard, key.tenant_id, key.id, location_of(key), True)


def _count(view: View, command: m.Count, context: Context) -> Decision:
    """Refused: counted_twice, choose_variant, measure_changed, stock_limit."""
    meant = dict(command.measures)
    levels: dict[Key, m.Level] = {}
    events: Events = []
    for line in command.lines:
        key = stock_key(context, line.product_id, line.location_id)
        if key in levels:
            return refuse("counted_twice", productId=str(key.id))
        item = view.get(item_key(context, key.id)) or _PLAIN
        decimals = meant.get(key.id, 0)
        if refused := misfit(key.id, item, decimals):
            return Decision(refused, refused=True)
        known: m.Stock | None = view.get(key)
        stock = known or unmoved(item)
        at_ms = min(line.counted_at_ms, context.arrived_ms)
        superseded = stock.counted_at_ms is not None and at_ms < stock.counted_at_ms
        level_now = stock.on_hand if superseded else line.counted + _moved(view, key, stock, at_ms)
        if level_now > max_on_hand(item, decimals):
            return refuse("stock_limit")
        movement = m.Movement(
            "counted",
            level_now - stock.on_hand,
            0,
            backorder_limit=item.backorder_limit,
            reason="superseded" if superseded else f"counted {from_steps(line.counted, decimals)}",
            reference=command.reference,
            occurred_at_ms=at_ms,
        )
        counted = m.Counted(movement)
        if known is None:
            start = begun(key, item, decimals)
            events += start
            for _, first in start[1:]:
                known = EVENTS[type(first)](None, first)
        events.append((key, counted))
        levels[key] = level(key, EVENTS[m.Counted](known, counted), item)
    return Decision(m.Levels(tuple(levels.values())), events, tuple(levels))


def _moved(view: View, key: Key, stock: m.Stock, at_ms: int) -> int:
    """What moved after a moment: before this batch, and since it began."""
    answer: MovedAfter = view.get(_moved_after_key(key, at_ms))
    before = sum(
        delta
        for sequence, occurred_at_ms, delta in stock.backdated
        if sequence > answer.sequence and occurred_at_ms <= at_ms
    )
    return answer.moved + stock.on_hand - answer.on_hand - before


def _repair(view: View, command: m.Repair, context: Context) -> Decision:
    """Refused: moved_meanwhile."""
    key = stock_key(context, command.product_id, command.location_id)
    books: Books = view.get(_books_key(key))
    known: m.Stock | None = view.get(key)
    item = view.get(item_key(context, key.id)) or _PLAIN
    stock = known or unmoved(item)
    written = max(books.sequence, books.ledger_sequence)
    if stock.sequence > written:
        # A neighbour in this batch has moved it since the store was asked.
        return refuse("moved_meanwhile")
    true = (books.ledger_on_hand, books.held, books.ledger_incoming)
    before = level(key, stock, item)
    right = (
        true == (books.on_hand, books.reserved, books.incoming)
        and true == (stock.on_hand, stock.reserved, stock.incoming)
        and books.held == books.ledger_reserved
    )
    if right:
        return Decision(m.Repairs(before, before, False))
    delta = books.held - books.ledger_reserved
    reason, limit = command.reason, item.backorder_limit
    event = m.Repaired(*true, delta, limit, written + 1, reason)
    events: Events = [(key, event)]
    if location_of(key) not in item.location_ids:
        start = begun(key, item)
        events[:0] = start if known is None else start[:1]
    after = level(key, EVENTS[m.Repaired](stock, event), item)
    return Decision(m.Repairs(before, after, True), events, (key,))


def _count_keys(command: m.Count, context: Context, view: View) -> Iterator[Key]:
    for line in command.lines:
        key = stock_key(context, line.product_id, line.location_id)
        yield key
        yield item_key(context, line.product_id)
        yield _moved_after_key(key, min(line.counted_at_ms, context.arrived_ms))


def _repair_keys(command: m.Repair, context: Context, view: View) -> Iterator[Key]:
    key = stock_key(context, command.product_id, command.location_id)
    yield key
    yield item_key(context, command.product_id)
    yield _books_key(key)


COMMANDS: dict[type, Rule] = {
    m.Count: Rule(_count_keys, _count),
    m.Repair: Rule(_repair_keys, _repair),
}
