"""The rules of stock: decide and evolve. Pure; time comes in with the context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as m

S = TypeVar("S", m.Stock, m.Reservation)


def stock_key(context: Context, product_id: UUID) -> Key:
    return Key(m.STOCK, context.shard, context.tenant_id, product_id)


def reservation_key(context: Context, reservation_id: UUID) -> Key:
    return Key(m.RESERVATION, context.shard, context.tenant_id, reservation_id)


def open_holds_key(context: Context, product_id: UUID) -> Key:
    return Key(m.OPEN_HOLDS, context.shard, context.tenant_id, product_id, context.principal, True)


def keys(command: m.AnyCommand, context: Context, view: View) -> Iterator[Key]:
    """What `decide` will look at: known from the command, or from what is loaded so far."""
    match command:
        case m.Reserve(lines=lines) | m.Adjust(lines=lines):
            for line in lines:
                yield stock_key(context, line[0])
        case m.AddStock(product_id=product) | m.Discontinue(product_id=product):
            yield stock_key(context, product)
        case m.GetLevels(product_ids=products):
            for product in products:
                yield stock_key(context, product)
        case m.ReleaseOldest(product_id=product):
            yield stock_key(context, product)
            holds = open_holds_key(context, product)
            yield holds
            for reservation_id in view.get(holds) or ():
                yield reservation_key(context, reservation_id)
        case _:
            key = reservation_key(context, command.reservation_id)
            yield key
            reservation = view.get(key)
            for line in reservation.lines if reservation else ():
                yield stock_key(context, line.product_id)


def decide(view: View, command: m.AnyCommand, context: Context) -> Decision:
    """The business rule: events and a reply, or a refusal and no event."""
    return _RULES[type(command)](view, command, context)


def _add_stock(view: View, command: m.AddStock, context: Context) -> Decision:
    key = stock_key(context, command.product_id)
    stock = view.get(key) or m.Stock()
    if stock.on_hand + command.quantity > m.MAX_ON_HAND:
        return _refuse("stock_limit")
    events: list[tuple[Key, Any]] = []
    threshold = command.low_stock_threshold
    if threshold is not None and threshold != stock.low_stock_threshold:
        events.append((key, m.ThresholdSet(threshold)))
    if command.quantity or not (events or view.get(key)):
        events.append(
            (key, m.Movement("received", command.quantity, 0, reference=command.reference))
        )
    after = _after(stock, events)
    return Decision(m.Levels((_level(key, after),)), events, (key,))


def _adjust(view: View, command: m.Adjust, context: Context) -> Decision:
    deltas: dict[Key, int] = {}
    for line in command.lines:
        key = stock_key(context, line.product_id)
        deltas[key] = deltas.get(key, 0) + line.delta
    shortages, events, levels = [], [], []
    for key, delta in deltas.items():
        stock = view.get(key) or m.Stock()
        if stock.on_hand + delta > m.MAX_ON_HAND:
            return _refuse("stock_limit")
        if stock.available + delta < 0:
            shortages.append(m.Shortage(key.id, -delta, stock.available))
        movement = m.Movement(
            "adjusted", delta, 0, reason=command.reason, reference=command.reference
        )
        events.append((key, movement))
        levels.append(_level(key, _after(stock, [(key, movement)])))
    if shortages:
        return _refuse("insufficient_stock", shortages)
    return Decision(m.Levels(tuple(levels)), events, tuple(deltas))


def _reserve(view: View, command: m.Reserve, context: Context) -> Decision:
    wanted: dict[UUID, int] = {}
    for line in command.lines:  # two lines may share a product: it is held once, for the sum
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    lines = tuple(m.Line(product, quantity) for product, quantity in wanted.items())
    if refusal := _missing(view, lines, context):
        return refusal
    key = reservation_key(context, command.reservation_id)
    opened = m.Opened(
        lines,
        context.principal,
        context.now_ms,
        context.now_ms + command.ttl_ms,
        command.reference,
    )
    moves = _move(context, lines, "reserved", 0, 1, command.reservation_id, command.reference)
    return _held(view, key, evolve(None, opened), [(key, opened), *moves], context)


def _confirm(view: View, command: m.Confirm, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return _refuse("not_found")
    if held.status is m.Status.CONFIRMED:
        return _held(view, key, held, [], context)
    if held.status is m.Status.RELEASED:
        return _refuse("not_open")
    # Too late: the claim is gone. Take the goods again if they are still there.
    late = held.status is m.Status.EXPIRED
    if late and (refusal := _missing(view, held.lines, context)):
        return _refuse("reservation_expired", refusal.reply.shortages)
    moves = _move(context, held.lines, "confirmed", -1, 0 if late else -1, key.id, held.reference)
    closed = m.Closed(m.Status.CONFIRMED)
    return _held(view, key, evolve(held, closed), [(key, closed), *moves], context)


def _extend(view: View, command: m.Extend, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return _refuse("not_found")
    if held.status is not m.Status.OPEN:
        expired = held.status is m.Status.EXPIRED
        return _refuse("reservation_expired" if expired else "not_open")
    extended = m.Extended(context.now_ms + command.ttl_ms)
    return _held(view, key, evolve(held, extended), [(key, extended)], context)


def _release(view: View, command: m.Release, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return _refuse("not_found")
    if held.status is m.Status.CONFIRMED:
        return _refuse("not_open")
    if held.status is not m.Status.OPEN:
        return _held(view, key, held, [], context)
    moves = _move(context, held.lines, "released", 0, -1, key.id, held.reference)
    closed = m.Closed(m.Status.RELEASED)
    return _held(view, key, evolve(held, closed), [(key, closed), *moves], context)


def _expire(view: View, command: m.Expire, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None or held.status is not m.Status.OPEN:
        return _refuse("not_open")
    if context.now_ms < held.expires_at_ms + m.GRACE_MS:
        return _refuse("not_due")
    moves = _move(context, held.lines, "expired", 0, -1, key.id, held.reference)
    closed = m.Closed(m.Status.EXPIRED)
    return _held(view, key, evolve(held, closed), [(key, closed), *moves], context)


def _release_oldest(view: View, command: m.ReleaseOldest, context: Context) -> Decision:
    product = command.product_id
    left, used = command.quantity, []
    events: list[tuple[Key, Any]] = []
    for reservation_id in view.get(open_holds_key(context, product)) or ():
        key = reservation_key(context, reservation_id)
        held: m.Reservation | None = view.get(key)
        # The question was put before this batch: a neighbour may have closed it since.
        if left == 0 or held is None or held.status is not m.Status.OPEN:
            continue
        in_hold = sum(line.quantity for line in held.lines if line.product_id == product)
        freed = min(left, in_hold)
        if freed == 0:
            continue
        rest = tuple(
            m.Line(product, in_hold - freed) if line.product_id == product else line
            for line in held.lines
            if line.product_id != product or freed < in_hold
        )
        events.append((key, m.Reduced(rest) if rest else m.Closed(m.Status.RELEASED)))
        events += _move(
            context, (m.Line(product, freed),), "released", 0, -1, key.id, held.reference
        )
        used.append(key)
        left -= freed
    if left:
        return _refuse(
            "no_open_hold",
            (m.Shortage(product, command.quantity, command.quantity - left),),
        )
    key = stock_key(context, product)
    after = _after(view.get(key), [event for event in events if event[0] == key])
    reply = m.Freed(_level(key, after), command.quantity, tuple(one.id for one in used))
    return Decision(reply, events, (key, *used))


def _discontinue(view: View, command: m.Discontinue, context: Context) -> Decision:
    key = stock_key(context, command.product_id)
    stock = view.get(key) or m.Stock()
    events: list[tuple[Key, Any]] = []
    if stock.discontinued != command.discontinued:
        events.append((key, m.DiscontinuedSet(command.discontinued)))
    # What never had stock, and gets none, has no sequence for a receipt to name.
    touched = (key,) if events or view.get(key) else ()
    return Decision(m.Levels((_level(key, _after(stock, events)),)), events, touched)


def _get_levels(view: View, command: m.GetLevels, context: Context) -> Decision:
    wanted = [stock_key(context, product) for product in command.product_ids]
    return Decision(m.Levels(tuple(_level(key, view.get(key)) for key in wanted)))


def _get_reservation(view: View, command: m.GetReservation, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held = view.get(key)
    return _held(view, key, held, [], context) if held else _refuse("not_found")


_RULES: dict[type, Callable[[View, Any, Context], Decision]] = {
    m.AddStock: _add_stock,
    m.Adjust: _adjust,
    m.Reserve: _reserve,
    m.Confirm: _confirm,
    m.Extend: _extend,
    m.Release: _release,
    m.ReleaseOldest: _release_oldest,
    m.Expire: _expire,
    m.Discontinue: _discontinue,
    m.GetLevels: _get_levels,
    m.GetReservation: _get_reservation,
}


def evolve(state: Any, event: m.StockEvent | m.ReservationEvent) -> Any:
    """How an event changes a stock or a reservation; None is the stock or hold not yet there."""
    return _EVOLUTIONS[type(event)](state, event)


def _opened(_: None, event: m.Opened) -> m.Reservation:
    return m.Reservation(
        event.lines,
        m.Status.OPEN,
        event.created_by,
        event.created_at_ms,
        event.expires_at_ms,
        event.reference,
        1,
    )


def _threshold_set(stock: m.Stock | None, event: m.ThresholdSet) -> m.Stock:
    stock = stock or m.Stock()
    threshold = event.low_stock_threshold
    return _next(stock, low_stock_threshold=threshold, low=stock.available < threshold)


def _moved(stock: m.Stock | None, movement: m.Movement) -> m.Stock:
    stock = stock or m.Stock()
    on_hand = stock.on_hand + movement.on_hand_delta
    reserved = stock.reserved + movement.reserved_delta
    threshold = stock.low_stock_threshold
    return m.Stock(
        on_hand,
        reserved,
        threshold,
        on_hand - reserved < threshold,
        stock.discontinued,
        stock.sequence + 1,
    )


def _next(state: S, **changes: Any) -> S:
    return msgspec.structs.replace(state, sequence=state.sequence + 1, **changes)


_EVOLUTIONS: dict[type, Callable[[Any, Any], Any]] = {
    m.Movement: _moved,
    m.Opened: _opened,
    m.Closed: lambda held, event: _next(held, status=event.status),
    m.Extended: lambda held, event: _next(held, expires_at_ms=event.expires_at_ms),
    m.Reduced: lambda held, event: _next(held, lines=event.lines),
    m.ThresholdSet: _threshold_set,
    m.DiscontinuedSet: lambda stock, event: _next(
        stock or m.Stock(), discontinued=event.discontinued
    ),
}


def _after(stock: m.Stock | None, events: Iterable[tuple[Key, Any]]) -> m.Stock | None:
    for _, event in events:
        stock = evolve(stock, event)
    return stock


def _missing(view: View, lines: Sequence[m.Line], context: Context) -> Decision | None:
    """A refusal when not every line can be taken from what is available."""
    shortages = []
    for line in lines:
        stock = view.get(stock_key(context, line.product_id))
        if stock is not None and stock.discontinued:
            return _refuse("product_discontinued")
        available = stock.available if stock else 0
        if available < line.quantity:
            shortages.append(m.Shortage(line.product_id, line.quantity, available))
    return _refuse("insufficient_stock", shortages) if shortages else None


def _move(
    context: Context,
    lines: Iterable[m.Line],
    kind: str,
    on_hand_sign: int,
    reserved_sign: int,
    reservation_id: UUID,
    reference: str | None,
) -> list[tuple[Key, m.Movement]]:
    return [
        (
            stock_key(context, line.product_id),
            m.Movement(
                kind,
                on_hand_sign * line.quantity,
                reserved_sign * line.quantity,
                reference=reference,
                reservation_id=reservation_id,
            ),
        )
        for line in lines
    ]


def _held(
    view: View,
    key: Key,
    reservation: m.Reservation,
    events: Sequence[tuple[Key, Any]],
    context: Context,
) -> Decision:
    """The reply of everything that ends in a reservation's new state."""
    moved = {
        event_key: evolve(view.get(event_key), event)
        for event_key, event in events
        if event_key.kind == m.STOCK
    }
    stocks = [stock_key(context, line.product_id) for line in reservation.lines]
    reply = m.Hold(
        key.id,
        reservation.status,
        reservation.lines,
        reservation.expires_at_ms,
        reservation.created_at_ms,
        reservation.created_by,
        reservation.reference,
        tuple(_level(stock, moved.get(stock) or view.get(stock)) for stock in stocks),
    )
    return Decision(reply, events, (*stocks, key) if events else (key,))


def _level(key: Key, stock: m.Stock | None) -> m.Level:
    if stock is None:
        stock = m.Stock()
    return m.Level(
        key.id, stock.on_hand, stock.reserved, stock.low_stock_threshold, stock.discontinued
    )


def _refuse(code: str, shortages: Iterable[m.Shortage] = ()) -> Decision:
    return Decision(m.Refused(code, tuple(shortages)), refused=True)
