"""The rules of holds: opened, confirmed, extended, released, expired. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from actors.composite import Rule
from actors.rules import At, Events, about, refuse, unchanged
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as m
from actors.stock.levels import (
    Slot,
    discontinued,
    item_key,
    joined,
    level,
    line_keys,
    measure_changed,
    moves,
    parent,
    shortages,
    slots,
    stock_key,
    unfit,
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


def held_goods(held: m.Reservation, context: Context) -> Iterator[Key]:
    """What the goods of a reservation need."""
    return line_keys(context, held.location_id, held.lines)


class Closing(NamedTuple):
    """The events by which a hold's goods leave permanently, or a refusal."""

    events: Events
    refusal: Decision | None = None


def close(view: View, context: Context, reservation_id: UUID, kind: str) -> Closing:
    """Takes a hold's goods, `kind` being the ledger's word for it. Refused: not_found, not_open
    (confirmed or released before), or reservation_expired. Too late, the goods are taken again if
    they are still there."""
    key = reservation_key(context, reservation_id)
    held: m.Reservation | None = view.get(key)
    if held is None:
        return Closing([], refuse("not_found"))
    if held.status is m.Status.CONFIRMED or held.status is m.Status.RELEASED:
        return Closing([], refuse("not_open"))
    chosen = slots(view, context, held.location_id, held.lines)
    late = held.status is m.Status.EXPIRED
    if late and (discontinued(chosen) or parent(chosen)):
        return Closing([], refuse("reservation_expired"))
    if late and (short := shortages(chosen)):
        return Closing([], refuse("reservation_expired", short))
    reserved_sign = 0 if late else -1
    taken = moves(
        chosen, kind, -1, reserved_sign, reference=held.reference, reservation_id=reservation_id
    )
    return Closing([(key, m.Closed(m.Status.CONFIRMED)), *taken])


def reserve(view: View, command: m.Reserve, context: Context) -> Decision:
    """Refused: choose_variant, measure_changed, product_discontinued, insufficient_stock."""
    lines = joined(command.lines)
    chosen = slots(view, context, command.location_id, lines, command.measures)
    if refused := unfit(chosen):
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
    return Decision(
        None,
        [(key, opened), *taken],
        (*(slot.key for slot in chosen), key),
        read=lambda after: _hold(key, after.get(key), chosen, after),
    )


def _confirm(held: m.Reservation, command: m.Confirm, at: At) -> Events | Decision:
    """Refused: not_open, reservation_expired."""
    if held.status is m.Status.CONFIRMED:
        return []
    events, refusal = close(at.view, at.context, at.key.id, "confirmed")
    return refusal or events


def _extend(held: m.Reservation, command: m.Extend, at: At) -> Events | Decision:
    """Refused: not_open, reservation_expired."""
    if held.status is not m.Status.OPEN:
        expired = held.status is m.Status.EXPIRED
        return refuse("reservation_expired" if expired else "not_open")
    return [(at.key, m.Extended(at.context.now_ms + command.ttl_ms))]


def _release(held: m.Reservation, command: m.Release, at: At) -> Events | Decision:
    """Refused: not_open."""
    if held.status is m.Status.CONFIRMED:
        return refuse("not_open")
    return _freed(held, m.Status.RELEASED, at) if held.status is m.Status.OPEN else []


def _expire(held: m.Reservation, command: m.Expire, at: At) -> Events | Decision:
    """Refused: not_open, not_due."""
    if held.status is not m.Status.OPEN:
        return refuse("not_open")
    if at.context.now_ms < held.expires_at_ms + m.GRACE_MS:
        return refuse("not_due")
    return _freed(held, m.Status.EXPIRED, at)


def _freed(held: m.Reservation, status: m.Status, at: At) -> Events:
    """All goods of an open hold are free again; the ledger's word is the status."""
    chosen = slots(at.view, at.context, held.location_id, held.lines)
    reference, reservation_id = held.reference, at.key.id
    freed = moves(chosen, status.value, 0, -1, reference=reference, reservation_id=reservation_id)
    return [(at.key, m.Closed(status)), *freed]


def _release_oldest(view: View, command: m.ReleaseOldest, context: Context) -> Decision:
    """Refused: no_open_hold."""
    product, location = command.product_id, command.location_id
    (slot,) = slots(view, context, location, (m.Line(product, command.quantity),), command.measures)
    if not slot.item.takes(slot.decimals):
        return Decision(measure_changed(product, slot.item), refused=True)
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
        found = command.quantity - left
        short = m.Shortage(product, command.quantity, found, slot.item.decimals or slot.decimals)
        return refuse("no_open_hold", (short,))
    freed_ids = tuple(key.id for key in used)

    def read(after: View) -> m.Freed:
        now = level(slot.key, after.get(slot.key), slot.item)
        return m.Freed(now, command.quantity, freed_ids)

    return Decision(None, events, (slot.key, *used), read=read)


def _held(held: m.Reservation, command: Any, at: At) -> m.Hold:
    """A hold as it stands, and the levels of its goods."""
    chosen = slots(at.view, at.context, held.location_id, held.lines)
    return _hold(at.key, held, chosen, at.view)


def _hold(key: Key, held: m.Reservation, chosen: Sequence[Slot], after: View) -> m.Hold:
    return m.Hold(
        key.id,
        held.status,
        held.lines,
        held.expires_at_ms,
        held.created_at_ms,
        held.created_by,
        held.reference,
        tuple([level(slot.key, after.get(slot.key), slot.item) for slot in chosen]),
        held.location_id,
    )


def _reserve_keys(command: m.Reserve, context: Context, view: View) -> Iterator[Key]:
    return line_keys(context, command.location_id, command.lines)


def _oldest_keys(command: m.ReleaseOldest, context: Context, view: View) -> Iterator[Key]:
    yield stock_key(context, command.product_id, command.location_id)
    yield item_key(context, command.product_id)
    holds = open_holds_key(context, command.product_id, command.location_id)
    yield holds
    for reservation_id in view.get(holds) or ():
        yield reservation_key(context, reservation_id)


def _rule(decide: Callable[[Any, Any, At], Events | Decision]) -> Rule:
    return about(
        m.RESERVATION,
        key="reservation_id",
        then=held_goods,
        decide=decide,
        reply=_held,
        moves=m.STOCK,
        moves_first=True,
    )


COMMANDS: dict[type, Rule] = {
    m.Reserve: Rule(_reserve_keys, reserve),
    m.Confirm: _rule(_confirm),
    m.Extend: _rule(_extend),
    m.Release: _rule(_release),
    m.ReleaseOldest: Rule(_oldest_keys, _release_oldest),
    m.Expire: _rule(_expire),
    m.GetReservation: _rule(unchanged),
}
