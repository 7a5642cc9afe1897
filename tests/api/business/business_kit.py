"""What the tests of a business share: calls of its routes, and what it has told of itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import text

from core.ids import uuid7
from core.principal import Role
from deployments.business.capability import capability as business
from deployments.catalog.capability import capability as catalog
from deployments.inventory.capability import capability as inventory
from store.kit.engine import Scope
from tests.api.harness import BASE, Served
from tests.api.people import Session

URL = "/api/business"
ALL = (*BASE, business, catalog, inventory)


async def call(
    served: Served, who: Session, method: str, path: str = "", body: Any = None, key: str = ""
) -> httpx2.Response:
    headers = who.auth | ({"Idempotency-Key": key} if key else {})
    return await served.http.request(method, URL + path, json=body, headers=headers)


async def made(served: Served, who: Session, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await call(served, who, "POST", path, body)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def fields(answer: httpx2.Response, status: int = 400) -> list[str]:
    assert answer.status_code == status, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def member(served: Served, owner: Session, role: Role) -> Session:
    """Somebody with that role's token; as far as these routes look, a member."""
    token = served.resources.edge.tokens.issue(uuid7(), role, UUID(owner.user["tenantId"]), uuid7())
    return Session(token, "", {})


async def events(served: Served, owner: Session) -> list[str]:
    """What the business has told of itself, in order."""
    async with served.resources.db.transaction(Scope(UUID(owner.user["tenantId"]))) as tx:
        found = await tx.execute(
            text("SELECT type FROM outbox WHERE type LIKE 'business.%' ORDER BY id")
        )
        return [row.type for row in found]
