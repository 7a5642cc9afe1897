"""Stock over HTTP: levels, reservations, what is low, and the ledger."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from actors.messages import Command
from actors.stock import model as m
from core.errors import (
    BundleHasNoStock,
    ChooseVariant,
    InsufficientStock,
    NoOpenHold,
    NotFound,
    ProductDiscontinued,
    ReservationExpired,
    ReservationNotOpen,
    StockLimitReached,
)
from core.principal import MANAGEMENT, STAFF, Principal
from core.request import RequestKey
from deployments.business.owners import OWNERS
from deployments.business.places import PLACES
from deployments.inventory.stock import schemas as s
from deployments.inventory.stock import service
from deployments.kit import desk
from deployments.kit.receipts import RECEIPT, set_receipt
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from gateway.access import public_read, require
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.schemas import Envelope, Page, page_of
from store.inventory import reading as stored
from store.kit.engine import PUBLIC, Scope
from store.kit.paging import Row

router = Router()

Anyone = Annotated[Principal, Depends(public_read(1))]
AnyoneLists = Annotated[Principal, Depends(public_read(4))]
Staff = Annotated[Principal, Depends(require(STAFF))]
Manager = Annotated[Principal, Depends(require(MANAGEMENT))]
ProductId = Annotated[UUID, Path(alias="productId")]
ReservationId = Annotated[UUID, Path(alias="reservationId")]
Key = Annotated[RequestKey, Depends(request_key)]


@router.get("/status/low-stock", summary="List what is low in stock")
async def low_stock(
    shared: Shared, principal: AnyoneLists, query: Annotated[s.LocationQuery, Query()]
) -> Page[s.LowStockOut]:
    """What is below its threshold, and where: of your business, or, for others, of all."""
    scope = Scope(tenant_id=principal.tenant_id) if principal.tenant_id else PUBLIC
    async with shared.db.transaction(scope) as tx:
        found = await stored.low_stock(tx, query.location_id, query.span)
    return page_of(found.map(_low))


@router.post(
    "/add",
    summary="Add stock",
    responses=RECEIPT | responses(NotFound, ChooseVariant, StockLimitReached, BundleHasNoStock),
)
async def add(
    shared: Shared, principal: Manager, key: Key, body: s.AddBody, response: Response
) -> Envelope[s.PlaceLevel]:
    """Goods come in; `lowStockThreshold` sets when the level counts as low."""

    async def draft() -> m.AddStock:
        await service.check(shared, principal, [body.product_id], [body.location_id])
        return m.AddStock(
            body.product_id,
            body.quantity,
            body.low_stock_threshold,
            body.reference,
            body.location_id,
        )

    reply, receipts = await desk.send(shared, principal, key, draft)
    set_receipt(response, receipts)
    return Envelope(data=service.place_level(service.tenant_of(principal), reply.levels[0]))


@router.post(
    "/reserve",
    summary="Reserve stock",
    responses=RECEIPT | responses(NotFound, ChooseVariant, InsufficientStock, ProductDiscontinued),
)
async def reserve(
    shared: Shared, principal: Staff, key: Key, body: s.ReserveBody, response: Response
) -> Envelope[s.ReservationOut]:
    """Holds goods until confirmed, released or expired: every line, or none."""
    hold, receipts = await service.reserve(shared, principal, key, body)
    set_receipt(response, receipts)
    return Envelope(data=service.reservation_out(service.tenant_of(principal), hold))


@router.post(
    "/release",
    summary="Release held stock",
    responses=RECEIPT | responses(NotFound, ChooseVariant, NoOpenHold, BundleHasNoStock),
)
async def release_oldest(
    shared: Shared, principal: Staff, key: Key, body: s.ReleaseBody, response: Response
) -> Envelope[s.ReleasedOut]:
    """Frees the caller's own oldest open holds of a product."""

    async def draft() -> m.ReleaseOldest:
        await service.check(shared, principal, [body.product_id], [body.location_id])
        return m.ReleaseOldest(body.product_id, body.quantity, body.location_id)

    freed, receipts = await desk.send(shared, principal, key, draft)
    set_receipt(response, receipts)
    return Envelope(
        data=s.ReleasedOut(
            product_id=body.product_id,
            released=freed.quantity,
            quantity=max(freed.level.available, 0),
            reservation_ids=list(freed.reservation_ids),
        )
    )


@router.get("/reservations", summary="List reservations")
async def reservations(
    shared: Shared, principal: Staff, query: Annotated[s.ReservationQuery, Query()]
) -> Page[s.ReservationRow]:
    """The business's reservations, latest first."""
    async with shared.db.transaction(Scope(tenant_id=principal.tenant_id)) as tx:
        found = await stored.list_reservations(
            tx, query.status, query.product_id, query.location_id, query.span
        )
    return page_of(found.map(_reservation_row))


@router.get(
    "/reservations/{reservationId}", summary="Get a reservation", responses=responses(NotFound)
)
async def reservation(
    shared: Shared, principal: Staff, reservation_id: ReservationId
) -> Envelope[s.ReservationOut]:
    """One reservation as it stands now."""
    hold = await service.reservation(shared, principal, reservation_id)
    return Envelope(data=service.reservation_out(service.tenant_of(principal), hold))


