"""The rules of holds: opened, confirmed, extended, released, expired. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from actors.composite import Rule
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as m
from actors.stock.evolve import EVENTS, after
from actors.stock.levels import (
    Events,
    discontinued,
    item_key,
    joined,
    level,
    levels_after,
    line_keys,
    moves,
    parent,
    refuse,
    shortages,
    slots,
    stock_key,
)


def reservation_key(context: Context, reservation_id: UUID) -> Key:
    return Key(m.RESERVATION, context.shard, context.tenant_id, reservation_id)


def open_holds_key(context: Context, product_id: UUID, location_id: UUID | None) -> Key:
    """The question which open holds of its own the caller has on an item at a location."""
    detail = (context.principal, location_id or context.tenant_id)
    return Key(m.OPEN_HOLDS, context.shard, context.tenant_id, product_id, detail, True)


def hold_keys(context: Context, view: View, reservation_id: UUID) -> Iterator[Key]:
    """A reservation, and what its goods need."""
    key = reservation_key(context, reservation_id)
    yield key
    held: m.Reservation | None = view.get(key)
    if held is not None:
        yield from line_keys(context, held.location_id, held.lines)


class Closing(NamedTuple):
    """The events by which a hold's goods leave for good, or a refusal."""

    events: Events
    levels: tuple[m.Level, ...]
    refusal: Decision | None = None


