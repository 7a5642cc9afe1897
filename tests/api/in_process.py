"""What `Stack` is to tests of routes, in this process: the application, shard hosts, no Ray."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import asyncpg
import httpx2

from core.ids import uuid7
from core.principal import Role
from tests.api.harness import Served
from tests.stack import Stack


@dataclass(frozen=True)
class InProcessStack(Stack):
    """Only what `tests.api.shop` asks of a running copy."""

    served: Served

    @classmethod
    def of(cls, served: Served) -> InProcessStack:
        return cls(served.resources.settings, None, None, served)  # type: ignore[arg-type]

    def token(self, role: Role, tenant: UUID | None, user: UUID | None = None) -> str:
        return self.served.resources.edge.tokens.issue(user or uuid7(), role, tenant, uuid7())

    def client(self, token: str | None = None, *, timeout: float = 60) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx2.ASGITransport(self.served.app, client=("203.0.113.7", 40_000))
        return httpx2.AsyncClient(
            transport=transport, base_url="http://api.test", headers=headers, timeout=timeout
        )

    async def database(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.settings.owner_database_url, timeout=30)
