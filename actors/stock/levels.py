"""What every command that moves goods is made of: keys, shortages, movements. Pure.

Commands of other modules use these too: a sale takes goods as a reservation's confirmation does.
`location_id` None is the business's main location. Lines hold each item at most once: `joined`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import starmap
from typing import NamedTuple
from uuid import UUID

from actors.messages import Refused, Shortage
from actors.rules import Events
from actors.runtime.family import Context, Key, View
from actors.stock import model as m

_NEW, _PLAIN = m.Stock(), m.Item()
# Of those that are used again and again, some 500 bytes each.
MAX_KEYS = 32_768


@lru_cache(maxsize=MAX_KEYS)
def _key(kind: str, shard: int, tenant: int, item: int, location: int | None) -> Key:
    """One object for all who name the same aggregate, by the numbers of its UUIDs: to make a key,
    to hash it, and to find that it is equal to another costs many times as much."""
    detail = None if location is None else UUID(int=location)
    return Key(kind, shard, UUID(int=tenant), UUID(int=item), detail)


def stock_key(context: Context, product_id: UUID, location_id: UUID | None = None) -> Key:
    """The level of an item at a location."""
    tenant = context.tenant_id.int
    location = None if location_id is None or location_id.int == tenant else location_id.int
    return _key(m.STOCK, context.shard, tenant, product_id.int, location)


def location_of(key: Key) -> UUID:
    """Of a stock key."""
    return key.tenant_id if key.detail is None else key.detail  # type: ignore[return-value]


def item_key(context: Context, product_id: UUID) -> Key:
    """What holds for an item at all locations."""
    return _key(m.ITEM, context.shard, context.tenant_id.int, product_id.int, None)


def everywhere(view: View, context: Context, product_id: UUID) -> list[Key]:
    """The levels of an item that is loaded; the main location's first, there or not."""
    item: m.Item = view.get(item_key(context, product_id)) or _PLAIN
    places = {context.tenant_id: None, **dict.fromkeys(item.location_ids)}
    return [stock_key(context, product_id, place) for place in places]


def line_keys(context: Context, location_id: UUID | None, lines: Iterable[m.Line]) -> Iterator[Key]:
    """What must be loaded before `slots` are looked up."""
    for product_id, _ in lines:
        yield stock_key(context, product_id, location_id)
        yield item_key(context, product_id)


def joined(lines: Iterable[m.Line]) -> tuple[m.Line, ...]:
    """The same goods, each item once: two lines of one order must not be judged one by one."""
    several = tuple(lines)
    if len(several) < 2:
        return several
    total: dict[UUID, int] = {}
    for product_id, quantity in several:
        total[product_id] = total.get(product_id, 0) + quantity
    return tuple(starmap(m.Line, total.items()))


class Slot(NamedTuple):
    """Where one line's goods are: the key of the level, what it and the item are now (None when
    there is no level yet), and how much is meant, in which steps."""

    key: Key
    stock: m.Stock | None
    item: m.Item
    quantity: int
    decimals: int = 0

    @property
    def available(self) -> int:
        """What may be taken, backorder included."""
        there = 0 if self.stock is None else self.stock.available
        return there + self.item.backorder_limit


def slots(
    view: View,
    context: Context,
    location_id: UUID | None,
    lines: Iterable[m.Line],
    measures: m.Measures = (),
) -> list[Slot]:
    """Looks the lines up, each once, in their order; `measures` as their sender says."""
    found = []
    for product_id, quantity in lines:
        key = stock_key(context, product_id, location_id)
        item = view.get(item_key(context, product_id)) or _PLAIN
        found.append(Slot(key, view.get(key), item, quantity))
    if measures:
        meant = dict(measures)
        found = [slot._replace(decimals=meant.get(slot.key.id, 0)) for slot in found]
    return found


def shortages(wanted: Iterable[Slot]) -> list[Shortage]:
    """The lines that cannot be taken from what is available, backorder included."""
    return [
        Shortage(
            slot.key.id, slot.quantity, max(slot.available, 0), slot.item.decimals or slot.decimals
        )
        for slot in wanted
        if slot.available < slot.quantity
    ]


def discontinued(wanted: Iterable[Slot]) -> bool:
    """Whether any of the items takes no new holds."""
    return any(slot.item.discontinued for slot in wanted)


def parent(wanted: Iterable[Slot]) -> Refused | None:
    """A refusal if any of the items has variants: then these are what is stocked and sold. Refused:
    choose_variant."""
    for slot in wanted:
        if slot.item.parent:
            return Refused("choose_variant", facts={"productId": str(slot.key.id)})
    return None


