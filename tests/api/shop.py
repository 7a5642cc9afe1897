"""A business on a running copy, and the callers in its name or in nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx2

from core.ids import uuid7
from core.principal import Role
from gateway.errors import PROBLEM_JSON
from store.kit.migrate import all_tables
from tests.stack import Stack
from tests.waiting import eventually

_NEW_BUSINESS = "INSERT INTO businesses (id, name, currency) VALUES ($1, 'Shop', 'GBP')"
_NEW_LOCATION = """
INSERT INTO locations (id, tenant_id, name, time_zone, currency)
VALUES ($1, $1, 'Main', 'Europe/London', 'GBP')
"""
_FURTHER_LOCATION = """
INSERT INTO locations (id, tenant_id, name, time_zone, currency)
VALUES ($1, $2, gen_random_uuid()::text, 'Europe/London', 'GBP')
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
    """Somebody with a token, or nobody in particular."""

    id: UUID | None
    role: Role
    tenant: UUID | None
    http: httpx2.AsyncClient

    async def call(
        self, method: str, path: str, *, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.call("POST", path, json=body, **options)


class Records:
    """The copy's database, as the owner of the schema: one connection for all that a test asks,
    since to make one takes longer than to use it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._one_at_a_time = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        async with self._one_at_a_time:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._stack.database()
            return [dict(row) for row in await self._connection.fetch(query, *arguments)]

    def close(self) -> None:
        """Without a goodbye, which a stopped Postgres would not answer."""
        if self._connection is not None:
            self._connection.terminate()


@dataclass
class Shop:
    """A business, its owner, and whom else a test brings in."""

    stack: Stack
    tenant: UUID
    owner: Caller
    _records: Records = field(repr=False)
    _exits: AsyncExitStack = field(repr=False)

    async def caller(self, role: Role, *, tenant: UUID | None = None) -> Caller:
        """Somebody new: of this business where the role is one of a business."""
        acts_for = tenant
        if acts_for is None and role in (*_IN_A_BUSINESS, Role.VENDOR):
            acts_for = self.tenant
        user = await add_user(self._records, role, acts_for)
        token = self.stack.token(role, acts_for, user)
        http = await self._exits.enter_async_context(self.stack.client(token))
        return Caller(user, role, acts_for, http)

    async def anyone(self) -> Caller:
        http = await self._exits.enter_async_context(self.stack.client())
        return Caller(None, Role.ANONYMOUS, None, http)

    async def machine(self, *scopes: str) -> Caller:
        """A service key of this business."""
        body = {"name": "machine", "scopes": list(scopes)}
        made = (await self.owner.post("/api/auth/service-keys", body)).json()["data"]
        http = await self._exits.enter_async_context(self.stack.client(made["secret"]))
        return Caller(UUID(made["key"]["id"]), Role.SERVICE, self.tenant, http)

    async def script(self, person: Caller, *scopes: str) -> Caller:
        """An API key of somebody who works here."""
        body = {"name": "script", "scopes": list(scopes)}
        made = done(await person.post("/api/auth/api-keys", body))
        http = await self._exits.enter_async_context(self.stack.client(made["secret"]))
        return Caller(person.id, person.role, self.tenant, http)

    async def another(self) -> Shop:
        """Another business on the same copy."""
        return await self._exits.enter_async_context(open_shop(self.stack))

    async def product(self, stock: int = 0, *, threshold: int | None = None) -> str:
        """A new product with so much on hand; its id."""
        answer = await self.owner.post("/api/products", {"name": "Lamp", "price": 2.5})
        assert answer.status_code == 201, answer.text
        product: str = answer.json()["data"]["id"]
        if stock or threshold is not None:
            body: dict[str, Any] = {"productId": product, "quantity": stock}
            if threshold is not None:
                body["lowStockThreshold"] = threshold
            done(await self.owner.post("/api/inventory/add", body))
        return product

    async def location(self) -> UUID:
        """A further location of the business."""
        made = uuid7()
        await self.rows(_FURTHER_LOCATION, made, self.tenant)
        return made

    async def reserve(self, product: str, quantity: int = 1, **rest: Any) -> dict[str, Any]:
        body = {"productId": product, "quantity": quantity, **rest}
        hold: dict[str, Any] = done(await self.owner.post("/api/inventory/reserve", body))
        return hold

    async def level(self, product: str) -> tuple[int, int, int]:
        """Available, on hand, reserved: as the stock's owner has it."""
        found = done(await self.owner.get(f"/api/inventory/{product}"))
        return found["quantity"], found["onHand"], found["reserved"]

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """From the database, as the owner of the schema."""
        return await self._records.fetch(query, *arguments)


@asynccontextmanager
async def open_shop(stack: Stack) -> AsyncIterator[Shop]:
    tenant = uuid7()
    async with AsyncExitStack() as exits:
        records = Records(stack)
        exits.callback(records.close)
        await records.fetch(_NEW_BUSINESS, tenant)
        await records.fetch(_NEW_LOCATION, tenant)
        user = await add_user(records, Role.OWNER, tenant)
        http = await exits.enter_async_context(stack.client(stack.token(Role.OWNER, tenant, user)))
        yield Shop(stack, tenant, Caller(user, Role.OWNER, tenant, http), records, exits)


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
