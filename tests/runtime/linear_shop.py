"""What a sequential owner of a whole shop does: two goods in two places, holds, purchase orders,
transfers, a till with its drawer and its receipts, and a gift card. For `linear.is_linearizable`.

All of a tenant's aggregates have one owner, so a history of all of them together must be one that
a single owner could have given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

PRICE_MINOR, FLOAT_MINOR, CARD_MINOR = 100, 500, 3_000
# Of the two goods: how many may be promised beyond what is there.
BACKORDER = (0, 2)
HERE, THERE = 0, 1

Told = tuple[Any, ...]


class Level(NamedTuple):
    on_hand: int = 0
    reserved: int = 0
    incoming: int = 0


class Order(NamedTuple):
    """Of one line."""

    status: str
    good: int
    quantity: int
    received: int = 0
    cancelled: int = 0

    @property
    def outstanding(self) -> int:
        return max(self.quantity - self.received - self.cancelled, 0)


class Sale(NamedTuple):
    good: int
    quantity: int
    by_card: bool
    returned: int = 0


class Shop(NamedTuple):
    """`things` are holds (good, quantity, status), orders, transfers (good, quantity, status) and
    sales by id. `drawer` is the cash that should be in it; None while no shift is open."""

    levels: tuple[Level, ...] = (Level(),) * 4
    things: frozenset[tuple[Any, Any]] = frozenset()
    drawer: int | None = FLOAT_MINOR + CARD_MINOR
    card: int = CARD_MINOR
    receipts: int = 1

    def level(self, good: int, place: int) -> Level:
        return self.levels[2 * good + place]

    def available(self, good: int) -> int:
        """Of a good here, backorder included."""
        level = self.level(good, HERE)
        return level.on_hand - level.reserved + BACKORDER[good]

    def moved(
        self, good: int, place: int, on_hand: int = 0, reserved: int = 0, incoming: int = 0
    ) -> Shop:
        levels = list(self.levels)
        was = self.level(good, place)
        levels[2 * good + place] = Level(
            was.on_hand + on_hand, was.reserved + reserved, was.incoming + incoming
        )
        return self._replace(levels=tuple(levels))

    def find(self, name: Any) -> Any:
        return next((thing for key, thing in self.things if key == name), None)

    def put(self, name: Any, thing: Any) -> Shop:
        rest = frozenset(entry for entry in self.things if entry[0] != name)
        return self._replace(things=rest | {(name, thing)})


Stepped = tuple[Shop, Told]


def _add(shop: Shop, good: int, place: int, quantity: int) -> Stepped:
    shop = shop.moved(good, place, quantity)
    return shop, shop.level(good, place)


def _read(shop: Shop, good: int, place: int) -> Stepped:
    return shop, shop.level(good, place)


def _reserve(shop: Shop, hold: Any, good: int, quantity: int) -> Stepped:
    if quantity > shop.available(good):
        return shop, ("insufficient_stock", max(shop.available(good), 0))
    shop = shop.moved(good, HERE, 0, quantity).put(hold, (good, quantity, "open"))
    return shop, shop.level(good, HERE)


def _end_hold(shop: Shop, hold: Any, status: str) -> Stepped:
    held = shop.find(hold)
    if held is None:
        return shop, ("not_found",)
    good, quantity, now = held
    if now not in ("open", status):
        return shop, ("not_open",)
    if now == "open":
        gone = quantity if status == "confirmed" else 0
        shop = shop.moved(good, HERE, -gone, -quantity).put(hold, (good, quantity, status))
    return shop, shop.level(good, HERE)


def _put(shop: Shop, order: Any, good: int, quantity: int, is_new: bool) -> Stepped:
    known: Order | None = shop.find(order)
    if known is None and not is_new:
        return shop, ("not_found",)
    if known is not None and known.status != "draft":
        return shop, ("purchase_not_draft",)
    fresh = Order("draft", good, quantity)
    return shop.put(order, fresh), fresh


def _place(shop: Shop, order: Any) -> Stepped:
    known: Order | None = shop.find(order)
    if known is None:
        return shop, ("not_found",)
    if known.status != "draft":
        return shop, ("purchase_not_draft",)
    placed = known._replace(status="ordered")
    return shop.put(order, placed).moved(known.good, HERE, 0, 0, known.quantity), placed


def _receive(shop: Shop, order: Any, good: int, quantity: int) -> Stepped:
    known: Order | None = shop.find(order)
    if known is None:
        return shop, ("not_found",)
    if known.status not in ("ordered", "partly_received"):
        return shop, ("purchase_not_open",)
    if good != known.good:
        return shop, ("not_in_purchase",)
    if quantity > known.outstanding:
        return shop, ("more_than_ordered", known.outstanding)
    came = known._replace(received=known.received + quantity)
    came = came._replace(status="partly_received" if came.outstanding else "received")
    return shop.put(order, came).moved(good, HERE, quantity, 0, -quantity), came


def _cancel(shop: Shop, order: Any) -> Stepped:
    known: Order | None = shop.find(order)
    if known is None:
        return shop, ("not_found",)
    if known.status not in ("draft", "ordered", "partly_received"):
        return shop, ("purchase_not_open",)
    ended = known._replace(
        status="received" if known.received else "cancelled", cancelled=known.outstanding
    )
    if known.status != "draft":
        shop = shop.moved(known.good, HERE, 0, 0, -known.outstanding)
    return shop.put(order, ended), ended


def _ship(shop: Shop, transfer: Any, good: int, quantity: int) -> Stepped:
    if quantity > shop.available(good):
        return shop, ("insufficient_stock", max(shop.available(good), 0))
    shop = shop.moved(good, HERE, -quantity).moved(good, THERE, 0, 0, quantity)
    shop = shop.put(transfer, (good, quantity, "in_transit"))
    return shop, (shop.level(good, HERE), shop.level(good, THERE))


def _end_transfer(shop: Shop, transfer: Any, status: str) -> Stepped:
    known = shop.find(transfer)
    if known is None:
        return shop, ("not_found",)
    good, quantity, now = known
    if now not in ("in_transit", status):
        return shop, ("transfer_closed",)
    if now == "in_transit":
        came, back = (quantity, 0) if status == "received" else (0, quantity)
        shop = shop.moved(good, HERE, back).moved(good, THERE, came, 0, -quantity)
        shop = shop.put(transfer, (good, quantity, status))
    return shop, (shop.level(good, HERE), shop.level(good, THERE))


def _sell(shop: Shop, sale: Any, good: int, quantity: int, by_card: bool) -> Stepped:
    due = quantity * PRICE_MINOR
    if shop.drawer is None:
        return shop, ("shift_closed",)
    if by_card and due > shop.card:
        return shop, ("gift_card_short", shop.card)
    if quantity > shop.available(good):
        return shop, ("insufficient_stock", max(shop.available(good), 0))
    return _rung(shop.moved(good, HERE, -quantity), sale, Sale(good, quantity, by_card), due)


def _sell_held(shop: Shop, sale: Any, hold: Any, good: int, quantity: int) -> Stepped:
    held = shop.find(hold)
    if shop.drawer is None:
        return shop, ("shift_closed",)
    if held is None:
        return shop, ("reservation_not_found",)
    if held[2] != "open":
        return shop, ("not_open",)
    shop = shop.moved(good, HERE, -quantity, -quantity).put(hold, (good, quantity, "confirmed"))
    return _rung(shop, sale, Sale(good, quantity, False), quantity * PRICE_MINOR)


def _bring_back(shop: Shop, sale: Any, quantity: int) -> Stepped:
    if shop.drawer is None:
        return shop, ("shift_closed",)
    sold: Sale | None = shop.find(sale)
    if sold is None:
        return shop, ("not_found",)
    if sold.returned + quantity > sold.quantity:
        return shop, ("more_than_sold", sold.quantity - sold.returned)
    back = quantity * PRICE_MINOR
    if not sold.by_card and back > shop.drawer:
        return shop, ("drawer_short", shop.drawer)
    shop = shop.moved(sold.good, HERE, quantity)
    return _rung(shop, sale, sold._replace(returned=sold.returned + quantity), -back)


def _rung(shop: Shop, name: Any, sale: Sale, money: int) -> Stepped:
    """A receipt is given; so much was paid, or (below zero) paid back."""
    assert shop.drawer is not None
    receipts = shop.receipts + 1
    if sale.by_card:
        shop = shop._replace(card=shop.card - money, receipts=receipts)
    else:
        shop = shop._replace(drawer=shop.drawer + money, receipts=receipts)
    return shop.put(name, sale), ("receipt", receipts)


def _pay(shop: Shop, amount: int) -> Stepped:
    """Into the drawer, or out of it."""
    if shop.drawer is None:
        return shop, ("shift_closed",)
    if shop.drawer + amount < 0:
        return shop, ("drawer_short", shop.drawer)
    return shop._replace(drawer=shop.drawer + amount), ("drawer", shop.drawer + amount)


def _open(shop: Shop) -> Stepped:
    if shop.drawer is not None:
        return shop, ("shift_open",)
    return shop._replace(drawer=FLOAT_MINOR), ("drawer", FLOAT_MINOR)


def _close(shop: Shop) -> Stepped:
    if shop.drawer is None:
        return shop, ("shift_closed",)
    return shop._replace(drawer=None), ("drawer", shop.drawer)


STEPS: Mapping[str, Callable[..., Stepped]] = {
    "read": _read,
    "add": _add,
    "reserve": _reserve,
    "release": lambda shop, hold: _end_hold(shop, hold, "released"),
    "confirm": lambda shop, hold: _end_hold(shop, hold, "confirmed"),
    "put": _put,
    "place": _place,
    "receive": _receive,
    "cancel": _cancel,
    "ship": _ship,
    "arrive": lambda shop, transfer: _end_transfer(shop, transfer, "received"),
    "turn back": lambda shop, transfer: _end_transfer(shop, transfer, "cancelled"),
    "sell": _sell,
    "sell held": _sell_held,
    "bring back": _bring_back,
    "pay": _pay,
    "open": _open,
    "close": _close,
    "drawer": lambda shop: (shop, ("drawer", shop.drawer)),
    "card": lambda shop: (shop, ("card", shop.card)),
}


class WholeShop:
    """See `linear.Model`. Asked (a name of STEPS, what it takes); told what the step tells."""

    start = Shop()

    def step(self, state: Shop, asked: Any, told: Any) -> Shop | None:
        name, *rest = asked
        after, answer = STEPS[name](state, *rest)
        return after if told is None or tuple(told) == tuple(answer) else None
