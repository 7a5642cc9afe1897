"""Parked sales: a basket put aside, and taken up at any register of its location."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from core.errors import NotFound
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, Staff, page
from deployments.pos.errors import TooManyParked
from deployments.pos.parked import service
from deployments.pos.parked.schemas import NewParkedSale, ParkedQuery, ParkedSaleOut
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page
from store.pos import reading

router = Router()

ParkedId = Annotated[UUID, Path(alias="parkedSaleId")]


@router.post(
    "/parked-sales",
    summary="Park a sale",
    status_code=201,
    responses=responses(NotFound, TooManyParked),
)
async def park(
    shared: Shared, principal: Staff, key: Key, body: NewParkedSale
) -> Made[ParkedSaleOut]:
    """Puts a basket aside. Nothing is held for it: prices and stock are those of the moment in
    which it is sold."""
    return await service.park(shared, principal, key, body)


@router.get("/parked-sales", summary="List parked sales")
async def list_parked(
    shared: Shared, principal: Staff, query: Annotated[ParkedQuery, Query()]
) -> Page[ParkedSaleOut]:
    """Baskets put aside, oldest first."""
    return await page(
        shared,
        principal,
        lambda tx: reading.parked(tx, query.location_id, query.span),
        service.parked_of,
    )


@router.get(
    "/parked-sales/{parkedSaleId}", summary="Get a parked sale", responses=responses(NotFound)
)
async def get_parked(
    shared: Shared, principal: Staff, parked_id: ParkedId
) -> Envelope[ParkedSaleOut]:
    """A basket that still waits."""
    return Envelope(data=await service.one(shared, principal, parked_id))


@router.post(
    "/parked-sales/{parkedSaleId}/resume",
    summary="Resume a parked sale",
    responses=responses(NotFound),
)
async def resume(
    shared: Shared, principal: Staff, key: Key, parked_id: ParkedId
) -> Made[ParkedSaleOut]:
    """Takes a basket up: it is parked no more. Of two registers that try, one gets it."""
    return await service.resume(shared, principal, key, parked_id)


@router.delete(
    "/parked-sales/{parkedSaleId}",
    summary="Delete a parked sale",
    responses=responses(NotFound),
)
async def drop(shared: Shared, principal: Staff, key: Key, parked_id: ParkedId) -> Made[Message]:
    """Forgets a parked basket."""
    return await service.drop(shared, principal, key, parked_id)
