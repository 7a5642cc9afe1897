"""A shop whose people buy of suppliers, ship, count, sell and take back, by cash and by gift card,
whatever happens to the copy meanwhile; and its books as they must be by what they were told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from core.principal import Role
from tests.api.shop import done, open_shop
from tests.chaos.client import Answer, Client, Unknown
from tests.stack import Stack

PEOPLE = 4
PRICE_MINOR, FLOAT_MINOR, CARD_MINOR = 250, 20_000, 50_000
OPENING_UNITS = 300
FAIR = {
    "insufficient_stock",
    "gift_card_short",
    "drawer_short",
    "more_than_sold",
    "more_than_ordered",
    "purchase_not_open",
    "transfer_closed",
}
_MADE = {
    "sales": "SELECT id::text FROM pos_sales WHERE tenant_id = $1",
    "returns": "SELECT id::text FROM pos_returns WHERE tenant_id = $1",
    "orders": "SELECT id::text FROM purchase_orders WHERE tenant_id = $1",
    "transfers": "SELECT id::text FROM stock_transfers WHERE tenant_id = $1",
}
# Units of each good: on the shelves, and on their way between them.
_UNITS = """
SELECT product_id::text, sum(on_hand)::int + coalesce((SELECT sum(quantities[1])
  FROM stock_transfers t WHERE t.product_ids[1] = l.product_id AND status = 'in_transit'), 0)::int