@router.post(
    "/reservations/{reservationId}/confirm",
    summary="Confirm a reservation",
    responses=RECEIPT | responses(NotFound, ReservationNotOpen, ReservationExpired),
)
async def confirm(
    shared: Shared,
    principal: Staff,
    key: Key,
    reservation_id: ReservationId,
    response: Response,
) -> Envelope[s.ReservationOut]:
    """The goods leave for good. Too late, they are taken again if they are still free."""
    return await _act(shared, principal, key, m.Confirm(reservation_id), response)


@router.post(
    "/reservations/{reservationId}/extend",
    summary="Extend a reservation",
    responses=RECEIPT | responses(NotFound, ReservationNotOpen, ReservationExpired),
)
async def extend(
    shared: Shared,
    principal: Staff,
    key: Key,
    reservation_id: ReservationId,
    body: s.ExtendBody,
    response: Response,
) -> Envelope[s.ReservationOut]:
    """The hold lasts until `ttlSeconds` from now."""
    wanted = m.Extend(reservation_id, body.ttl_seconds * 1000)
    return await _act(shared, principal, key, wanted, response)


@router.post(
    "/reservations/{reservationId}/release",
    summary="Release a reservation",
    responses=RECEIPT | responses(NotFound, ReservationNotOpen),
)
async def release(
    shared: Shared,
    principal: Staff,
    key: Key,
    reservation_id: ReservationId,
    response: Response,
) -> Envelope[s.ReservationOut]:
    """The hold ends, its goods are free again."""
    return await _act(shared, principal, key, m.Release(reservation_id), response)


@router.get(
    "/{productId}", summary="Get the level of an item", responses=responses(NotFound, ChooseVariant)
)
async def level(
    shared: Shared,
    principal: Anyone,
    product_id: ProductId,
    query: Annotated[s.LevelQuery, Query()],
) -> Envelope[s.LevelOut]:
    """The level of an item as its owner has it now: everywhere, or at `locationId`."""
    return Envelope(data=await service.level(shared, principal, product_id, query.location_id))


@router.put(
    "/{productId}/terms",
    summary="Set the terms of an item",
    responses=RECEIPT | responses(NotFound, ChooseVariant, BundleHasNoStock),
)
async def terms(
    shared: Shared,
    principal: Manager,
    key: Key,
    product_id: ProductId,
    body: s.TermsBody,
    response: Response,
) -> Envelope[s.TermsOut]:
    """What holds for an item at all locations. A lower limit leaves what is promised as it is."""

    async def draft() -> m.SetItemTerms:
        await service.check(shared, principal, [product_id])
        return m.SetItemTerms(product_id, backorder_limit=body.backorder_limit)

    reply, receipts = await desk.send(shared, principal, key, draft)
    set_receipt(response, receipts)
    return Envelope(data=s.TermsOut(product_id=product_id, backorder_limit=reply.backorder_limit))


@router.get(
    "/{productId}/movements", summary="List the movements of an item", responses=responses(NotFound)
)
async def movements(
    shared: Shared,
    principal: Staff,
    product_id: ProductId,
    query: Annotated[s.MovementQuery, Query()],
) -> Page[s.MovementOut]:
    """An item's ledger at a location, latest first: as it was recorded, or as things happened."""
    tenant_id = service.tenant_of(principal)
    await OWNERS.of(shared).check(tenant_id, [product_id])
    location_id = await PLACES.of(shared).check(tenant_id, query.location_id)
    async with shared.db.transaction(Scope(tenant_id=tenant_id)) as tx:
        found = await stored.movements(
            tx,
            product_id,
            location_id,
            by_occurrence=query.sort == "-occurredAt",
            span=query.span,
        )
    fields = s.MovementOut.model_fields
    return page_of(found.map(lambda row: s.MovementOut(**{name: row[name] for name in fields})))


async def _act(
    shared: Shared,
    principal: Principal,
    key: RequestKey,
    wanted: Command[m.Hold],
    response: Response,
) -> Envelope[s.ReservationOut]:
    hold, receipts = await desk.send(shared, principal, key, wanted)
    set_receipt(response, receipts)
    return Envelope(data=service.reservation_out(service.tenant_of(principal), hold))


def _low(row: Row) -> s.LowStockOut:
    return s.LowStockOut(
        product_id=row["product_id"],
        location_id=row["location_id"],
        quantity=max(row["available"], 0),
        low_stock_threshold=row["low_stock_threshold"],
    )


def _reservation_row(row: Row) -> s.ReservationRow:
    return s.ReservationRow(
        reservation_id=row["id"],
        location_id=row["location_id"],
        status=m.Status(row["status"]),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        reference=row["reference"],
        lines=[
            s.LineBody(product_id=product, quantity=quantity)
            for product, quantity in zip(row["product_ids"], row["quantities"], strict=True)
        ],
    )
