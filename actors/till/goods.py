"""How sales and returns move stock: by the rules of stock itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from actors.composite import Rule
from actors.messages import Refused
from actors.rules import At, Events, about, refuse
from actors.runtime.family import Context, Decision, Key, View
from actors.stock import model as stock
from actors.stock.levels import (
    joined,
    line_keys,
    max_on_hand,
    moves,
    otherwise,
    parent,
    shortages,
    slots,
    unfit,
)
from actors.stock.reservations import close, held_goods, hold_keys, reservation_key
from actors.till import messages as t
from actors.till import model as m

Lines = tuple[stock.Line, ...]


def needs(lines: Iterable[m.SaleLine]) -> Lines:
    """What leaves the shelf for lines: a bundle's parts, each item once."""
    return joined(
        stock.Line(part.item_id, part.quantity * line.quantity)
        for line in lines
        for part in line.parts
    )


def shelved(lines: Iterable[m.ReturnedLine]) -> Lines:
    """What goes back on the shelf of what came back."""
    return joined(
        stock.Line(part.item_id, part.quantity * line.quantity)
        for line in lines
        if line.restock
        for part in line.parts
    )


def sold_measures(lines: Iterable[m.ReturnedLine]) -> stock.Measures:
    """How that is measured, as it was when it was sold; without the parts of bundles, which their
    owner knows."""
    return tuple(
        stock.Measure(part.item_id, line.sold.decimals)
        for line in lines
        if line.sold.decimals
        for part in line.parts
    )


def keys(
    view: View, context: Context, location_id: UUID, lines: Lines, reservation_id: UUID | None
) -> Iterator[Key]:
    """What `take` and `give_back` look at."""
    yield from line_keys(context, location_id, lines)
    if reservation_id is not None:
        yield from hold_keys(context, view, reservation_id)


def take(
    view: View, context: Context, sale: t.Sell, lines: Lines, reference: str
) -> Events | Refused:
    """The events by which sold goods leave: first those of the hold, which must all be among them,
    the rest from what is available. Refused: measure_changed, insufficient_stock,
    reservation_not_found, wrong_location, reservation_differs."""
    location_id, reservation_id = sale.location_id, sale.reservation_id
    wanted = slots(view, context, location_id, lines, sale.measures)
    if reservation_id is None:
        chosen = wanted
        if refused := unfit(chosen):
            return refused
        if short := shortages(chosen):
            return Refused("insufficient_stock", tuple(short))
        return moves(chosen, "sold", -1, reference=reference)
    named: dict[str, int | str] = {"reservationId": str(reservation_id)}
    held: stock.Reservation | None = view.get(reservation_key(context, reservation_id))
    if held is None:
        return Refused("reservation_not_found", facts=named)
    if refused := otherwise(wanted):
        return refused
    if (held.location_id or context.tenant_id) != location_id:
        return Refused("wrong_location", facts=named)
    left = dict(lines)
    for product_id, quantity in held.lines:
        left[product_id] = left.get(product_id, 0) - quantity
    if any(quantity < 0 for quantity in left.values()):
        return Refused("reservation_differs", facts=named)
    closing = close(view, context, reservation_id, "sold")
    if closing.refusal is not None:
        return _refused(closing.refusal)
    rest = tuple(
        stock.Line(product_id, quantity) for product_id, quantity in left.items() if quantity
    )
    # What an open hold has promised is not available; what an expired one held is again.
    late = held.status is stock.Status.EXPIRED
    chosen = slots(view, context, location_id, lines if late else rest)
    if refused := parent(chosen):
        return refused
    if short := shortages(chosen):
        return Refused("insufficient_stock", tuple(short))
    more = moves(slots(view, context, location_id, rest), "sold", -1, reference=reference)
    return [*closing.events, *more]


def give_back(
    view: View,
    context: Context,
    location_id: UUID,
    lines: Lines,
    reference: str,
    measures: stock.Measures,
    *,
    was_sold: bool,
) -> Events | Refused:
    """The events by which goods are on the shelf again. Those of a product that has variants by now
    must come back as one of them, which the caller names. What `was_sold` is measured as it was
    then; of other goods the sender may be wrong. Refused: stock_limit."""
    chosen = slots(view, context, location_id, lines, measures)
    if refused := parent(chosen) if was_sold else unfit(chosen):
        return refused
    for slot in chosen:
        limit = max_on_hand(slot.item, slot.decimals)
        if (slot.stock.on_hand if slot.stock else 0) + slot.quantity > limit:
            return Refused("stock_limit", facts={"productId": str(slot.key.id)})
    return moves(chosen, "returned", 1, reference=reference)


def record_gone(
    view: View, context: Context, sale: t.Sell, lines: Lines, reference: str, at_ms: int
) -> Events | Refused:
    """The events by which goods have left at a moment in the past. No stock is asked for: they
    are gone, whatever the level says, and only what was counted since knows that already."""
    chosen = slots(view, context, sale.location_id, lines, sale.measures)
    if refused := unfit(chosen):
        return refused
    return moves(chosen, "sold", -1, reference=reference, occurred_at_ms=at_ms, may_oversell=True)


def _abandon(held: stock.Reservation, command: t.Abandon, at: At) -> Events | Decision:
    """Ends a hold permanently, an expired one too: nothing can confirm it any more. Refused:
    not_open."""
    if held.status is stock.Status.CONFIRMED:
        return refuse("not_open")
    events: Events = []
    if held.status is not stock.Status.RELEASED:
        events.append((at.key, stock.Closed(stock.Status.RELEASED)))
    if held.status is stock.Status.OPEN:
        chosen = slots(at.view, at.context, held.location_id, held.lines)
        events += moves(
            chosen,
            "released",
            reserved_sign=-1,
            reference=held.reference,
            reservation_id=at.key.id,
        )
    return events


COMMANDS: dict[type, Rule] = {
    t.Abandon: about(
        stock.RESERVATION,
        key="reservation_id",
        then=held_goods,
        decide=_abandon,
        reply=lambda held, command, at: t.Abandoned(at.key.id),
    )
}


def _refused(refusal: Decision) -> Refused:
    if not isinstance(refusal.reply, Refused):
        raise TypeError("a refusal says why")
    return refusal.reply
