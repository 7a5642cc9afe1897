"""Transfers between locations over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from actors.stock.transfers import CancelTransfer
from core.errors import (
    BundleHasNoStock,
    ChooseVariant,
    Conflict,
    InsufficientStock,
    MeasureChanged,
    MoreThanShipped,
    NotFound,
    ServiceHasNoStock,
    StockLimitReached,
    TransferClosed,
)
from deployments.inventory.access import Handler
from deployments.inventory.transfers import service
from deployments.inventory.transfers.schemas import Arrival, NewTransfer, TransferOut, TransferQuery
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, page
from gateway.errors import responses
from gateway.schemas import Envelope, Page
from store.inventory import transfers as stored

router = Router()

TransferId = Annotated[UUID, Path(alias="transferId")]


@router.post(
    "/transfers",
    summary="Start a transfer",
    status_code=201,
    responses=responses(
        NotFound,
        ChooseVariant,
        MeasureChanged,
        ServiceHasNoStock,
        BundleHasNoStock,
        InsufficientStock,
        StockLimitReached,
    ),
)
async def start(
    shared: Shared, principal: Handler, key: Key, body: NewTransfer
) -> Ordered[TransferOut]:
    """Goods go from one location to another: all lines or none, both ledgers in one commit. With
    `ship` they are on their way until they are received."""
    return await service.start(shared, principal, key, body)


@router.get("/transfers", summary="List transfers")
async def list_transfers(
    shared: Shared, principal: Handler, query: Annotated[TransferQuery, Query()]
) -> Page[TransferOut]:
    """The business's transfers, latest first; `locationId` is either end."""
    return await page(
        shared,
        principal,
        lambda tx: stored.list_transfers(tx, query.status, query.location_id, query.span),
        service.transfer_of,
    )


@router.get("/transfers/{transferId}", summary="Get a transfer", responses=responses(NotFound))
async def transfer(
    shared: Shared, principal: Handler, transfer_id: TransferId
) -> Envelope[TransferOut]:
    """One transfer as it stands now."""
    return Envelope(data=await service.transfer(shared, principal, transfer_id))


@router.post(
    "/transfers/{transferId}/receive",
    summary="Receive a transfer",
    responses=responses(NotFound, TransferClosed, MoreThanShipped, Conflict, StockLimitReached),
)
async def receive(
    shared: Shared,
    principal: Handler,
    key: Key,
    transfer_id: TransferId,
    body: Arrival,
) -> Ordered[TransferOut]:
    """The goods have arrived: those that `lines` name, or all that were on their way. The transfer
    is received once nothing is outstanding."""
    return await service.receive(shared, principal, key, transfer_id, body)


@router.post(
    "/transfers/{transferId}/cancel",
    summary="Cancel a transfer",
    responses=responses(NotFound, TransferClosed, StockLimitReached),
)
async def cancel(
    shared: Shared, principal: Handler, key: Key, transfer_id: TransferId
) -> Ordered[TransferOut]:
    """What has not arrived is back where it came from."""
    return await service.decided(shared, principal, key, CancelTransfer(transfer_id))
