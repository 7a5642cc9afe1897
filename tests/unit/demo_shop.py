"""A shop in memory that answers as the API does: stock, tills, gift cards, card payments.

`weak` is what it gets wrong, `trouble` is the share of requests and of answers that get lost.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from cli.api.client import Client
from cli.demo.books import TillBook
from cli.demo.sellers import Page, Till
from cli.demo.sending import Answers, Sender
from cli.demo.shop import FLOAT_MINOR, Shop
from tests.unit.demo_register import Body, Register, cents, pounds

OPENING = {"lamp": 40, "mug": 60}
PRICES = {"lamp": 1275, "mug": 349}
Answer = tuple[int, dict[str, Any]]


class ShopInMemory:
    def __init__(self, weak: str = "", trouble: float = 0.0) -> None:
        self.weak = weak
        self.trouble = trouble
        self.random = random.Random(7)
        self.known: dict[str, Answer] = {}
        self.holds: dict[str, dict[str, int]] = {}
        self.ledger: dict[str, list[Body]] = {}
        self.level = {product: Counter[str]() for product in OPENING}
        self.registers: dict[str, Register] = {}
        self.sales: dict[str, Body] = {}
        self.returns: dict[str, list[Body]] = {}
        self.cards: Counter[str] = Counter()
        self.payments: dict[str, Body] = {}
        for product, units in OPENING.items():
            self.move(product, "received", units, 0)

    def move(self, product: str, kind: str, units: int, held: int, **more: str) -> None:
        level = self.level[product]
        level["onHand"] += units
        level["reserved"] += held
        lines = self.ledger.setdefault(product, [])
        line = {
            "sequence": len(lines) + 1,
            "kind": kind,
            "onHandDelta": units,
            "reservedDelta": held,
            "onHandAfter": level["onHand"],
            "reservedAfter": level["reserved"],
            "reason": None,
            "reference": None,
            "reservationId": None,
        }
        lines.append(line | more)

    def serve(self, request: httpx2.Request) -> httpx2.Response:
        before, after = (self.random.random() < self.trouble for _ in range(2))
        if before:
            raise httpx2.ConnectError("refused")
        status, body = self.answer(request)
        if after:
            if self.random.random() < 0.5:
                raise httpx2.ReadError("reset")
            return httpx2.Response(503, json={"code": "unavailable"})
        return httpx2.Response(status, json=body)

    def answer(self, request: httpx2.Request) -> Answer:
        path = request.url.path.split("/")[2:]
        if request.method == "GET":
            return self.read(path, request.url.params)
        key = request.headers["Idempotency-Key"]
        if key not in self.known or self.weak == "doubles":
            body = json.loads(request.content or "{}")
            self.known[key] = self.write(path, body)
        return self.known[key]

    # --- reading -----------------------------------------------------------------------------

    def read(self, path: list[str], params: httpx2.QueryParams) -> Answer:
        match path:
            case ["inventory", "reservations"]:
                return 200, {"data": [], "pagination": {"total": len(self.holds)}}
            case ["inventory", product, "movements"]:
                return self.page(self.ledger[product][::-1], params)
            case ["inventory", product]:
                level = self.level[product]
                available = level["onHand"] - level["reserved"]
                held = level["reserved"]
                return 200, {"data": {**level, "quantity": available, "reserved": held}}
            case ["pos", "registers", name]:
                return 200, {"data": {"nextReceiptNumber": self.registers[name].number}}
            case ["pos", "shifts", shift, "report"]:
                return 200, {"data": self.registers[shift.removeprefix("shift of ")].report()}
            case ["pos", "sales"]:
                sales = self.sales.values()
                found = [sale for sale in sales if sale["registerId"] == params["registerId"]]
                return self.page(found, params)
            case ["pos", "sales", sale]:
                return 200, {"data": self.sales[sale]}
            case ["pos", "sales", sale, "returns"]:
                return self.page(self.returns.get(sale, []), params)
            case ["pos", "gift-cards", "balance"]:
                code = params["code"]
                return 200, {"data": {"balance": pounds(self.cards[code]), "lastFour": code}}
            case _:
                return 200, {"data": self.settle(path[-1])}

    def page(self, rows: list[Body], params: httpx2.QueryParams) -> Answer:
        begin, limit = int(params.get("cursor", 0)), int(params["limit"])
        pagination: Body = {"total": len(rows)}
        if begin + limit < len(rows):
            pagination["nextCursor"] = str(begin + limit)
        return 200, {"data": rows[begin : begin + limit], "pagination": pagination}

    def settle(self, payment_id: str) -> Body:
        payment = self.payments[payment_id]
        if payment["status"] == "pending":
            payment["asked"] += 1
            if payment["asked"] > 1:
                payment |= payment.pop("end")(payment_id)
        kept = "approved" if payment["status"] == "completed" else "refunded"
        if self.weak == "keeps" and len(payment["amounts"]) > 1:
            kept = "approved"
        cards = [{"amount": amount, "status": kept} for amount in payment["amounts"]]
        return {"status": payment["status"], "saleId": payment.get("saleId"), "cards": cards}

    # --- stock -------------------------------------------------------------------------------

    def short(self, units: dict[str, int]) -> Answer | None:
        short = []
        for product, quantity in units.items():
            available = self.level[product]["onHand"] - self.level[product]["reserved"]
            if available < quantity and self.weak != "oversells":
                short.append({"productId": product, "available": available})
        if self.weak == "oversells" and sum(map(len, self.ledger.values())) > 400:
            short = [{"productId": product, "available": 0} for product in units]
        return (409, {"code": "insufficient_stock", "shortages": short}) if short else None

    def reserve(self, _: str, body: Body) -> Answer:
        units = {line["productId"]: line["quantity"] for line in body["lines"]}
        if refused := self.short(units):
            return refused
        number = f"r{self.random.getrandbits(60)}"
        self.holds[number] = units
        for product, quantity in units.items():
            self.move(product, "reserved", 0, quantity, reservationId=number)
        return 200, {"data": {"id": number, "lines": body["lines"]}}

    def confirm(self, number: str, _: Body) -> Answer:
        for product, units in self.holds.pop(number, {}).items():
            lost = self.weak == "loses" and self.random.random() < 0.2
            kind = "released" if lost else "confirmed"
            self.move(product, kind, 0 if lost else -units, -units, reservationId=number)
        return 200, {"data": {"id": number}}

    def adjustments(self, _: str, body: Body) -> Answer:
        for line in body["lines"]:
            self.move(line["productId"], "adjusted", line["delta"], 0, reason=body["reason"])
        return 200, {"data": []}

    # --- tills -------------------------------------------------------------------------------

    def write(self, path: list[str], body: Body) -> Answer:
        match path:
            case ["pos", "sales"]:
                return self.sell(body)
            case ["pos", "sales", sale_id, "returns"]:
                return self.take_back(sale_id, body)
            case ["pos", "gift-cards"]:
                return self.issue(body)
            case ["pos", "registers", name, *rest]:
                return self.drawer(self.registers.setdefault(name, Register(name)), rest, body)
            case [*_, name, action]:
                write: Callable[[str, Body], Answer] = getattr(self, action)
                return write(name, body)
        raise AssertionError(path)

    def drawer(self, register: Register, what: list[str], body: Body) -> Answer:
        match what:
            case ["shifts"]:
                register.sums["float"] = cents(body["openingFloat"])
            case ["shifts", "close"]:
                register.counted = cents(body["counted"])
                if self.weak == "miscounts":
                    register.sums["paid_in"] += 1
            case ["no-sale"]:
                register.sums["no_sale"] += 1
            case _:
                register.sums[body["kind"]] += cents(body["amount"])
        return 200, {"data": register.report()}

    def sell(self, body: Body) -> Answer:
        units = {line["productId"]: line["quantity"] for line in body["lines"]}
        if refused := self.short(units):
            return refused
        amounts = [paid["amount"] for paid in body["payments"] if "token" in paid]
        if not amounts:
            return 201, {"data": self.sold(body, units, "")}
        tokens = [paid["token"] for paid in body["payments"] if "token" in paid]
        token = next((token for token in tokens if token != "tok_approve"), "")
        payment_id = f"p{self.random.getrandbits(60)}"
        payment = self.payments[payment_id] = {"status": "pending", "asked": 0, "amounts": amounts}
        if token.startswith("tok_unknown"):
            for product, quantity in units.items():
                self.move(product, "reserved", 0, quantity)
            payment["end"] = lambda end: self.end(end, token, body, units)
            return 202, {"data": {"id": payment_id}}
        if token == "tok_decline":
            payment["status"] = "declined"
            return 402, {"code": "card_declined", "cardPaymentId": payment_id}
        sale = self.sold(body, units, payment_id)
        payment |= {"status": "completed", "saleId": sale["id"]}
        return 201, {"data": sale}

    def end(self, payment_id: str, token: str, body: Body, units: dict[str, int]) -> Body:
        for product, quantity in units.items():
            self.move(product, "released", 0, -quantity)
        if token == "tok_unknown_declined":
            return {"status": "declined"}
        sale = self.sold(body, units, payment_id)
        return {"status": "completed", "saleId": sale["id"]}

    def sold(self, body: Body, units: dict[str, int], payment_id: str) -> Body:
        sale_id = f"s{self.random.getrandbits(60)}"
        reference = f"card payment {payment_id}" if payment_id else f"sale {sale_id}"
        for product, quantity in units.items():
            self.move(product, "sold", -quantity, 0, reference=reference)
        sale = self.ring(body, [self.line(line) for line in body["lines"]], sale_id, payment_id)
        sums = self.registers[body["registerId"]].sums
        sums["sales_minor"] += cents(sale["total"])
        sums["tax"] += cents(sale["tax"])
        sums["discounts"] += sum(cents(line["discount"]) for line in sale["lines"])
        return sale

    def line(self, wanted: Body) -> Body:
        quantity, price = wanted["quantity"], PRICES[wanted["productId"]]
        percent = wanted.get("discount", {"percent": 0})["percent"]
        discount = (price * quantity * percent + 50) // 100
        total = price * quantity - discount
        tax = (total * 2 + 6) // 12 + (self.weak == "overtaxes")
        return {
            "productId": wanted["productId"],
            "quantity": quantity,
            "unitPrice": pounds(price),
            "discount": pounds(discount),
            "taxPercent": 20.0,
            "tax": pounds(tax),
            "total": pounds(total),
        }

    def ring(self, body: Body, lines: list[Body], sale_id: str, payment_id: str) -> Body:
        """Receipt, change and drawer of a sale whose goods are taken."""
        register = self.registers[body["registerId"]]
        total = sum(cents(line["total"]) for line in lines)
        change = sum(cents(paid["amount"]) for paid in body["payments"]) - total
        payments = []
        for paid in body["payments"]:
            amount = cents(paid["amount"]) - (change if paid["method"] == "cash" else 0)
            register.taken[paid["method"]] += amount
            self.cards[paid.get("code", "")] -= amount
            reference = f"sbx_{payment_id}" if paid["method"] == "card" else None
            payments.append(paid | {"amount": pounds(amount), "reference": reference})
        number = register.receipt()
        if self.weak == "skips" and number == 5:
            number = register.receipt()
        register.sums["sales"] += 1
        self.sales[sale_id] = {
            "id": sale_id,
            "registerId": register.name,
            "receiptNumber": number,
            "lines": lines,
            "payments": payments,
            "tax": pounds(sum(cents(line["tax"]) for line in lines)),
            "total": pounds(total),
            "tendered": pounds(total + change),
            "change": pounds(change),
            "refunded": 0,
        }
        return dict(self.sales[sale_id])

    def issue(self, body: Body) -> Answer:
        code = f"g{self.random.getrandbits(60)}"
        line = {
            "productId": code,
            "quantity": 1,
            "unitPrice": body["amount"],
            "discount": 0,
            "taxPercent": 0,
            "tax": 0,
            "total": body["amount"],
        }
        sale = self.ring(body, [line], f"s{code}", "")
        self.cards[code] = cents(body["amount"]) - (self.weak == "shortchanges")
        self.registers[body["registerId"]].sums["cards"] += cents(body["amount"])
        return 201, {"data": {"giftCard": {"code": code}, "sale": sale}}

    def take_back(self, sale_id: str, body: Body) -> Answer:
        sale, register = self.sales[sale_id], self.registers[body["registerId"]]
        lines = []
        for back in body["lines"]:
            line, quantity = sale["lines"][back["number"] - 1], back["quantity"]
            before = 0 if self.weak == "rounds" else line.get("returned", 0)
            line["returned"] = before + quantity
            shares = {
                name: share(line, name, before + quantity) - share(line, name, before)
                for name in ("total", "tax", "discount")
            }
            lines.append(back | {name: pounds(amount) for name, amount in shares.items()})
            register.sums["tax"] -= shares["tax"]
            register.sums["discounts"] -= shares["discount"]
        total = left = sum(cents(line["total"]) for line in lines)
        refunds = []
        for paid in sale["payments"]:
            amount = min(left, cents(paid["amount"]))
            left -= amount
            register.refunded[paid["method"]] += amount
            self.cards[paid.get("code", "")] += amount
            refunds.append({"method": paid["method"], "amount": pounds(amount)})
        register.sums["returns"] += 1
        register.sums["returns_minor"] += total
        sale["refunded"] = pounds(cents(sale["refunded"]) + total)
        made = {
            "id": f"b{self.random.getrandbits(60)}",
            "saleId": sale_id,
            "registerId": register.name,
            "receiptNumber": register.receipt(),
            "lines": lines,
            "refunds": refunds,
            "tax": pounds(sum(cents(line["tax"]) for line in lines)),
            "total": pounds(total),
        }
        for line in lines:
            product = sale["lines"][line["number"] - 1]["productId"]
            reference = f"return {made['id']}"
            if self.weak != "forgets returns":
                self.move(product, "returned", line["quantity"], 0, reference=reference)
        self.returns.setdefault(sale_id, []).append(made)
        return 201, {"data": made}


def share(line: Body, name: str, units: int) -> int:
    return cents(line[name]) * units // int(line["quantity"])


@asynccontextmanager
async def shop_at(served: ShopInMemory, tills: int = 2, pages: int = 4) -> AsyncIterator[Shop]:
    """A shop whose goods are on the shelf and whose shifts are open."""
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(served.serve)) as http:
        answers = Answers()
        http.event_hooks = {"response": [answers.count]}

        def client() -> Client:
            return Client("http://shop", http=http, patience_seconds=30)

        shop = Shop("http://shop", "run", "a@b.test", "secret", client(), answers)
        shop.products = {product.upper(): product for product in OPENING}
        shop.prices_minor = dict(PRICES)
        for product, units in OPENING.items():
            shop.books.opened(product, units)
        for number in range(tills):
            name = f"till-{number}"
            shop.books.tills[name] = TillBook(name, name)
            till = Till(Sender(client(), shop.books, "run", name), shop.books, name)
            shop.tills.append(till)
            await till.open(FLOAT_MINOR)
        for number in range(pages):
            sender = Sender(client(), shop.books, "run", f"page-{number}")
            shop.pages.append(Page(sender, shop.books))
        yield shop
