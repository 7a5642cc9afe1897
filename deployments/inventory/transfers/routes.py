"""Transfers between locations over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from actors.messages import Command
from actors.stock import model as m
from actors.stock import transfers as t
from core.errors import (
    BundleHasNoStock,
    ChooseVariant,
    FieldError,
    InsufficientStock,
    NotFound,
    StockLimitReached,
    TransferClosed,
    ValidationFailed,
)
from core.ids import uuid7
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.inventory.stock import schemas as s
from deployments.inventory.stock import service
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import RECEIPT, set_receipt
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from gateway.access import require
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.schemas import Envelope, Page, page_of
from store.inventory import transfers as stored
from store.kit.engine import Scope
from store.kit.paging import Row

router = Router()

# Those who handle goods; a cashier does not.
Handler = Annotated[Principal, Depends(require(MANAGEMENT | {Role.STAFF, Role.SERVICE}))]
TransferId = Annotated[UUID, Path(alias="transferId")]
Key = Annotated[RequestKey, Depends(request_key)]


@router.post(
    "/transfers",
    summary="Start a transfer",
    responses=RECEIPT
    | responses(NotFound, ChooseVariant, BundleHasNoStock, InsufficientStock, StockLimitReached),
)
async def start(
    shared: Shared, principal: Handler, key: Key, body: s.TransferBody, response: Response
) -> Envelope[s.TransferOut]:
    """Goods go from one location to another: all lines or none, both ledgers in one commit. With
    `ship` they are on their way until they are received."""

    async def draft() -> t.StartTransfer:
        tenant_id = await service.check(
            shared,
            principal,
            (line.product_id for line in body.lines),
            (body.from_location_id, body.to_location_id),
        )
        source = body.from_location_id or tenant_id
        target = body.to_location_id or tenant_id
        if source == target:
            message = "must be another location than `fromLocationId`"
            raise ValidationFailed([FieldError("toLocationId", message)])
        lines = tuple(m.Line(line.product_id, line.quantity) for line in body.lines)
        return t.StartTransfer(uuid7(), lines, source, target, body.ship, body.reference)

    return await _act(shared, principal, key, draft, response)


@router.get("/transfers", summary="List transfers")
async def list_transfers(
    shared: Shared, principal: Handler, query: Annotated[s.TransferQuery, Query()]
) -> Page[s.TransferOut]:
    """The business's transfers, latest first; `locationId` is either end."""
    async with shared.db.transaction(Scope(tenant_id=principal.tenant_id)) as tx:
        found = await stored.list_transfers(tx, query.status, query.location_id, query.span)
    return page_of(found.map(_row))


@router.get("/transfers/{transferId}", summary="Get a transfer", responses=responses(NotFound))
async def transfer(
    shared: Shared, principal: Handler, transfer_id: TransferId
) -> Envelope[s.TransferOut]:
    """One transfer as it stands now."""
    wanted = t.GetTransfer(transfer_id)
    return Envelope(data=_out(await desk.ask(shared, principal, wanted)))


@router.post(
    "/transfers/{transferId}/receive",
    summary="Receive a transfer",
    responses=RECEIPT | responses(NotFound, TransferClosed, StockLimitReached),
)
async def receive(
    shared: Shared, principal: Handler, key: Key, transfer_id: TransferId, response: Response
) -> Envelope[s.TransferOut]:
    """The goods have arrived."""
    return await _act(shared, principal, key, t.ReceiveTransfer(transfer_id), response)


@router.post(
    "/transfers/{transferId}/cancel",
    summary="Cancel a transfer",
    responses=RECEIPT | responses(NotFound, TransferClosed, StockLimitReached),
)
async def cancel(
    shared: Shared, principal: Handler, key: Key, transfer_id: TransferId, response: Response
) -> Envelope[s.TransferOut]:
    """The goods are back where they came from."""
    return await _act(shared, principal, key, t.CancelTransfer(transfer_id), response)


async def _act(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: Command[t.TransferReply] | Draft[t.TransferReply],
    response: Response,
) -> Envelope[s.TransferOut]:
    reply, receipts = await desk.send(shared, principal, key, wanted)
    set_receipt(response, receipts)
    return Envelope(data=_out(reply))


def _row(row: Row) -> s.TransferOut:
    return s.TransferOut(
        transfer_id=row["id"],
        status=t.TransferStatus(row["status"]),
        from_location_id=row["from_location_id"],
        to_location_id=row["to_location_id"],
        lines=[
            s.LineBody(product_id=product, quantity=quantity)
            for product, quantity in zip(row["product_ids"], row["quantities"], strict=True)
        ],
        reference=row["reference"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        closed_at=row["closed_at"],
    )


def _out(reply: t.TransferReply) -> s.TransferOut:
    known = reply.transfer
    return s.TransferOut(
        transfer_id=reply.transfer_id,
        status=known.status,
        from_location_id=known.from_location_id,
        to_location_id=known.to_location_id,
        lines=[s.LineBody(product_id=one, quantity=quantity) for one, quantity in known.lines],
        reference=known.reference,
        created_by=known.created_by,
        created_at=service.moment(known.created_at_ms),
        closed_at=None if known.closed_at_ms is None else service.moment(known.closed_at_ms),
    )