FROM stock_levels l WHERE tenant_id = $1 GROUP BY product_id"""
_INCOMING = """
SELECT product_id FROM stock_levels l WHERE tenant_id = $1 AND incoming <> (
  SELECT coalesce(sum(greatest((line->>1)::int - (line->>3)::int - (line->>4)::int, 0)), 0)
  FROM purchase_orders o, jsonb_array_elements(lines) AS line
  WHERE status IN ('ordered', 'partly_received') AND (line->>0)::uuid = l.product_id
    AND o.location_id = l.location_id) + (
  SELECT coalesce(sum(quantities[1]), 0) FROM stock_transfers t WHERE status = 'in_transit'
    AND t.product_ids[1] = l.product_id AND t.to_location_id = l.location_id)"""
_RECEIPTS = """
SELECT register_id FROM pos_receipts WHERE tenant_id = $1 GROUP BY register_id
HAVING min(number) <> 1 OR max(number) <> count(*)"""
_DRAWER = "SELECT expected_minor FROM pos_shifts WHERE tenant_id = $1"
_CARD = "SELECT balance_minor FROM gift_cards WHERE tenant_id = $1"


@dataclass
class Trader:
    """`told` are the ids of what was made, by what it is; `units` of each good and `cash_minor`,
    `card_minor` what there must be by all answers; `wrong` what nobody may ever be told."""

    stack: Stack
    tenant: UUID
    token: str
    rng: random.Random
    register: str
    code: str
    supplier: str
    elsewhere: str
    goods: list[str]
    told: dict[str, set[str]]
    units: Counter[str]
    counts: Counter[str] = field(default_factory=Counter)
    cash_minor: int = FLOAT_MINOR + CARD_MINOR
    card_minor: int = CARD_MINOR
    wrong: list[str] = field(default_factory=list)
    ending: bool = False

    async def run(self) -> None:
        await asyncio.gather(*(self._person() for _ in range(PEOPLE)))

    async def _person(self) -> None:
        client = Client(self.stack.settings.port, self.token)
        doings: list[Callable[[Client], Awaitable[None]]] = [
            self._buy,
            self._ship,
            self._sell,
            self._sell,
            self._pay,
            self._count,
        ]
        while not self.ending:
            await self.rng.choice(doings)(client)
        client.hang_up()

    async def _insist(self, client: Client, path: str, body: Any = None) -> Any:
        """The data of the answer, by the same key until there is one; None for a refusal."""
        key, pause = str(uuid4()), 0.05
        while True:
            try:
                answer = await client.attempt("POST", path, key, body)
                break
            except Unknown:
                self.counts["repeated"] += 1
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
        return self._noted(path, answer)

    def _noted(self, path: str, answer: Answer) -> Any:
        self.counts["done" if answer.is_done else answer.code] += 1
        if answer.is_done:
            return answer.data
        if answer.code not in FAIR:
            self.wrong.append(f"{path}: {answer.status} {answer.body!r}")
        return None

    async def _buy(self, client: Client) -> None:
        good, quantity = self.rng.choice(self.goods), self.rng.randint(2, 5)
        base = "/api/inventory/purchase-orders"
        lines = [{"productId": good, "quantity": quantity, "cost": 1}]
        order = await self._insist(client, base, {"supplierId": self.supplier, "lines": lines})
        self.told["orders"].add(order["id"])
        await self._insist(client, f"{base}/{order['id']}/order")
        came = [{"productId": good, "quantity": quantity - 1}]
        if await self._insist(client, f"{base}/{order['id']}/receive", {"lines": came}):
            self.units[good] += quantity - 1
        if self.rng.random() < 0.5:
            await self._insist(client, f"{base}/{order['id']}/cancel")

    async def _ship(self, client: Client) -> None:
        lines = [{"productId": self.rng.choice(self.goods), "quantity": self.rng.randint(1, 3)}]
        body = {"toLocationId": self.elsewhere, "lines": lines, "ship": True}
        sent = await self._insist(client, "/api/inventory/transfers", body)
        if sent is not None:
            self.told["transfers"].add(sent["id"])
            end = self.rng.choice(("receive", "cancel", None))
            if end is not None:
                await self._insist(client, f"/api/inventory/transfers/{sent['id']}/{end}", {})

    async def _sell(self, client: Client) -> None:
        good, quantity = self.rng.choice(self.goods), self.rng.randint(1, 3)
        by_card, due_minor = self.rng.random() < 0.5, quantity * PRICE_MINOR
        paid: dict[str, Any] = {"method": "cash", "amount": due_minor / 100}
        if by_card:
            paid |= {"method": "gift_card", "code": self.code}
        lines = [{"productId": good, "quantity": quantity}]
        body = {"registerId": self.register, "lines": lines, "payments": [paid]}
        sale = await self._insist(client, "/api/pos/sales", body)
        if sale is None:
            return
        self.told["sales"].add(sale["id"])
        self._moved(good, -quantity, due_minor, by_card)
        if self.rng.random() < 0.4:
            back = {"registerId": self.register, "lines": [{"number": 1, "quantity": 1}]}
            made = await self._insist(client, f"/api/pos/sales/{sale['id']}/returns", back)
            if made is not None:
                self.told["returns"].add(made["id"])
                self._moved(good, 1, -PRICE_MINOR, by_card)

    def _moved(self, good: str, units: int, money_minor: int, by_card: bool) -> None:
        self.units[good] += units
        if by_card:
            self.card_minor -= money_minor
        else:
            self.cash_minor += money_minor

    async def _pay(self, client: Client) -> None:
        kind, amount_minor = self.rng.choice(("paid_in", "paid_out")), self.rng.randint(1, 2_000)
        body = {"kind": kind, "amount": amount_minor / 100, "reason": "change"}
        path = f"/api/pos/registers/{self.register}/cash-movements"
        if await self._insist(client, path, body):
            self.cash_minor += amount_minor if kind == "paid_in" else -amount_minor

    async def _count(self, client: Client) -> None:
        """Of the first good at the other place. What moves meanwhile is known to its ledger
        alone, so its units are not."""
        good, number = self.goods[0], self.rng.randint(0, 50)
        lines = [{"productId": good, "counted": number, "locationId": self.elsewhere}]
        if await self._insist(client, "/api/inventory/counts", {"lines": lines}):
            self.counts["counts"] += 1

    async def contradictions(self) -> list[str]:
        """To be called once nothing runs any more."""
        connection = await self.stack.database()
        found = list(self.wrong)
        try:
            for name, query in _MADE.items():
                made = {row[0] for row in await connection.fetch(query, self.tenant)}
                if made != self.told[name]:
                    lost, stray = self.told[name] - made, made - self.told[name]
                    found.append(f"{name}: lost {lost}, nobody's {stray}")
            units = {row[0]: row[1] for row in await connection.fetch(_UNITS, self.tenant)}
            for good in self.goods[1:]:  # the first one is counted
                if units[good] != self.units[good]:
                    found.append(f"{units[good]} of {good}, it must be {self.units[good]}")
            for query in (_INCOMING, _RECEIPTS):
                found += [f"{row}" for row in await connection.fetch(query, self.tenant)]
            drawer = await connection.fetchval(_DRAWER, self.tenant)
            card = await connection.fetchval(_CARD, self.tenant)
        finally:
            await connection.close()
        if (drawer, card) != (self.cash_minor, self.card_minor):
            found.append(
                f"drawer {drawer}, card {card}; it must be {self.cash_minor}, {self.card_minor}"
            )
        return found


async def make_trader(stack: Stack, seed: int) -> Trader:
    """A business with a register, an open shift, goods and a gift card."""
    async with open_shop(stack) as shop:
        post = shop.owner.post
        register = done(await post("/api/pos/registers", {"name": "Till"}))["id"]
        shift = {"openingFloat": FLOAT_MINOR / 100}
        done(await post(f"/api/pos/registers/{register}/shifts", shift))
        cash = [{"method": "cash", "amount": CARD_MINOR / 100}]
        card = {"registerId": register, "amount": CARD_MINOR / 100, "payments": cash}
        sold = done(await post("/api/pos/gift-cards", card))
        supplier = {"name": "Tea importers", "currency": "GBP"}
        supplier_id = done(await post("/api/inventory/suppliers", supplier))["id"]
        goods = [await shop.product(OPENING_UNITS) for _ in range(3)]
        user = shop.owner.id
        assert user is not None
        return Trader(
            stack,
            shop.tenant,
            stack.token(Role.OWNER, shop.tenant, user),
            random.Random(seed),
            register,
            sold["giftCard"]["code"],
            supplier_id,
            str(await shop.location()),
            goods,
            {
                "sales": {sold["sale"]["id"]},
                "returns": set(),
                "orders": set(),
                "transfers": set(),
            },
            Counter(dict.fromkeys(goods, OPENING_UNITS)),
        )
