"""The rules of purchase orders: decide and evolve. Pure; time comes in with the context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from actors.composite import Rule
from actors.purchasing import model as p
from actors.rules import At, Events, about, quantity_fact, refuse, unchanged
from actors.runtime.family import Context, Decision, Key
from actors.stock import model as stock
from actors.stock.levels import Slot, begun, line_keys, max_on_hand, slots, unfit


def _put(order: p.Purchase | None, command: p.PutPurchase, at: At) -> Events | Decision:
    """Refused: not_found, purchase_not_draft, purchase_changed where what is kept has costs in
    another currency by now."""
    if order is None:
        if not command.is_new:
            return refuse("not_found")
        by, at_ms = at.context.principal, at.context.now_ms
        drafted = p.Drafted(command.terms, command.lines, by, at_ms, command.measures)
        return [(at.key, drafted)]
    if order.status is not p.PurchaseStatus.DRAFT:
        return refuse("purchase_not_draft")
    terms, lines, measures = command.terms, command.lines, command.measures
    if command.keep:
        kept = {name: getattr(order.terms, name) for name in command.keep if name != "lines"}
        terms = replace(terms, **kept)
        if "lines" in command.keep:
            lines, measures = _wanted(order), order.measures
        mixes = ("lines" in command.keep) != ("currency" in command.keep)
        if mixes and order.terms.currency != command.terms.currency:
            return refuse("purchase_changed")
    drafted = p.Drafted(terms, lines, order.created_by, order.created_at_ms, measures)
    return [(at.key, drafted)]


def _wanted(order: p.Purchase) -> tuple[p.WantedLine, ...]:
    return tuple(p.WantedLine(line.item_id, line.quantity, line.cost_minor) for line in order.lines)


def _place(order: p.Purchase, command: p.PlacePurchase, at: At) -> Events | Decision:
    """Refused: purchase_not_draft, choose_variant, measure_changed."""
    if order.status is not p.PurchaseStatus.DRAFT:
        return refuse("purchase_not_draft")
    place, lines = order.terms.location_id, _outstanding(order)
    chosen = slots(at.view, at.context, place, lines, order.measures)
    if refused := unfit(chosen):
        return Decision(refused, refused=True)
    events: Events = [(at.key, p.Placed(at.context.now_ms))]
    for slot in chosen:
        events += _move(slot, "ordered", at.key.id, incoming=slot.quantity)
    return events


def _receive(order: p.Purchase, command: p.ReceivePurchase, at: At) -> Events | Decision:
    """Refused: purchase_not_open, not_in_purchase, more_than_ordered, choose_variant,
    measure_changed, stock_limit."""
    if order.status not in p.OPEN:
        return refuse("purchase_not_open")
    outstanding = {line.item_id: line.outstanding for line in order.lines}
    wanted = {delivered.item_id: delivered.quantity for delivered in command.lines}
    for item_id, quantity in wanted.items():
        if item_id not in outstanding:
            return refuse("not_in_purchase", productId=str(item_id))
        if quantity > outstanding[item_id] and not command.allow_excess:
            meant = dict(order.measures).get(item_id, 0)
            left = quantity_fact("outstanding", outstanding[item_id], meant)
            return refuse("more_than_ordered", productId=str(item_id), **left)
    lines = [stock.Line(item_id, quantity) for item_id, quantity in wanted.items()]
    chosen = slots(at.view, at.context, order.terms.location_id, lines, command.measures)
    if refused := unfit(chosen):
        return Decision(refused, refused=True)
    events: Events = [(at.key, p.GoodsReceived(command.lines))]
    for slot in chosen:
        if (slot.stock.on_hand if slot.stock else 0) + slot.quantity > max_on_hand(slot.item):
            return refuse("stock_limit", productId=str(slot.key.id))
        arrived = min(slot.quantity, outstanding[slot.key.id])
        events += _move(slot, "received", at.key.id, on_hand=slot.quantity, incoming=-arrived)
    return events


def _cancel(order: p.Purchase, command: p.CancelPurchase, at: At) -> Events | Decision:
    """Refused: purchase_not_open."""
    if order.status is not p.PurchaseStatus.DRAFT and order.status not in p.OPEN:
        return refuse("purchase_not_open")
    events: Events = [(at.key, p.RestCancelled())]
    if order.status in p.OPEN:
        for slot in slots(at.view, at.context, order.terms.location_id, _outstanding(order)):
            events += _move(slot, "order_cancelled", at.key.id, incoming=-slot.quantity)
    return events


def _drafted(order: p.Purchase | None, event: p.Drafted) -> p.Purchase:
    meant = dict(event.measures)
    return p.Purchase(
        event.terms,
        tuple(p.PurchaseLine(*line, decimals=meant.get(line.item_id, 0)) for line in event.lines),
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
    before = begun(slot.key, slot.item, slot.decimals) if slot.stock is None else []
    return [*before, (slot.key, movement)]


def _reply(order: p.Purchase, command: Any, at: At) -> p.PurchaseReply:
    return p.PurchaseReply(
        at.key.id,
        order.terms,
        order.lines,
        order.status,
        order.created_by,
        order.created_at_ms,
        order.ordered_at_ms,
    )


def _goods(order: p.Purchase, context: Context) -> Iterator[Key]:
    """The levels of its goods."""
    return line_keys(context, order.terms.location_id, _outstanding(order))


def _rule(decide: Callable[[Any, Any, At], Events | Decision], **more: Any) -> Rule:
    return about(
        p.PURCHASE, key="purchase_id", decide=decide, reply=_reply, moves=stock.STOCK, **more
    )


COMMANDS: dict[type, Rule] = {
    p.PutPurchase: _rule(_put, may_be_new=True),
    p.PlacePurchase: _rule(_place, then=_goods),
    p.ReceivePurchase: _rule(_receive, then=_goods),
    p.CancelPurchase: _rule(_cancel, then=_goods),
    p.GetPurchase: _rule(unchanged),
}