def unfit(wanted: Iterable[Slot]) -> Refused | None:
    """The same for lines whose sender says what their quantities mean: that must be what they
    are. Refused: choose_variant, measure_changed."""
    for slot in wanted:
        item = slot.item
        # Of pieces without variants there is nothing to find.
        is_plain = not (item.parent or slot.decimals or item.decimals)
        if not is_plain and (refused := misfit(slot.key.id, item, slot.decimals)):
            return refused
    return None


def otherwise(wanted: Iterable[Slot]) -> Refused | None:
    """A refusal if a quantity is meant otherwise than its item is measured. Refused:
    measure_changed."""
    for slot in wanted:
        if (slot.decimals or slot.item.decimals) and not slot.item.takes(slot.decimals):
            return measure_changed(slot.key.id, slot.item)
    return None


def misfit(product_id: UUID, item: m.Item, decimals: int) -> Refused | None:
    """The same for one item. Refused: choose_variant, measure_changed."""
    if item.parent:
        return Refused("choose_variant", facts={"productId": str(product_id)})
    return None if item.takes(decimals) else measure_changed(product_id, item)


def measure_changed(product_id: UUID, item: m.Item) -> Refused:
    """The sender took a product's quantities for something else. Refused: measure_changed."""
    facts: dict[str, int | str] = {
        "productId": str(product_id),
        "quantityDecimals": item.decimals or 0,
    }
    return Refused("measure_changed", facts=facts)


def moves(
    chosen: Iterable[Slot],
    kind: str,
    on_hand_sign: int = 0,
    reserved_sign: int = 0,
    incoming_sign: int = 0,
    *,
    reason: str | None = None,
    reference: str | None = None,
    reservation_id: UUID | None = None,
    occurred_at_ms: int | None = None,
    may_oversell: bool = False,
) -> Events:
    """The events by which goods move: each slot's quantity times the signs. `kind` is the ledger's
    word for it, `occurred_at_ms` when it happened, if that was earlier. Whether there is enough is
    asked of `shortages` before; `may_oversell` where nobody asks, because the goods are gone."""
    events: Events = []
    for key, stock, item, quantity, decimals in chosen:
        if stock is None:
            events += begun(key, item, decimals)
        movement = m.Movement(
            kind,
            on_hand_sign * quantity,
            reserved_sign * quantity,
            incoming_sign * quantity,
            item.backorder_limit,
            reason,
            reference,
            reservation_id,
            occurred_at_ms,
            may_oversell,
        )
        events.append((key, movement if occurred_at_ms is None else dated(stock, movement)))
    return events


def dated(stock: m.Stock | None, movement: m.Movement) -> m.Movement | m.Backdated:
    """A movement as it must happen: one from before a count that is already in does not change
    the level again. At the very moment of a count it is thought to be in it."""
    counted_at_ms = None if stock is None else stock.counted_at_ms
    occurred_at_ms = movement.occurred_at_ms
    if counted_at_ms is None or occurred_at_ms is None or occurred_at_ms > counted_at_ms:
        return movement
    return m.Backdated(movement, counted_at_ms)


def begun(key: Key, item: m.Item, decimals: int = 0) -> Events:
    """The events that go before an item's first movement at a location; `decimals` as the movement
    is meant, for an item of which nothing is known."""
    decimals = item.decimals or decimals
    place = _key(m.ITEM, key.shard, key.tenant_id.int, key.id.int, None)
    if not decimals:
        return [(place, m.Stocked(location_of(key)))]
    return [(place, m.Stocked(location_of(key), decimals)), (key, m.Measured(decimals))]


def max_on_hand(item: m.Item, decimals: int = 0) -> int:
    """In steps: those that the item has, or else those that are meant."""
    limit: int = m.MAX_ON_HAND * 10 ** (item.decimals or decimals)
    return limit


def unmoved(item: m.Item) -> m.Stock:
    """The level of an item where it has none."""
    if not item.decimals:
        return _NEW
    threshold = m.DEFAULT_LOW_STOCK_THRESHOLD * 10**item.decimals
    return m.Stock(low_stock_threshold=threshold, decimals=item.decimals)


def level(key: Key, stock: m.Stock | None, item: m.Item) -> m.Level:
    """A level as replies carry it."""
    stock = stock or unmoved(item)
    return m.Level(
        key.id,
        stock.on_hand,
        stock.reserved,
        stock.low_stock_threshold,
        item.discontinued,
        location_of(key),
        stock.incoming,
        item.backorder_limit,
        stock.sequence,
        stock.decimals,
    )
