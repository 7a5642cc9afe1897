"""Parked sales: a basket put aside, and taken up at any register of its location."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Response

from core.errors import NotFound
from core.ids import uuid7
from core.principal import Principal
from core.request import RequestKey
from deployments.business.places import location_of
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos import schemas as s
from deployments.pos.errors import TooManyParked
from deployments.pos.router import Key, Till
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page, page_of
from store.business import locations
from store.kit.commands import Recorded, once
from store.kit.engine import Scope
from store.pos import reading

router = Router()

ParkedId = Annotated[UUID, Path(alias="parkedId")]


@router.post(
    "/parked-sales",
    summary="Park a sale",
    status_code=201,
    response_model=Envelope[a.ParkedOut],
    responses=responses(NotFound, TooManyParked),
)
async def park(shared: Shared, principal: Till, key: Key, body: s.ParkBody) -> Response:
    """Puts a basket aside. Nothing is held for it: prices and stock are those of the moment in
    which it is sold."""
    tenant_id = tenant_of(principal)
    place = location_of(principal, body.basket.location_id)
    row = {
        "id": uuid7(),
        "tenant_id": tenant_id,
        "location_id": place,
        "label": body.label,
        "basket": body.basket.model_dump(mode="json", by_alias=True, exclude_none=True),
        "parked_by": principal.id,
    }
    async with shared.db.transaction(Scope(tenant_id)) as tx:

        async def work() -> Recorded:
            if place != tenant_id and place not in await locations.live_ids(tx):
                raise NotFound(f"There is no location {place} here.")
            made = await reading.park(tx, row)
            if made is None:
                raise TooManyParked
            return _recorded(201, Envelope(data=_parked(made)))

        return _answer(await once(tx, tenant_id, key, work))


@router.get("/parked-sales", summary="List parked sales")
async def list_parked(
    shared: Shared, principal: Till, query: Annotated[s.LocationQuery, Query()]
) -> Page[a.ParkedOut]:
    """Baskets put aside, oldest first."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.parked(tx, query.location_id, query.span)
    return page_of(found.map(_parked))


@router.post(
    "/parked-sales/{parkedId}/resume",
    summary="Resume a parked sale",
    response_model=Envelope[a.ParkedOut],
    responses=responses(NotFound),
)
async def resume(shared: Shared, principal: Till, key: Key, parked_id: ParkedId) -> Response:
    """Takes a basket up: it is parked no more. Of two registers that try, one gets it."""
    return await _taken(shared, principal, key, parked_id)


@router.delete(
    "/parked-sales/{parkedId}",
    summary="Delete a parked sale",
    response_model=Message,
    responses=responses(NotFound),
)
async def drop(shared: Shared, principal: Till, key: Key, parked_id: ParkedId) -> Response:
    """Forgets a parked basket."""
    return await _taken(shared, principal, key, parked_id, Message(message="Parked sale deleted"))


async def _taken(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    parked_id: UUID,
    said: Message | None = None,
) -> Response:
    tenant_id = tenant_of(principal)
    async with shared.db.transaction(Scope(tenant_id)) as tx:

        async def work() -> Recorded:
            row = await reading.unpark(tx, parked_id)
            if row is None:
                raise NotFound("There is no such parked sale here.")
            return _recorded(200, said or Envelope(data=_parked(row)))

        return _answer(await once(tx, tenant_id, key, work))


def _parked(row: Any) -> a.ParkedOut:
    return a.ParkedOut(
        parked_id=row["id"],
        location_id=row["location_id"],
        label=row["label"],
        basket=row["basket"],
        parked_by=row["parked_by"],
        parked_at=row["parked_at"],
    )


def _recorded(status: int, body: Envelope[a.ParkedOut] | Message) -> Recorded:
    return Recorded(status, body.model_dump_json(by_alias=True).encode())


def _answer(recorded: Recorded) -> Response:
    return Response(recorded.body, recorded.status, media_type="application/json")
