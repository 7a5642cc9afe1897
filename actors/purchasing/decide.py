"""The rules of purchase orders: decide and evolve. Pure; time comes in with the context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from actors.purchasing import model as p
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as stock
from actors.stock.levels import Events, Slot, line_keys, parent, refuse, slots, stocked


def purchase_key(context: Context, purchase_id: UUID) -> Key:
    return Key(p.PURCHASE, context.shard, context.tenant_id, purchase_id)


def keys(command: Any, context: Context, view: View) -> Iterator[Key]:
    """The order, and once it is loaded the levels of its goods."""
    key = purchase_key(context, command.purchase_id)
    yield key
    order: p.Purchase | None = view.get(key)
    if order is not None:
        yield from line_keys(context, order.terms.location_id, _outstanding(order))


def key_alone(command: Any, context: Context, view: View) -> Iterator[Key]:
    yield purchase_key(context, command.purchase_id)


def put(view: View, command: p.PutPurchase, context: Context) -> Decision:
    key = purchase_key(context, command.purchase_id)
    known: p.Purchase | None = view.get(key)
    if known is None and not command.is_new:
        return refuse("not_found")
    if known is not None and known.status is not p.PurchaseStatus.DRAFT:
        return refuse("purchase_not_draft")
    drafted = p.Drafted(
        command.terms,
        command.lines,
        known.created_by if known else context.principal,
        known.created_at_ms if known else context.now_ms,
    )
    return _decided(key, known, [(key, drafted)])


def place(view: View, command: p.PlacePurchase, context: Context) -> Decision:
    key = purchase_key(context, command.purchase_id)
    order: p.Purchase | None = view.get(key)
    if order is None:
        return refuse("not_found")
    if order.status is not p.PurchaseStatus.DRAFT:
        return refuse("purchase_not_draft")
    chosen = slots(view, context, order.terms.location_id, _outstanding(order))
    if refused := parent(chosen):
        return Decision(refused, refused=True)
    events: Events = [(key, p.Placed(context.now_ms))]
    for slot in chosen:
        events += _move(slot, "ordered", key.id, incoming=slot.quantity)
    return _decided(key, order, events)


def receive(view: View, command: p.ReceivePurchase, context: Context) -> Decision:
    key = purchase_key(context, command.purchase_id)
    order: p.Purchase | None = view.get(key)
    if order is None:
        return refuse("not_found")
    if order.status not in p.OPEN:
        return refuse("purchase_not_open")
    outstanding = {line.item_id: line.outstanding for line in order.lines}
    wanted = {one.item_id: one.quantity for one in command.lines}
    for item_id, quantity in wanted.items():
        if item_id not in outstanding:
            return refuse("not_in_purchase", productId=str(item_id))
        if quantity > outstanding[item_id] and not command.allow_excess:
            left = outstanding[item_id]
            return refuse("more_than_ordered", productId=str(item_id), outstanding=left)
    lines = [stock.Line(item_id, quantity) for item_id, quantity in wanted.items()]
    chosen = slots(view, context, order.terms.location_id, lines)
    if refused := parent(chosen):
        return Decision(refused, refused=True)
    events: Events = [(key, p.GoodsReceived(command.lines))]
    for slot in chosen:
        if (slot.stock.on_hand if slot.stock else 0) + slot.quantity > stock.MAX_ON_HAND:
            return refuse("stock_limit", productId=str(slot.key.id))
        arrived = min(slot.quantity, outstanding[slot.key.id])
        events += _move(slot, "received", key.id, on_hand=slot.quantity, incoming=-arrived)
    return _decided(key, order, events)


def cancel(view: View, command: p.CancelPurchase, context: Context) -> Decision:
    key = purchase_key(context, command.purchase_id)
    order: p.Purchase | None = view.get(key)
    if order is None:
        return refuse("not_found")
    if order.status is not p.PurchaseStatus.DRAFT and order.status not in p.OPEN:
        return refuse("purchase_not_open")
    events: Events = [(key, p.RestCancelled())]
    if order.status in p.OPEN:
        for slot in slots(view, context, order.terms.location_id, _outstanding(order)):
            events += _move(slot, "order_cancelled", key.id, incoming=-slot.quantity)
    return _decided(key, order, events)


def get(view: View, command: p.GetPurchase, context: Context) -> Decision:
    key = purchase_key(context, command.purchase_id)
    order: p.Purchase | None = view.get(key)
    return refuse("not_found") if order is None else Decision(_reply(key, order))


def _drafted(order: p.Purchase | None, event: p.Drafted) -> p.Purchase:
    return p.Purchase(
        event.terms,
        tuple(p.PurchaseLine(*line) for line in event.lines),
        p.PurchaseStatus.DRAFT,
        event.created_by,
        event.created_at_ms,
        None,
        (order.sequence if order else 0) + 1,
    )


def _placed(order: p.Purchase, event: p.Placed) -> p.Purchase:
    return replace(
        order,
        status=p.PurchaseStatus.ORDERED,
        ordered_at_ms=event.at_ms,
        sequence=order.sequence + 1,
    )


def _received(order: p.Purchase, event: p.GoodsReceived) -> p.Purchase:
    came = dict(event.lines)
    lines = tuple(
        replace(line, received=line.received + came.get(line.item_id, 0)) for line in order.lines
    )
    is_whole = not any(line.outstanding for line in lines)
    status = p.PurchaseStatus.RECEIVED if is_whole else p.PurchaseStatus.PARTLY_RECEIVED
    return replace(order, lines=lines, status=status, sequence=order.sequence + 1)


def _cancelled(order: p.Purchase, _: p.RestCancelled) -> p.Purchase:
    lines = tuple(replace(line, cancelled=line.outstanding) for line in order.lines)
    has_some = any(line.received for line in lines)
    status = p.PurchaseStatus.RECEIVED if has_some else p.PurchaseStatus.CANCELLED
    return replace(order, lines=lines, status=status, sequence=order.sequence + 1)


EVENTS: dict[type, Callable[[Any, Any], Any]] = {
    p.Drafted: _drafted,
    p.Placed: _placed,
    p.GoodsReceived: _received,
    p.RestCancelled: _cancelled,
}


def _outstanding(order: p.Purchase) -> list[stock.Line]:
    """Every line with what is still to come of it, which may be nothing."""
    return [stock.Line(line.item_id, line.outstanding) for line in order.lines]


def _move(
    slot: Slot, kind: str, purchase_id: UUID, *, on_hand: int = 0, incoming: int = 0
) -> Events:
    """What one line does to its level: nothing, if it moves nothing."""
    if not on_hand and not incoming:
        return []
    movement = stock.Movement(
        kind,
        on_hand,
        0,
        incoming,
        slot.item.backorder_limit,
        reference=str(purchase_id),
    )
    before: Events = [stocked(slot.key)] if slot.stock is None else []
    return [*before, (slot.key, movement)]


def _decided(key: Key, order: p.Purchase | None, events: Events) -> Decision:
    after = order
    for event_key, event in events:
        if event_key == key:
            after = EVENTS[type(event)](after, event)
    if after is None:
        raise TypeError("an order is what its first event makes it")
    moved: Iterable[Key] = (one for one, event in events if type(event) is stock.Movement)
    return Decision(_reply(key, after), events, (key, *moved))


def _reply(key: Key, order: p.Purchase) -> p.PurchaseReply:
    return p.PurchaseReply(
        key.id,
        order.terms,
        order.lines,
        order.status,
        order.created_by,
        order.created_at_ms,
        order.ordered_at_ms,
    )
