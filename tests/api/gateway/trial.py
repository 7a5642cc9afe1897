"""A capability that does nothing but show what the gateway does around it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from core.errors import Conflict, NotFound
from core.principal import MANAGEMENT, STAFF, Principal, Role
from core.request import RequestKey
from core.telemetry import LOGGED
from deployments.kit.capability import Capability
from gateway.access import public_read, require
from gateway.context import context_of
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.routing import HoldfastRoute
from gateway.schemas import Amount, CamelModel, Envelope, PageQuery

router = APIRouter(route_class=HoldfastRoute)
Anyone = Annotated[Principal, Depends(public_read(1))]
SECRET = "postgresql://user:hunter2@db/prod"


class Line(CamelModel):
    product_id: UUID
    quantity: int = Field(ge=1, le=1000)


class Basket(CamelModel):
    lines: list[Line] = Field(min_length=1, max_length=5)
    note: str = Field(default="", max_length=100)
    price: Amount | None = None
    gift: bool = False


class Seen(CamelModel):
    principal: str
    role: str
    tenant_id: UUID | None


class Keyed(CamelModel):
    command_id: UUID
    fingerprint: str
    client_supplied: bool
    lasts_ms: int


@router.get("/open", summary="A trial")
async def open_to_all(principal: Anyone) -> Envelope[Seen]:
    return _seen(principal)


@router.get("/staff", summary="A trial")
async def staff(principal: Annotated[Principal, Depends(require(STAFF))]) -> Envelope[Seen]:
    return _seen(principal)


@router.post("/management", summary="A trial")
async def management(
    principal: Annotated[Principal, Depends(require(MANAGEMENT))], body: Basket
) -> Envelope[Seen]:
    return _seen(principal)


@router.get("/shoppers", summary="A trial")
async def shoppers(
    principal: Annotated[Principal, Depends(require(frozenset({Role.CUSTOMER}), tenant=False))],
) -> Envelope[Seen]:
    return _seen(principal)


@router.get("/page", summary="A trial")
async def page(_: Anyone, query: Annotated[PageQuery, Query()]) -> Envelope[int]:
    return Envelope(data=query.offset)


@router.post("/basket", summary="A trial")
async def basket(_: Anyone, body: Basket) -> Envelope[Basket]:
    return Envelope(data=body)


@router.post("/keyed/{thing}", summary="A trial")
async def keyed(
    _: Anyone,
    key: Annotated[RequestKey, Depends(request_key)],
    thing: int,
    body: Basket,
    x: int | None = None,
) -> Envelope[Keyed]:
    return _keyed(key)


@router.post("/bare", summary="A trial")
async def bare(_: Anyone, key: Annotated[RequestKey, Depends(request_key)]) -> Envelope[Keyed]:
    return _keyed(key)


@router.delete("/page", summary="A trial")
async def no_page(_: Anyone) -> Envelope[int]:
    return Envelope(data=0)


@router.get("/conflict", summary="A trial", responses=responses(Conflict, NotFound))
async def conflict(_: Anyone) -> Envelope[int]:
    raise Conflict(extra={"available": 3})


@router.get("/explode", summary="A trial")
async def explode(_: Anyone) -> Envelope[int]:
    raise RuntimeError(SECRET)


@router.get("/slow", summary="A trial")
async def slow(_: Anyone) -> Envelope[int]:
    await asyncio.sleep(60)
    return Envelope(data=0)


@router.get("/cancelled", summary="A trial")
async def cancelled(_: Anyone) -> Envelope[int]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return Envelope(data=0)


@router.get("/logged", summary="A trial")
async def logged(_: Anyone, request: Request) -> Envelope[dict[str, Any]]:
    logged = LOGGED.get()
    assert logged is context_of(request.scope)
    return Envelope(data=dict(logged.log_facts))


def _seen(principal: Principal) -> Envelope[Seen]:
    return Envelope(
        data=Seen(principal=principal.id, role=principal.role, tenant_id=principal.tenant_id)
    )


def _keyed(key: RequestKey) -> Envelope[Keyed]:
    return Envelope(
        data=Keyed(
            command_id=key.command_id,
            fingerprint=key.fingerprint.hex(),
            client_supplied=key.client_supplied,
            lasts_ms=key.deadline_ms - key.arrived_ms,
        )
    )


capability = Capability("trial", "/api/trial", (router,))
