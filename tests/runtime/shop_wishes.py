"""What the clients of one shop wish for, as `linear_shop` understands it and as it is sent; and
what an answer tells."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from actors.messages import Command, Refused
from actors.purchasing import model as p
from actors.stock import model as m
from actors.stock import transfers as tr
from actors.till import messages as t
from actors.till import model as till
from tests.runtime.linear_shop import (
    BACKORDER,
    CARD_MINOR,
    FLOAT_MINOR,
    HERE,
    PRICE_MINOR,
    THERE,
    Level,
    Order,
    Told,
)

Asked = tuple[Any, ...]
Wish = tuple[Asked, Command]

# By which a refusal says how much there would have been.
_FACTS = ("balanceMinor", "expectedMinor", "left", "outstanding")


@dataclass
class Wishes:
    """One shop's. `make_id` gives what everything new is called."""

    rng: random.Random
    tenant_id: UUID
    make_id: Callable[[], UUID]
    ttl_ms: int = 600_000

    def __post_init__(self) -> None:
        self.goods = (self.make_id(), self.make_id())
        self.register, self.card, self.elsewhere = (self.make_id() for _ in range(3))
        self.holds: list[tuple[UUID, int, int]] = []
        self.orders: list[UUID] = []
        self.transfers: list[UUID] = []
        self.sales: list[UUID] = []

    def opening(self) -> Iterator[Command]:
        """What makes of nothing the shop that `linear_shop` starts with."""
        for good, backorder in zip(self.goods, BACKORDER, strict=True):
            yield m.SetItemTerms(good, backorder_limit=backorder)
        here, terms = self.tenant_id, ("Till", 20)
        yield t.PutRegister(self.register, here, *terms, create=True)
        yield t.OpenShift(self.register, self.make_id(), FLOAT_MINOR, "EUR")
        line = _line(self.card, CARD_MINOR, 1, self.card)
        cash, new = (t.Tender(till.Method.CASH, CARD_MINOR),), (t.NewCard(self.card, "WXYZ"),)
        yield t.Sell(self.make_id(), self.register, here, "EUR", (line,), cash, new_cards=new)

    def some(self) -> list[Wish]:
        """One wish, or two that are sent together."""
        kinds = (self._stock, self._held, self._bought, self._shipped, self._sold, self._drawer)
        return self.rng.choices(kinds, (5, 3, 4, 3, 4, 2))[0]()

    def _quantity(self) -> tuple[int, int]:
        return self.rng.randrange(2), self.rng.randint(1, 3)

    def _stock(self) -> list[Wish]:
        good, quantity = self._quantity()
        place = self.rng.choice((HERE, HERE, THERE))
        where = self.tenant_id if place == HERE else self.elsewhere
        if self.rng.random() < 0.5:
            return [(("read", good, place), m.GetLevels((self.goods[good],), where))]
        add = m.AddStock(self.goods[good], quantity, location_id=where)
        return [(("add", good, place, quantity), add)]

    def _held(self) -> list[Wish]:
        if self.holds and self.rng.random() < 0.6:
            hold, good, quantity = self.rng.choice(self.holds)
            if self.rng.random() < 0.3:
                return [self._sell(good, quantity, hold)]
            if self.rng.random() < 0.5:
                return [(("confirm", hold), m.Confirm(hold))]
            return [(("release", hold), m.Release(hold))]
        good, quantity = self._quantity()
        hold = self.make_id()
        self.holds.append((hold, good, quantity))
        lines = (m.Line(self.goods[good], quantity),)
        reserve = ("reserve", hold, good, quantity), m.Reserve(hold, lines, self.ttl_ms)
        if self.rng.random() < 0.3:
            return [reserve, (("confirm", hold), m.Confirm(hold))]
        return [reserve]

    def _bought(self) -> list[Wish]:
        good, quantity = self._quantity()
        is_new = not self.orders or self.rng.random() < 0.3
        if is_new:
            self.orders.append(self.make_id())
        order = self.rng.choice(self.orders[-3:])
        is_new = is_new and order == self.orders[-1]
        roll = self.rng.random()
        if is_new or roll < 0.3:
            terms = p.Terms(self.register, self.tenant_id, "EUR")
            lines = (p.WantedLine(self.goods[good], quantity, 50),)
            put = ("put", order, good, quantity, is_new)
            wishes: list[Wish] = [(put, p.PutPurchase(order, terms, lines, is_new))]
            if self.rng.random() < 0.7:
                wishes.append((("place", order), p.PlacePurchase(order)))
            return wishes
        if roll < 0.4:
            return [(("place", order), p.PlacePurchase(order))]
        if roll < 0.5:
            return [(("cancel", order), p.CancelPurchase(order))]
        came = (p.Delivered(self.goods[good], quantity),)
        return [(("receive", order, good, quantity), p.ReceivePurchase(order, came))]

    def _shipped(self) -> list[Wish]:
        if self.transfers and self.rng.random() < 0.6:
            transfer = self.rng.choice(self.transfers[-4:])
            if self.rng.random() < 0.6:
                return [(("arrive", transfer), tr.ReceiveTransfer(transfer))]
            return [(("turn back", transfer), tr.CancelTransfer(transfer))]
        good, quantity = self._quantity()
        transfer = self.make_id()
        self.transfers.append(transfer)
        lines = (m.Line(self.goods[good], quantity),)
        start = tr.StartTransfer(transfer, lines, self.tenant_id, self.elsewhere, True)
        ship = ("ship", transfer, good, quantity), start
        if self.rng.random() < 0.3:
            return [ship, (("arrive", transfer), tr.ReceiveTransfer(transfer))]
        return [ship]

    def _sold(self) -> list[Wish]:
        if self.sales and self.rng.random() < 0.4:
            return [self._bring_back(self.rng.choice(self.sales[-6:]))]
        sold = self._sell(*self._quantity())
        if self.rng.random() < 0.3:
            return [sold, self._bring_back(sold[0][1])]
        return [sold]

    def _sell(self, good: int, quantity: int, hold: UUID | None = None) -> Wish:
        sale, due = self.make_id(), quantity * PRICE_MINOR
        self.sales.append(sale)
        by_card = hold is None and self.rng.random() < 0.5
        tender = t.Tender(till.Method.CASH, due + 20)
        if by_card:
            tender = t.Tender(till.Method.GIFT_CARD, due, card_id=self.card)
        command = t.Sell(
            sale,
            self.register,
            self.tenant_id,
            "EUR",
            (_line(self.goods[good], PRICE_MINOR, quantity),),
            (tender,),
            reservation_id=hold,
        )
        if hold is None:
            return ("sell", sale, good, quantity, by_card), command
        return ("sell held", sale, hold, good, quantity), command

    def _bring_back(self, sale: UUID) -> Wish:
        quantity = self.rng.randint(1, 2)
        back = t.Return(self.make_id(), sale, self.register, (t.ReturnLine(0, quantity),))
        return ("bring back", sale, quantity), back

    def _drawer(self) -> list[Wish]:
        roll, amount = self.rng.random(), self.rng.randint(1, 600)
        if roll < 0.25:
            return [(("drawer",), t.GetRegister(self.register))]
        if roll < 0.5:
            return [(("card",), t.GetCard(self.card))]
        if roll < 0.9:
            kind = self.rng.choice((till.CashMove.PAID_IN, till.CashMove.PAID_OUT))
            signed = amount if kind is till.CashMove.PAID_IN else -amount
            return [(("pay", signed), t.MoveCash(self.register, kind, amount))]
        close = ("close",), t.CloseShift(self.register, 0, by_manager=True)
        opened = t.OpenShift(self.register, self.make_id(), FLOAT_MINOR, "EUR")
        return [close, (("open",), opened)]

    def told(self, reply: Any) -> Told:
        """What `linear_shop` would have told."""
        match reply:
            case Refused():
                facts = [reply.facts[name] for name in _FACTS if name in reply.facts]
                return (reply.code, *(shortage.available for shortage in reply.shortages), *facts)
            case m.Levels() | m.Hold():
                return _level(reply.levels[0])
            case tr.TransferReply():
                return tuple(map(_level, reply.levels))
            case p.PurchaseReply():
                (line,) = reply.lines
                good = self.goods.index(line.item_id)
                status = reply.status.value
                return Order(status, good, line.quantity, line.received, line.cancelled)
            case t.SaleMade():
                return "receipt", reply.sold.sale.receipt_number
            case t.ReturnDone():
                return "receipt", reply.record.receipt_number
            case t.RegisterState():
                shift = reply.register.shift
                return "drawer", None if shift is None else shift.expected_minor
            case t.ShiftResult():
                return "drawer", reply.shift.expected_minor
            case t.CardState():
                return "card", reply.card.balance_minor
        raise TypeError(reply)


READS = (m.GetLevels, t.GetRegister, t.GetCard)


def _level(level: m.Level) -> Level:
    return Level(level.on_hand, level.reserved, level.incoming)


def _line(
    item: UUID, price_minor: int, quantity: int, card_id: UUID | None = None
) -> till.SaleLine:
    parts = () if card_id else (till.Part(item, 1),)
    total = price_minor * quantity
    return till.SaleLine(
        item, item, "Tea", "T", quantity, price_minor, 0, 0, 0, total, parts, card_id
    )
