"""What the tests of keys share: both kinds of them, a capability to use them on, and calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
from fastapi import APIRouter, Depends

from core.principal import STAFF, Principal
from deployments.business.capability import capability as business
from deployments.kit.capability import Capability
from deployments.users.capability import capability as users
from gateway.access import require
from gateway.routing import HoldfastRoute
from gateway.schemas import Message
from tests.api.harness import BASE, Served
from tests.api.people import Session


@dataclass(frozen=True)
class Kind:
    """A machine's keys, or a person's."""

    url: str
    prefix: str


SERVICE = Kind("/api/auth/service-keys", "hfk_")
API = Kind("/api/auth/api-keys", "hfa_")
KINDS = (SERVICE, API)

router = APIRouter(route_class=HoldfastRoute)
Worker = Annotated[Principal, Depends(require(STAFF))]


@router.get("/levels", summary="A trial")
async def read(principal: Worker) -> Message:
    return Message(message=f"{principal.tenant_id} {principal.id} {principal.role.value}")


@router.post("/levels", summary="A trial")
async def write(principal: Worker) -> Message:
    return Message(message=str(principal.tenant_id))


ALL = (*BASE, business, users, Capability("stock", "/api/stock", (router,)))


async def create(
    served: Served, who: Session, kind: Kind, key: str | None = None, **changes: Any
) -> httpx2.Response:
    body = {"name": "till 1", "scopes": ["stock:write"]} | changes
    headers = who.auth | ({"Idempotency-Key": key} if key else {})
    return await served.http.post(kind.url, json=body, headers=headers)


async def new_key(served: Served, who: Session, kind: Kind, **changes: Any) -> tuple[str, str]:
    """Id and secret."""
    answer = await create(served, who, kind, **changes)
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return data["id"], data["secret"]


async def rotate(
    served: Served, who: Session, kind: Kind, key_id: str, grace: int = 0, key: str = ""
) -> httpx2.Response:
    headers = who.auth | ({"Idempotency-Key": key} if key else {})
    body = {"graceSeconds": grace}
    return await served.http.post(f"{kind.url}/{key_id}/rotate", json=body, headers=headers)


async def use(served: Served, secret: str) -> httpx2.Response:
    """Reads what the scopes `stock:*` are for."""
    return await served.http.get("/api/stock/levels", headers={"Authorization": f"Bearer {secret}"})
