"""How events change stock, items and reservations. None is what is not yet there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from actors.runtime.family import Key
from actors.stock import model as m

_NEW, _PLAIN = m.Stock(), m.Item()


def moved(stock: m.Stock | None, movement: m.Movement) -> m.Stock:
    """A level after one more line of its ledger."""
    stock = stock or _NEW
    on_hand = stock.on_hand + movement.on_hand_delta
    reserved = stock.reserved + movement.reserved_delta
    threshold = stock.low_stock_threshold
    return m.Stock(
        on_hand,
        reserved,
        stock.incoming + movement.incoming_delta,
        threshold,
        on_hand - reserved < threshold,
        # Below the limit already, because that was lowered or a count found less: it may stay
        # there, or recover, but never get worse.
        min(-movement.backorder_limit, stock.available),
        stock.counted_at_ms,
        stock.sequence + 1,
    )


def _threshold_set(stock: m.Stock | None, event: m.ThresholdSet) -> m.Stock:
    stock = stock or _NEW
    threshold = event.low_stock_threshold
    low = stock.available < threshold
    return replace(stock, low_stock_threshold=threshold, low=low, sequence=stock.sequence + 1)


def _stocked(item: m.Item | None, event: m.Stocked) -> m.Item:
    item = item or _PLAIN
    places = (*item.location_ids, event.location_id)
    return replace(item, location_ids=places, sequence=item.sequence + 1)


def _terms_set(item: m.Item | None, event: m.TermsSet) -> m.Item:
    item = item or _PLAIN
    return m.Item(event.discontinued, event.backorder_limit, item.location_ids, item.sequence + 1)


def _opened(_: None, event: m.Opened) -> m.Reservation:
    return m.Reservation(
        event.lines,
        m.Status.OPEN,
        event.created_by,
        event.created_at_ms,
        event.expires_at_ms,
        event.reference,
        event.location_id,
        1,
    )


def _next(held: m.Reservation, **changes: Any) -> m.Reservation:
    return replace(held, sequence=held.sequence + 1, **changes)


EVENTS: dict[type, Callable[[Any, Any], Any]] = {
    m.Movement: moved,
    m.ThresholdSet: _threshold_set,
    m.Stocked: _stocked,
    m.TermsSet: _terms_set,
    m.Opened: _opened,
    m.Closed: lambda held, event: _next(held, status=event.status),
    m.Extended: lambda held, event: _next(held, expires_at_ms=event.expires_at_ms),
    m.Reduced: lambda held, event: _next(held, lines=event.lines),
}


def after(state: Any, key: Key, events: Iterable[tuple[Key, Any]]) -> Any:
    """The state of `key` once those of the events that are its own have happened."""
    for event_key, event in events:
        if event_key == key:
            state = EVENTS[type(event)](state, event)
    return state
