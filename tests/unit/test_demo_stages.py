"""The demo's stages against a shop in memory: an honest one passes however bad the line to it is,
a dishonest one is found out."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from cli.client import ApiError, Client
from cli.demo.meter import Meter, show_nothing
from cli.demo.retail import Invoice
from cli.demo.shop import Answers, Manner, Refused, Shop, Till
from cli.demo.stages import flash_sale, prove, replay

OPENING = {"lamp": 40, "mug": 60}
Answer = tuple[int, dict[str, Any]]


class Inventory:
    """Stock as the API keeps it. `weak` is what it gets wrong: doubles, loses, oversells."""

    def __init__(self, weak: str = "", trouble: float = 0.0) -> None:
        self.weak = weak
        self.trouble = trouble
        self.random = random.Random(7)
        self.known: dict[str, Answer] = {}
        self.holds: dict[str, dict[str, int]] = {}
        self.ledger: dict[str, list[dict[str, Any]]] = {}
        self.level = {product: Counter[str]() for product in OPENING}
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
            "reservationId": None,
        }
        lines.append(line | more)

    def serve(self, request: httpx.Request) -> httpx.Response:
        before, after = (self.random.random() < self.trouble for _ in range(2))
        if before:
            raise httpx.ConnectError("refused")
        status, body = self.answer(request)
        if after:
            if self.random.random() < 0.5:
                raise httpx.ReadError("reset")
            return httpx.Response(503, json={"code": "unavailable"})
        return httpx.Response(status, json=body)

    def answer(self, request: httpx.Request) -> Answer:
        *_, name, action = request.url.path.split("/")
        if request.method == "GET":
            return self.read(name, action, request.url.params)
        key = request.headers["Idempotency-Key"]
        if key not in self.known or self.weak == "doubles":
            body = json.loads(request.content or "{}")
            write: Callable[[str, dict[str, Any]], Answer] = getattr(self, action)
            self.known[key] = write(name, body)
        return self.known[key]

    def read(self, name: str, action: str, params: httpx.QueryParams) -> Answer:
        if action == "reservations":
            return 200, {"data": [], "pagination": {"total": len(self.holds)}}
        if action == "movements":
            page, limit = int(params["page"]), int(params["limit"])
            lines = self.ledger[name][::-1]
            data = lines[(page - 1) * limit : page * limit]
            return 200, {"data": data, "pagination": {"total": len(lines)}}
        level = self.level[action]
        available = level["onHand"] - level["reserved"]
        return 200, {"data": {**level, "quantity": available, "reserved": level["reserved"]}}

    def reserve(self, _: str, body: dict[str, Any]) -> Answer:
        short = []
        for line in body["lines"]:
            level = self.level[line["productId"]]
            available = level["onHand"] - level["reserved"]
            if available < line["quantity"] and self.weak != "oversells":
                short.append({"productId": line["productId"], "available": available})
        if short or (self.weak == "oversells" and sum(map(len, self.ledger.values())) > 400):
            shortages = short or [{**body["lines"][0], "available": 0}]
            return 409, {"code": "insufficient_stock", "shortages": shortages}
        number = f"r{self.random.getrandbits(60)}"
        self.holds[number] = {one["productId"]: one["quantity"] for one in body["lines"]}
        for product, units in self.holds[number].items():
            self.move(product, "reserved", 0, units, reservationId=number)
        return 200, {"data": {"reservationId": number, "lines": body["lines"]}}

    def confirm(self, number: str, _: dict[str, Any]) -> Answer:
        for product, units in self.holds.pop(number, {}).items():
            lost = self.weak == "loses" and self.random.random() < 0.05
            kind = "released" if lost else "confirmed"
            self.move(product, kind, 0 if lost else -units, -units, reservationId=number)
        return 200, {"data": {"reservationId": number}}

    def adjustments(self, _: str, body: dict[str, Any]) -> Answer:
        for line in body["lines"]:
            self.move(line["productId"], "adjusted", line["delta"], 0, reason=body["reason"])
        return 200, {"data": []}


@asynccontextmanager
async def shop_at(inventory: Inventory, tills: int = 8) -> AsyncIterator[Shop]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(inventory.serve)) as http:
        answers = Answers()
        http.event_hooks = {"response": [answers.count]}

        def client() -> Client:
            return Client("http://shop", http=http, patience_seconds=30)

        shop = Shop("http://shop", "run", "a@b.test", "secret", client(), answers)
        shop.products = {product.upper(): product for product in OPENING}
        for product, units in OPENING.items():
            shop.books.opened(product, units)
        shop.tills = [Till(shop, client(), f"seed-{number}") for number in range(tills)]
        yield shop


INVOICES = [
    Invoice("1", False, Counter(LAMP=2, MUG=3)),
    Invoice("C2", True, Counter(MUG=1)),
    Invoice("3", False, Counter(LAMP=1)),
]


@pytest.mark.parametrize("trouble", [0.0, 0.15])
async def test_an_honest_shop_passes(trouble: float) -> None:
    async with shop_at(Inventory(trouble=trouble)) as shop:
        replayed = await replay(shop, INVOICES, 4, show_nothing)
        sale = await flash_sale(shop, ["LAMP", "MUG"], show_nothing)
        proof = await prove(shop, ["LAMP", "MUG"], show_nothing)
    assert proof.holds, proof.faults
    assert (replayed.reservations, replayed.units, replayed.refused) == (8, 24, 0)
    assert (proof.opening, proof.returned, proof.stock) == (100, 4, 0)
    assert sale.units == 100 + 4 - 24
    assert sale.refused >= 2 * len(shop.tills)
    assert sale.sent_twice > 0
    repeated = replayed.repeated + sale.repeated
    assert (repeated > 0) == (trouble > 0)
    assert (0 < replayed.errors + sale.errors < repeated) == (trouble > 0)


@pytest.mark.parametrize("weak", ["doubles", "loses", "oversells"])
async def test_a_dishonest_shop_is_found_out(weak: str) -> None:
    async with shop_at(Inventory(weak, trouble=0.05)) as shop:
        await replay(shop, INVOICES, 4, show_nothing)
        await flash_sale(shop, ["LAMP", "MUG"], show_nothing)
        proof = await prove(shop, ["LAMP", "MUG"], show_nothing)
    assert not proof.holds


async def test_a_refused_invoice_is_a_contradiction() -> None:
    async with shop_at(Inventory()) as shop:
        await replay(shop, [Invoice("9", False, Counter(LAMP=41))], 1, show_nothing)
        proof = await prove(shop, [], show_nothing)
    assert proof.faults == ["9 was refused, {'lamp': 40} available"]


async def test_sold_out_with_something_left_is_a_contradiction() -> None:
    async with shop_at(Inventory()) as shop:
        proof = await prove(shop, ["LAMP"], show_nothing)
    assert proof.faults == ["LAMP: refused as sold out, but 40 are left"]


async def test_a_till_is_told_what_is_left() -> None:
    async with shop_at(Inventory(), tills=1) as shop:
        meter = Meter("Stage")
        till = shop.tills[0]
        assert await till.sell({"lamp": 39}, "a", meter, Manner.TWICE) is None
        assert await till.sell({"lamp": 3, "mug": 1}, "b", meter) == Refused({"lamp": 1})
        assert await till.sell({"lamp": 1}, "c", meter, Manner.HANGS_UP) is None
    assert (meter.units, meter.refused, meter.sent_twice) == (40, 1, 2)


async def test_another_error_ends_the_run() -> None:
    async with shop_at(Inventory(), tills=1) as shop:
        refuse = httpx.MockTransport(lambda _: httpx.Response(403, json={"code": "forbidden"}))
        async with httpx.AsyncClient(transport=refuse) as http:
            shop.tills[0].client = Client("http://shop", http=http)
            with pytest.raises(ApiError, match="403 forbidden"):
                await replay(shop, INVOICES, 1, show_nothing)
