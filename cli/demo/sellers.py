"""Who sells for the shop: a register with its cashier, and the shop's page in the web."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from cli.api.client import ApiError
from cli.demo.books import Books, TillBook
from cli.demo.day import DrawerMove, PlannedReturn
from cli.demo.documents import Report, Sale, Units, major, report_of, return_of, sale_of
from cli.demo.meter import Meter
from cli.demo.sending import Manner, Refused, Sender, checked, code_of
from cli.demo.tenders import Bill, Tender, denominations, gift_card_for, in_notes, payments_for

# Longer than any outage that the run outlives, so that no hold expires meanwhile.
HOLD_SECONDS = 3600
_ASK_AGAIN_SECONDS = 0.5


class Till:
    """A register whose shift is open, and the cashier's session that many customers share."""

    def __init__(self, sender: Sender, books: Books, register_id: str) -> None:
        self.sender = sender
        self.register_id = register_id
        self._books = books
        self._path = f"/api/pos/registers/{register_id}"

    @property
    def book(self) -> TillBook:
        return self._books.tills[self.register_id]

    async def sell(
        self, reference: str, bill: Bill, tender: Tender, meter: Meter, manner: Manner
    ) -> Sale | Refused:
        """Sells what is on the bill and takes the money. Whose card comes to nothing pays cash,
        in a sale of its own."""
        code = None
        if tender is Tender.GIFT_CARD:
            code = await self._sell_gift_card(reference, gift_card_for(bill.total_minor))
        if tender.tokens and manner is Manner.TWICE:
            # One of two answers may be that the outcome is not known yet.
            manner = Manner.PLAIN
        began = time.monotonic()
        payments = payments_for(tender, bill.total_minor, code)
        sold = await self._sell(reference, bill, payments, meter, manner)
        if sold is None:
            meter.declined += 1
            payments = payments_for(Tender.CASH, bill.total_minor)
            sold = await self._sell(f"{reference}-cash", bill, payments, meter, manner)
        if sold is None:
            raise RuntimeError("cash is never declined")
        if isinstance(sold, Sale):
            self._books.faults += (f"receipt of {reference} {fault}" for fault in bill.faults(sold))
            self._books.sold(sold, code)
            meter.sold(sum(bill.units.values()))
            if not tender.is_slow:
                meter.timed(began)
        return sold

    async def _sell(
        self, step: str, bill: Bill, payments: list[Any], meter: Meter, manner: Manner
    ) -> Sale | Refused | None:
        """None: the card came to nothing."""
        body = {"registerId": self.register_id, "lines": bill.basket(), "payments": payments}
        reply = await self.sender.send("/api/pos/sales", body, step, meter, manner)
        if reply.status == 202:
            meter.settled_later += 1
            return await self._settled(reply.body["data"]["id"])
        if refused := Refused.of(reply):
            meter.refused += 1
            return refused
        if code_of(reply) in ("card_declined", "sale_not_completed"):
            self._books.card_payment(reply.body["cardPaymentId"], None)
            return None
        return sale_of(checked(reply))

    async def _settled(self, payment_id: str) -> Sale | None:
        """The sale that a card payment of unknown outcome came to, if to any. The wait for it is
        bounded by the run."""
        path = f"/api/pos/card-payments/{payment_id}"
        while True:
            found = (await self.sender.client.get(path))["data"]
            if found["status"] != "pending":
                break
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        if found["status"] != "completed":
            self._books.card_payment(payment_id, None)
            return None
        body = await self.sender.client.get(f"/api/pos/sales/{found['saleId']}")
        return sale_of(body["data"])

    async def _sell_gift_card(self, reference: str, amount_minor: int) -> str:
        """Sells a gift card for cash and returns its code."""
        cash = {"method": "cash", "amount": major(in_notes(amount_minor))}
        body = {"registerId": self.register_id, "amount": major(amount_minor), "payments": [cash]}
        made = await self.sender.post("/api/pos/gift-cards", body, f"{reference}-gift-card")
        code: str = made["giftCard"]["code"]
        self._books.issued(sale_of(made["sale"]), code)
        return code

    async def take_back(
        self,
        back: PlannedReturn,
        sale: Sale,
        units: Mapping[str, Units],
        meter: Meter,
        manner: Manner,
    ) -> None:
        """Goods of a sale, units by product id, go back on the shelf, and the money to the
        tenders that it came from."""
        lines = [
            {"number": number, "quantity": units[line.product_id]}
            for number, line in enumerate(sale.lines, 1)
            if line.product_id in units
        ]
        body = {"registerId": self.register_id, "lines": lines, "reason": "cancelled"}
        path = f"/api/pos/sales/{sale.id}/returns"
        reply = await self.sender.send(path, body, back.reference, meter, manner)
        self._books.returned(return_of(checked(reply)))
        meter.returns += 1

    async def move_cash(self, move: DrawerMove) -> None:
        """Puts cash in, takes it out, or opens the drawer for nothing."""
        if move.kind == "no_sale":
            await self.sender.post(f"{self._path}/no-sale", {"reason": "change"}, move.reference)
        else:
            body = {"kind": move.kind, "amount": major(move.amount_minor), "reason": "change"}
            await self.sender.post(f"{self._path}/cash-movements", body, move.reference)
        self.book.moved(move.kind, move.amount_minor)

    async def open(self, float_minor: int) -> None:
        step = f"open-{self.register_id}"
        body = {"openingFloat": major(float_minor)}
        report = report_of(await self.sender.post(f"{self._path}/shifts", body, step))
        self.book.float_minor, self.book.shift_id = float_minor, report.shift_id

    async def close(self) -> Report:
        """Counts what the books say must be in the drawer, and closes the shift."""
        counted = self.book.cash_minor
        body = {"counted": major(counted), "denominations": denominations(counted) or None}
        step = f"close-{self.register_id}"
        report = report_of(await self.sender.post(f"{self._path}/shifts/close", body, step))
        self._books.reports[self.register_id] = report
        return report


class Page:
    """The shop in the web: what is bought there is held first, then confirmed."""

    def __init__(self, sender: Sender, books: Books) -> None:
        self.sender = sender
        self._books = books

    async def sell(
        self, units: Mapping[str, Units], reference: str, meter: Meter, manner: Manner
    ) -> Refused | None:
        """Reserves all of `units`, by product id, and confirms. None if it was sold."""
        body = {
            "lines": [
                {"productId": product_id, "quantity": count} for product_id, count in units.items()
            ],
            "reference": reference,
            "ttlSeconds": HOLD_SECONDS,
        }
        began = time.monotonic()
        path = "/api/inventory/reserve"
        reply = await self.sender.send(path, body, f"{reference}-reserve", meter, manner)
        if refused := Refused.of(reply):
            meter.refused += 1
            return refused
        held = checked(reply)
        if {line["productId"]: line["quantity"] for line in held["lines"]} != units:
            self._books.faults.append(f"{reference} asked for {units}, got {held['lines']}")
        path = f"/api/inventory/reservations/{held['id']}/confirm"
        reply = await self.sender.send(path, None, f"{reference}-confirm", meter, manner)
        if not reply.ok:
            raise ApiError(reply)
        meter.timed(began)
        meter.sold(sum(units.values()))
        self._books.confirmed(held["id"], units)
        return None
