"""What `Stack` is to tests of routes, in this process: the application, shard hosts, no Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from deployments.capabilities import CAPABILITIES
from deployments.kit.capability import Capability
from tests.api.harness import Served, serving
from tests.records import Records
from tests.stack import Stack


@dataclass(frozen=True)
class InProcessStack(Stack):
    """Only what `tests.api.shop` asks of a running copy. `root_path` is where the application is
    mounted, as Serve mounts those that have a process of their own."""

    served: Served
    root_path: str = ""

    @classmethod
    def of(cls, served: Served, root_path: str = "") -> InProcessStack:
        return cls(served.resources.settings, None, None, served, root_path)  # type: ignore[arg-type]

    def token(self, role: Role, tenant: UUID | None, user: UUID | None = None) -> str:
        return self.served.resources.edge.tokens.issue(user or uuid7(), role, tenant, uuid7())

    def client(self, token: str | None = None, *, timeout: float = 60) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # As over a socket: what a route raises is a 500 and no more.
        transport = httpx2.ASGITransport(
            self.served.app,
            raise_app_exceptions=False,
            client=("203.0.113.7", 40_000),
            root_path=self.root_path,
        )
        return httpx2.AsyncClient(
            transport=transport, base_url="http://api.test", headers=headers, timeout=timeout
        )

    @contextmanager
    def records(self) -> Iterator[Records]:
        """Those of the application: one connection for all of its shops."""
        yield self.served.records


@asynccontextmanager
async def in_process(
    settings: Settings,
    capabilities: Sequence[Capability] = CAPABILITIES,
    *,
    mounted: Capability | None = None,
    **rest: Any,
) -> AsyncIterator[InProcessStack]:
    """An application without rate limits. `rest` goes to `serving`."""
    unlimited = settings.model_copy(update={"rate_limit": "off"})
    create = {"mounted": mounted} if mounted else None
    async with serving(unlimited, capabilities, create=create, **rest) as served:
        yield InProcessStack.of(served, mounted.prefix if mounted else "")