def close(view: View, context: Context, reservation_id: UUID, kind: str) -> Closing:
    """Takes a hold's goods, `kind` being the ledger's word for it. Refused: not_found, not_open
    (confirmed or released before), or reservation_expired. Too late, the goods are taken again if
    they are still there."""
    key = reservation_key(context, reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return Closing([], (), refuse("not_found"))
    if held.status is m.Status.CONFIRMED or held.status is m.Status.RELEASED:
        return Closing([], (), refuse("not_open"))
    chosen = slots(view, context, held.location_id, held.lines)
    late = held.status is m.Status.EXPIRED
    if late and (discontinued(chosen) or parent(chosen)):
        return Closing([], (), refuse("reservation_expired"))
    if late and (short := shortages(chosen)):
        return Closing([], (), refuse("reservation_expired", short))
    reserved_sign = 0 if late else -1
    taken = moves(
        chosen, kind, -1, reserved_sign, reference=held.reference, reservation_id=reservation_id
    )
    events = [(key, m.Closed(m.Status.CONFIRMED)), *taken]
    return Closing(events, levels_after(chosen, taken))


def reserve(view: View, command: m.Reserve, context: Context) -> Decision:
    lines = joined(command.lines)
    chosen = slots(view, context, command.location_id, lines)
    if refused := parent(chosen):
        return Decision(refused, refused=True)
    if discontinued(chosen):
        return refuse("product_discontinued")
    if short := shortages(chosen):
        return refuse("insufficient_stock", short)
    key = reservation_key(context, command.reservation_id)
    opened = m.Opened(
        lines,
        context.principal,
        context.now_ms,
        context.now_ms + command.ttl_ms,
        command.reference,
        command.location_id,
    )
    taken = moves(chosen, "reserved", 0, 1, reference=command.reference, reservation_id=key.id)
    events = [(key, opened), *taken]
    reply = _hold(key, EVENTS[m.Opened](None, opened), levels_after(chosen, taken))
    return Decision(reply, events, (*(slot.key for slot in chosen), key))


def _confirm(view: View, command: m.Confirm, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is not None and held.status is m.Status.CONFIRMED:
        return _unchanged(view, key, held, context)
    events, levels, refusal = close(view, context, command.reservation_id, "confirmed")
    return refusal or _changed(view, key, events, levels)


def _extend(view: View, command: m.Extend, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return refuse("not_found")
    if held.status is not m.Status.OPEN:
        expired = held.status is m.Status.EXPIRED
        return refuse("reservation_expired" if expired else "not_open")
    events: Events = [(key, m.Extended(context.now_ms + command.ttl_ms))]
    return _changed(view, key, events, _levels(view, held, context))


def _release(view: View, command: m.Release, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return refuse("not_found")
    if held.status is m.Status.CONFIRMED:
        return refuse("not_open")
    if held.status is not m.Status.OPEN:
        return _unchanged(view, key, held, context)
    return _freed(view, key, held, m.Status.RELEASED, context)


def _expire(view: View, command: m.Expire, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None or held.status is not m.Status.OPEN:
        return refuse("not_open")
    if context.now_ms < held.expires_at_ms + m.GRACE_MS:
        return refuse("not_due")
    return _freed(view, key, held, m.Status.EXPIRED, context)


def _freed(
    view: View, key: Key, held: m.Reservation, status: m.Status, context: Context
) -> Decision:
    """All goods of an open hold are free again; the ledger's word is the status."""
    chosen = slots(view, context, held.location_id, held.lines)
    freed = moves(chosen, status.value, 0, -1, reference=held.reference, reservation_id=key.id)
    events = [(key, m.Closed(status)), *freed]
    return _changed(view, key, events, levels_after(chosen, freed))


def _release_oldest(view: View, command: m.ReleaseOldest, context: Context) -> Decision:
    product, location = command.product_id, command.location_id
    left, used = command.quantity, []
    events: Events = []
    for reservation_id in view.get(open_holds_key(context, product, location)) or ():
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
        part = slots(view, context, location, (m.Line(product, freed),))
        events += moves(
            part, "released", 0, -1, reference=held.reference, reservation_id=reservation_id
        )
        used.append(key)
        left -= freed
    if left:
        short = m.Shortage(product, command.quantity, command.quantity - left)
        return refuse("no_open_hold", (short,))
    (slot,) = slots(view, context, location, (m.Line(product, command.quantity),))
    stock = after(slot.stock, slot.key, events)
    freed_ids = tuple(one.id for one in used)
    reply = m.Freed(level(slot.key, stock, slot.item), command.quantity, freed_ids)
    return Decision(reply, events, (slot.key, *used))


def _get(view: View, command: m.GetReservation, context: Context) -> Decision:
    key = reservation_key(context, command.reservation_id)
    held = view.get(key)
    return _unchanged(view, key, held, context) if held else refuse("not_found")


def _changed(view: View, key: Key, events: Events, levels: tuple[m.Level, ...]) -> Decision:
    """A hold's new state, and the levels of its goods."""
    held = after(view.get(key), key, events[:1])
    moved = [event_key for event_key, _ in events if event_key.kind == m.STOCK]
    return Decision(_hold(key, held, levels), events, (*moved, key))


def _unchanged(view: View, key: Key, held: m.Reservation, context: Context) -> Decision:
    return Decision(_hold(key, held, _levels(view, held, context)), touched=(key,))


def _levels(view: View, held: m.Reservation, context: Context) -> tuple[m.Level, ...]:
    chosen = slots(view, context, held.location_id, held.lines)
    return tuple(level(slot.key, slot.stock, slot.item) for slot in chosen)


def _hold(key: Key, held: m.Reservation, levels: tuple[m.Level, ...]) -> m.Hold:
    return m.Hold(
        key.id,
        held.status,
        held.lines,
        held.expires_at_ms,
        held.created_at_ms,
        held.created_by,
        held.reference,
        levels,
        held.location_id,
    )


def _reserve_keys(command: m.Reserve, context: Context, view: View) -> Iterator[Key]:
    return line_keys(context, command.location_id, command.lines)


def _hold_keys(command: Any, context: Context, view: View) -> Iterator[Key]:
    return hold_keys(context, view, command.reservation_id)


def _oldest_keys(command: m.ReleaseOldest, context: Context, view: View) -> Iterator[Key]:
    yield stock_key(context, command.product_id, command.location_id)
    yield item_key(context, command.product_id)
    holds = open_holds_key(context, command.product_id, command.location_id)
    yield holds
    for reservation_id in view.get(holds) or ():
        yield reservation_key(context, reservation_id)


COMMANDS: dict[type, Rule] = {
    m.Reserve: Rule(_reserve_keys, reserve),
    m.Confirm: Rule(_hold_keys, _confirm),
    m.Extend: Rule(_hold_keys, _extend),
    m.Release: Rule(_hold_keys, _release),
    m.ReleaseOldest: Rule(_oldest_keys, _release_oldest),
    m.Expire: Rule(_hold_keys, _expire),
    m.GetReservation: Rule(_hold_keys, _get),
}
