"""How events change stock, items and reservations. None is what is not yet there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from actors.stock import model as m

_NEW, _PLAIN = m.Stock(), m.Item()


def moved(stock: m.Stock | None, movement: m.Movement) -> m.Stock:
    """A level after one more line of its ledger."""
    stock = stock or _NEW
    on_hand = stock.on_hand + movement.on_hand_delta
    reserved = stock.reserved + movement.reserved_delta
    threshold = stock.low_stock_threshold
    # Below the limit already, because that was lowered or a count found less: it may stay there,
    # or recover, but never get worse; unless the goods are gone.
    least = (
        stock.available if not movement.may_oversell else min(stock.available, on_hand - reserved)
    )
    return m.Stock(
        on_hand,
        reserved,
        stock.incoming + movement.incoming_delta,
        threshold,
        on_hand - reserved < threshold,
        min(-movement.backorder_limit, least),
        stock.counted_at_ms,
        stock.sequence + 1,
        stock.backdated if movement.occurred_at_ms is None else _with_backdated(stock, movement),
        stock.decimals,
    )


def _with_backdated(stock: m.Stock, movement: m.Movement) -> tuple[tuple[int, int, int], ...]:
    entry = (stock.sequence + 1, movement.occurred_at_ms or 0, movement.on_hand_delta)
    return (*stock.backdated[1 - m.MAX_BACKDATED :], entry)


def _counted(stock: m.Stock | None, event: m.Counted) -> m.Stock:
    """What was counted is true, also when it is less than was promised."""
    after = moved(stock, event.movement)
    at_ms = max(event.movement.occurred_at_ms or 0, after.counted_at_ms or 0)
    return replace(
        after, counted_at_ms=at_ms, min_available=min(after.min_available, after.available)
    )


def _backdated(stock: m.Stock | None, event: m.Backdated) -> m.Stock:
    """Two lines of the ledger that leave what is on hand as it was."""
    after = moved(stock, replace(event.movement, on_hand_delta=0, occurred_at_ms=None))
    return replace(after, sequence=after.sequence + 1)


def _repaired(stock: m.Stock | None, event: m.Repaired) -> m.Stock:
    stock = stock or _NEW
    available = event.on_hand - event.reserved
    return m.Stock(
        event.on_hand,
        event.reserved,
        event.incoming,
        stock.low_stock_threshold,
        available < stock.low_stock_threshold,
        min(-event.backorder_limit, available),
        stock.counted_at_ms,
        event.sequence,
        decimals=stock.decimals,
    )


def _threshold_set(stock: m.Stock | None, event: m.ThresholdSet) -> m.Stock:
    stock = stock or _NEW
    threshold = event.low_stock_threshold
    low = stock.available < threshold
    return replace(stock, low_stock_threshold=threshold, low=low, sequence=stock.sequence + 1)


def _measured(_: m.Stock | None, event: m.Measured) -> m.Stock:
    """The threshold that a level begins with is of units."""
    threshold = m.DEFAULT_LOW_STOCK_THRESHOLD * 10**event.decimals
    return m.Stock(low_stock_threshold=threshold, sequence=1, decimals=event.decimals)


def _stocked(item: m.Item | None, event: m.Stocked) -> m.Item:
    item = item or _PLAIN
    places = tuple(dict.fromkeys((*item.location_ids, event.location_id)))
    decimals = event.decimals if event.decimals and item.decimals is None else item.decimals
    return replace(item, location_ids=places, sequence=item.sequence + 1, decimals=decimals)


def _terms_set(item: m.Item | None, event: m.TermsSet) -> m.Item:
    item = item or _PLAIN
    return replace(
        item,
        discontinued=event.discontinued,
        backorder_limit=event.backorder_limit,
        sequence=item.sequence + 1,
        decimals=event.decimals or item.decimals,
    )


def _measure_set(item: m.Item | None, event: m.MeasureSet) -> m.Item:
    item = item or _PLAIN
    limit = item.backorder_limit * 10**event.decimals // 10 ** (item.decimals or 0)
    return replace(item, decimals=event.decimals, backorder_limit=limit, sequence=item.sequence + 1)


def _parent_set(item: m.Item | None, event: m.ParentSet) -> m.Item:
    item = item or _PLAIN
    return replace(item, parent=event.parent, sequence=item.sequence + 1)


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
    m.Counted: _counted,
    m.Backdated: _backdated,
    m.Repaired: _repaired,
    m.ThresholdSet: _threshold_set,
    m.Measured: _measured,
    m.MeasureSet: _measure_set,
    m.Stocked: _stocked,
    m.TermsSet: _terms_set,
    m.ParentSet: _parent_set,
    m.Opened: _opened,
    m.Closed: lambda held, event: _next(held, status=event.status),
    m.Extended: lambda held, event: _next(held, expires_at_ms=event.expires_at_ms),
    m.Reduced: lambda held, event: _next(held, lines=event.lines),
}
