"""A shop with a till, in this process: the application, shard hosts, a real Postgres; no Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import text

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from store.business.profile import open_business
from store.kit.engine import Scope
from tests.api.harness import Served, serving
from tests.api.people import bearer
from tests.api.shop import done


@dataclass
class Clerk:
    """Somebody of the business."""

    id: UUID
    http: httpx2.AsyncClient
    auth: dict[str, str]

    async def call(
        self, method: str, path: str, body: Any = None, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        headers = self.auth | options.pop("headers", {})
        if method != "GET":
            headers["Idempotency-Key"] = key or str(uuid7())
        return await self.http.request(method, path, json=body, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, key: str | None = None) -> httpx2.Response:
        return await self.call("POST", path, {} if body is None else body, key)


@dataclass
class TillShop:
    """A business with one register and its open shift."""

    served: Served
    tenant: UUID
    owner: Clerk
    register: str = ""
    clerks: list[Clerk] = field(default_factory=list)

    def clerk(self, role: Role) -> Clerk:
        user = uuid7()
        token = self.served.resources.edge.tokens.issue(user, role, self.tenant, uuid7())
        return Clerk(user, self.served.http, bearer(token))

    async def open_register(self, by: Clerk | None = None, opening_float: float = 100) -> str:
        made = done(await self.owner.post("/api/pos/registers", {"name": "Till 1"}))
        register: str = made["registerId"]
        opened = {"openingFloat": opening_float}
        done(await (by or self.owner).post(f"/api/pos/registers/{register}/shifts", opened))
        return register

    async def product(self, price: float = 2.5, stock: int = 10, **fields: Any) -> str:
        body = {"name": "Tea", "price": price, "currency": "EUR", **fields}
        product: str = done(await self.owner.post("/api/products", body))["id"]
        if stock:
            added = {"productId": product, "quantity": stock}
            done(await self.owner.post("/api/inventory/add", added))
        return product

    async def sell(
        self, product: str, quantity: int = 1, *, by: Clerk | None = None, **rest: Any
    ) -> httpx2.Response:
        """Paid with twenty in cash, unless it says otherwise."""
        body = {
            "registerId": self.register,
            "lines": [{"productId": product, "quantity": quantity}],
            "payments": [{"method": "cash", "amount": 20}],
        }
        key = rest.pop("key", None)
        return await (by or self.owner).post("/api/pos/sales", body | rest, key)

    async def on_hand(self, product: str) -> int:
        found = done(await self.owner.get(f"/api/inventory/{product}"))
        return int(found["onHand"])

    async def available(self, product: str) -> int:
        return int(done(await self.owner.get(f"/api/inventory/{product}"))["quantity"])

    async def report(self, register: str | None = None) -> dict[str, Any]:
        path = f"/api/pos/registers/{register or self.register}/shifts/current"
        found: dict[str, Any] = done(await self.owner.get(path))
        return found

    async def rows(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """What the business sees of the database."""
        async with self.served.resources.db.transaction(Scope(self.tenant)) as tx:
            found = await tx.execute(text(query), arguments)
            return [dict(row) for row in found.mappings()]

    async def tax(self, percent: float, *, included: bool) -> None:
        """Makes one class the default, at this rate everywhere."""
        async with self.served.resources.db.transaction(Scope(self.tenant)) as tx:
            await tx.execute(
                text("UPDATE businesses SET prices_include_tax = :included WHERE id = :tenant"),
                {"included": included, "tenant": self.tenant},
            )
            class_id = uuid7()
            await tx.execute(
                text(
                    "INSERT INTO tax_classes (id, tenant_id, name, is_default)"
                    " VALUES (:id, :tenant, 'standard', true)"
                ),
                {"id": class_id, "tenant": self.tenant},
            )
            await tx.execute(
                text(
                    "INSERT INTO tax_rates (id, tenant_id, tax_class_id, name, rate_ppm,"
                    " valid_from) VALUES (:id, :tenant, :class, 'VAT', :ppm, '2000-01-01Z')"
                ),
                {
                    "id": uuid7(),
                    "tenant": self.tenant,
                    "class": class_id,
                    "ppm": round(percent * 10_000),
                },
            )


@asynccontextmanager
async def till_served(settings: Settings, **rest: Any) -> AsyncIterator[Served]:
    """Every capability, without rate limits. `rest` goes to `serving`."""
    unlimited = settings.model_copy(update={"rate_limit": "off"})
    async with serving(unlimited, CAPABILITIES, **rest) as served:
        yield served


async def new_till_shop(served: Served) -> TillShop:
    """A new business, whose currency is the euro, with a register and an open shift."""
    tenant = uuid7()
    async with served.resources.db.transaction(Scope(tenant)) as tx:
        await open_business(tx, tenant, "Shop", "EUR", "Europe/Berlin")
    shop = TillShop(served, tenant, Clerk(uuid7(), served.http, {}))
    shop.owner = shop.clerk(Role.OWNER)
    shop.register = await shop.open_register()
    return shop


@asynccontextmanager
async def till_shop(settings: Settings, **rest: Any) -> AsyncIterator[TillShop]:
    """A new business in an application of its own. `rest` goes to `serving`."""
    async with till_served(settings, **rest) as served:
        yield await new_till_shop(served)
