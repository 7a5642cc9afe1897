"""The gateway with the catalogue behind it, over a real Postgres, without Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from deployments.catalog.capability import capability
from deployments.kit.capability import Capability
from gateway.app import create_app
from store.kit.engine import Scope
from tests.api.harness import InProcess

NEW_BUSINESS = text("INSERT INTO businesses (id, name, currency) VALUES (:id, 'Shop', 'GBP')")


class Kit(InProcess):
    """What the application needs, and what the tests look behind it with."""

    def app(
        self, capabilities: Sequence[Capability] = (capability,), *, mounted: bool = False
    ) -> FastAPI:
        return create_app(
            self.settings, capabilities, self, mounted=capability if mounted else None
        )

    async def business(self) -> UUID:
        tenant = uuid7()
        async with self.db.transaction(Scope(tenant)) as tx:
            await tx.execute(NEW_BUSINESS, {"id": tenant})
        return tenant

    def token(self, role: Role, tenant: UUID | None) -> str:
        return self.edge.tokens.issue(uuid7(), role, tenant, uuid7())

    async def marks(self, tenant: UUID) -> int:
        """Products of a business that somebody is about to give variants."""
        async with self.db.transaction(Scope(tenant)) as tx:
            return int(await tx.scalar(text("SELECT count(*) FROM first_variants")) or 0)

    async def events(self, tenant: UUID) -> list[tuple[str, str, dict[str, Any]]]:
        """Type, subject and data of the tenant's events of the catalogue, in order."""
        events = "SELECT type, subject, data FROM outbox WHERE type LIKE 'catalog.%' ORDER BY id"
        async with self.db.transaction(Scope(tenant)) as tx:
            rows = await tx.execute(text(events))
            return [(row.type, row.subject, row.data) for row in rows]


@asynccontextmanager
async def running_kit(settings: Settings) -> AsyncIterator[Kit]:
    kit = Kit(settings.model_copy(update={"rate_limit": "off"}))
    await kit.start()
    try:
        yield kit
    finally:
        await kit.stop()


@dataclass
class Shop:
    """A business and one of its people, calling in process."""

    kit: Kit
    tenant: UUID | None
    http: httpx2.AsyncClient

    async def call(
        self, method: str, path: str = "", *, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        headers = {**options.pop("headers", {}), "Idempotency-Key": key or str(uuid4())}
        if key == "":
            del headers["Idempotency-Key"]
        return await self.http.request(method, "/api/products" + path, headers=headers, **options)

    async def create(self, **fields: Any) -> dict[str, Any]:
        reply = await self.call("POST", json={"name": "Lamp", "price": 2.55, **fields})
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()["data"]
        return made


def caller(kit: Kit, app: FastAPI, role: Role | None, tenant: UUID | None) -> Shop:
    headers = {"Authorization": f"Bearer {kit.token(role, tenant)}"} if role else {}
    mounted = not any(route.path == "/openapi.json" for route in app.routes)  # type: ignore[attr-defined]
    root_path = capability.prefix if mounted else ""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    http = httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)
    return Shop(kit, tenant, http)
