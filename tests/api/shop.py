"""The one world of the tests of routes: a business on a copy that runs, or in this process
(`in_process`), its goods, registers and stock, and those who call in its name or in nobody's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import text

from core.ids import uuid7
from core.principal import Role
from gateway.errors import PROBLEM_JSON
from store.kit.engine import Scope
from store.kit.migrate import all_tables
from tests.api.harness import Served
from tests.api.in_process import InProcessStack
from tests.records import Records
from tests.stack import Stack
from tests.waiting import eventually

_NEW_BUSINESS = "INSERT INTO businesses (id, name, currency) VALUES ($1, 'Shop', $2)"
_NEW_LOCATION = """
INSERT INTO locations (id, tenant_id, name, time_zone, currency)
VALUES ($1, $1, 'Main', $3, $2)
"""
_FURTHER_LOCATION = """
INSERT INTO locations (id, tenant_id, name, time_zone, currency)
VALUES ($1, $2, gen_random_uuid()::text, 'Europe/London', $3)
"""
_TAX_INCLUDED = "UPDATE businesses SET prices_include_tax = $2 WHERE id = $1"
_DEFAULT_CLASS = """
INSERT INTO tax_classes (id, tenant_id, name, is_default) VALUES ($1, $2, 'standard', true)
"""
_RATE = """
INSERT INTO tax_rates (id, tenant_id, tax_class_id, name, rate_ppm, valid_from)
VALUES (gen_random_uuid(), $2, $1, 'VAT', $3, '2000-01-01Z')
"""
_NEW_USER = "INSERT INTO users (id, name, email, password_hash, role) VALUES ($1, $2, $3, '', $4)"
_NEW_MEMBER = "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)"
# What somebody is called in a business, and what they registered as.
_REGISTERED_AS = {Role.VENDOR: "vendor", Role.OWNER: "vendor", Role.ADMIN: "admin"}
_TABLES = sorted(name for name, table in all_tables().tables.items() if "tenant_id" in table.c)
# One query: a connection for each table of each test took most of the suite's time.
_EVERYTHING = " UNION ALL ".join(
    f"SELECT '{name}' AS name, t::text AS row FROM {name} t WHERE tenant_id = $1"
    for name in _TABLES
)
_IN_A_BUSINESS = (Role.OWNER, Role.MANAGER, Role.STAFF, Role.CASHIER)


@dataclass
class Caller:
    """Somebody with a token, or nobody in particular. Who is `keyed` names each request that
    writes; others name those alone that a test gives a key."""

    id: UUID | None
    role: Role
    tenant: UUID | None
    http: httpx2.AsyncClient
    keyed: bool = False

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": str(self.http.headers["authorization"])}

    async def call(
        self, method: str, path: str, json: Any = None, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        headers = dict(options.pop("headers", {}))
        if key is None and self.keyed and method != "GET":
            key = str(uuid7())
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.http.request(method, path, json=json, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("GET", path, **options)

    async def post(
        self, path: str, body: Any = None, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        return await self.call("POST", path, {} if body is None else body, key, **options)


@dataclass
class Shop:
    """A business, its owner, and whom and what else a test brings in."""

    stack: Stack
    tenant: UUID
    owner: Caller
    currency: str
    _records: Records = field(repr=False)
    _exits: AsyncExitStack = field(repr=False)
    # What `sell` sells at.
    register: str = ""

    @property
    def served(self) -> Served:
        """The application, if it is in this process."""
        assert isinstance(self.stack, InProcessStack)
        return self.stack.served

    async def caller(self, role: Role, *, tenant: UUID | None = None) -> Caller:
        """Somebody new: of this business where the role is one of a business."""
        acts_for = tenant
        if acts_for is None and role in (*_IN_A_BUSINESS, Role.VENDOR):
            acts_for = self.tenant
        user = await add_user(self._records, role, acts_for)
        return await self._calling(user, role, acts_for, self.stack.token(role, acts_for, user))

    async def anyone(self) -> Caller:
        return await self._calling(None, Role.ANONYMOUS, None, None)

    async def machine(self, *scopes: str) -> Caller:
        """A service key of this business."""
        body = {"name": "machine", "scopes": list(scopes)}
        made = done(await self.owner.post("/api/auth/service-keys", body))
        key = UUID(made["id"])
        return await self._calling(key, Role.SERVICE, self.tenant, made["secret"])

    async def script(self, person: Caller, *scopes: str) -> Caller:
        """An API key of somebody who works here."""
        body = {"name": "script", "scopes": list(scopes)}
        made = done(await person.post("/api/auth/api-keys", body))
        return await self._calling(person.id, person.role, self.tenant, made["secret"])

    async def _calling(
        self, who: UUID | None, role: Role, tenant: UUID | None, token: str | None
    ) -> Caller:
        http = await self._exits.enter_async_context(self.stack.client(token))
        return Caller(who, role, tenant, http, self.owner.keyed)

    async def another(self) -> Shop:
        """Another business on the same copy."""
        opened = open_shop(self.stack, self.currency, keyed=self.owner.keyed)
        return await self._exits.enter_async_context(opened)

    async def product(
        self,
        stock: int = 0,
        *,
        price: float = 2.5,
        threshold: int | None = None,
        **fields: Any,
    ) -> str:
        """A new product with so much on hand; its id."""
        body = {"name": "Lamp", "price": price, **fields}
        product: str = done(await self.owner.post("/api/products", body))["id"]
        if stock or threshold is not None:
            added: dict[str, Any] = {"productId": product, "quantity": stock}
            if threshold is not None:
                added["lowStockThreshold"] = threshold
            done(await self.owner.post("/api/inventory/add", added))
        return product

    async def goods(self, price: float = 2.5, stock: int = 10, **fields: Any) -> str:
        """A product that can be sold at once."""
        return await self.product(stock, price=price, **({"name": "Tea"} | fields))

    async def location(self) -> UUID:
        """A further location of the business."""
        made = uuid7()
        await self.rows(_FURTHER_LOCATION, made, self.tenant, self.currency)
        return made

    async def open_register(self, by: Caller | None = None, opening_float: float = 100) -> str:
        """A new register with an open shift."""
        made = done(await self.owner.post("/api/pos/registers", {"name": "Till 1"}))
        register: str = made["id"]
        opened = {"openingFloat": opening_float}
        done(await (by or self.owner).post(f"/api/pos/registers/{register}/shifts", opened))
        return register

    async def sell(
        self, product: str, quantity: int = 1, *, by: Caller | None = None, **rest: Any
    ) -> httpx2.Response:
        """Paid with twenty in cash, unless it says otherwise."""
        body = {
            "registerId": self.register,
            "lines": [{"productId": product, "quantity": quantity}],
            "payments": [{"method": "cash", "amount": 20}],
        }
        key = rest.pop("key", None)
        return await (by or self.owner).post("/api/pos/sales", body | rest, key)

    async def report(self, register: str | None = None) -> dict[str, Any]:
        """Of the register's present shift."""
        path = f"/api/pos/registers/{register or self.register}/shifts/current"
        found: dict[str, Any] = done(await self.owner.get(path))
        return found

    async def reserve(self, product: str, quantity: int = 1, **rest: Any) -> dict[str, Any]:
        body = {"productId": product, "quantity": quantity, **rest}
        hold: dict[str, Any] = done(await self.owner.post("/api/inventory/reserve", body))
        return hold

    async def level(self, product: str) -> tuple[int, int, int]:
        """Available, on hand, reserved: as the stock's owner has it."""
        found = done(await self.owner.get(f"/api/inventory/{product}"))
        return found["quantity"], found["onHand"], found["reserved"]

    async def available(self, product: str) -> int:
        return (await self.level(product))[0]

    async def on_hand(self, product: str) -> int:
        return (await self.level(product))[1]

    async def tax(self, percent: float, *, included: bool) -> None:
        """Makes one class the default, at this rate everywhere."""
        await self.rows(_TAX_INCLUDED, self.tenant, included)
        made = uuid7()
        await self.rows(_DEFAULT_CLASS, made, self.tenant)
        await self.rows(_RATE, made, self.tenant, round(percent * 10_000))

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """From the database, as the owner of the schema."""
        return await self._records.fetch(query, *arguments)

    async def sees(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """What the business itself sees of the database; in this process."""
        async with self.served.resources.db.transaction(Scope(self.tenant)) as tx:
            found = await tx.execute(text(query), arguments)
            return [dict(row) for row in found.mappings()] if found.returns_rows else []


@asynccontextmanager
async def open_shop(
    stack: Stack,
    currency: str = "GBP",
    time_zone: str = "Europe/London",
    *,
    keyed: bool = False,
) -> AsyncIterator[Shop]:
    """A new business with a location and an owner. `keyed` are all who call in its name."""
    tenant = uuid7()
    async with AsyncExitStack() as exits:
        records = exits.enter_context(stack.records())
        await records.fetch(_NEW_BUSINESS, tenant, currency)
        await records.fetch(_NEW_LOCATION, tenant, currency, time_zone)
        user = await add_user(records, Role.OWNER, tenant)
        http = await exits.enter_async_context(stack.client(stack.token(Role.OWNER, tenant, user)))
        owner = Caller(user, Role.OWNER, tenant, http, keyed)
        yield Shop(stack, tenant, owner, currency, records, exits)


@asynccontextmanager
async def open_till(stack: Stack) -> AsyncIterator[Shop]:
    """A shop that sells: in euros, at a register with an open shift; its people name each request
    that writes."""
    async with open_shop(stack, "EUR", "Europe/Berlin", keyed=True) as shop:
        shop.register = await shop.open_register()
        yield shop


async def add_user(records: Records, role: Role, tenant: UUID | None) -> UUID:
    """A person who cannot sign in, for nobody knows a password whose hash is empty."""
    user = uuid7()
    registered_as = _REGISTERED_AS.get(role, "customer")
    await records.fetch(_NEW_USER, user, role.value, f"{user}@shop.test", registered_as)
    if tenant is not None:
        position = role.value if role in _IN_A_BUSINESS else "owner"
        await records.fetch(_NEW_MEMBER, tenant, user, position)
    return user


def done(answer: httpx2.Response) -> Any:
    """The data of an answer that says yes."""
    assert answer.status_code in (200, 201), answer.text
    body = answer.json()
    assert body["success"] is True
    return body["data"]


def problem(answer: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The document of a refusal, which must have the shape that all refusals have."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == PROBLEM_JSON
    document: dict[str, Any] = answer.json()
    assert (document["success"], document["status"]) == (False, status)
    assert document["requestId"] == answer.headers["x-request-id"]
    if code is not None:
        assert document["code"] == code, document
    return document


async def _is_read(shop: Shop) -> bool:
    behind = "SELECT FROM outbox o JOIN consumers c ON o.id > c.position WHERE o.tenant_id = $1"
    return not await shop.rows(f"{behind} LIMIT 1", shop.tenant)


async def everything_of(shop: Shop) -> list[Any]:
    """Every row of a business, as its table's name and text, once its events are seen to."""
    with suppress(TimeoutError):  # In one process nobody runs them.
        await eventually(lambda: _is_read(shop), 5)
    found = await shop.rows(f"{_EVERYTHING} ORDER BY 1, 2", shop.tenant)
    assert found
    return [(row["name"], row["row"]) for row in found]
