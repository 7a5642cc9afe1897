"""Stock over HTTP: levels, reservations, what is low, and the ledger."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from actors.stock.model import Confirm, Extend, Release
from core.errors import (
    BundleHasNoStock,
    ChooseVariant,
    InsufficientStock,
    MeasureChanged,
    NoOpenHold,
    NotFound,
    ProductDiscontinued,
    ReservationExpired,
    ReservationNotOpen,
    ServiceHasNoStock,
    StockLimitReached,
)
from deployments.business.owners import OWNERS
from deployments.business.places import PLACES
from deployments.inventory.stock import changes, service
from deployments.inventory.stock.schemas import (
    LevelOut,
    LevelQuery,
    LocationQuery,
    LowStockOut,
    MovementOut,
    MovementQuery,
    NewExtension,
    NewRelease,
    NewReservation,
    NewStock,
    PlaceLevelOut,
    ReleasedOut,
    ReservationOut,
    ReservationQuery,
    ReservationRow,
    TermsChanges,
    TermsOut,
)
from deployments.inventory.stock.shapes import low_stock_out, movement_out, reservation_row
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Anyone, AnyoneLists, Key, Manager, Staff, page
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Page, page_of
from store.inventory import reading as stored
from store.kit.engine import PUBLIC, Scope

router = Router()

ProductId = Annotated[UUID, Path(alias="productId")]
ReservationId = Annotated[UUID, Path(alias="reservationId")]


@router.get("/status/low-stock", summary="List what is low in stock")
async def low_stock(
    shared: Shared, principal: AnyoneLists, query: Annotated[LocationQuery, Query()]
) -> Page[LowStockOut]:
    """What is below its threshold, and where: of your business, or, for others, of all."""
    scope = Scope(tenant_id=principal.tenant_id) if principal.tenant_id else PUBLIC
    async with shared.db.transaction(scope) as tx:
        found = await stored.low_stock(tx, query.location_id, query.span)
    return page_of(found.map(low_stock_out))


@router.post(
    "/add",
    summary="Add stock",
    responses=responses(
        NotFound,
        ChooseVariant,
        MeasureChanged,
        ServiceHasNoStock,
        StockLimitReached,
        BundleHasNoStock,
    ),
)
async def add(
    shared: Shared, principal: Manager, key: Key, body: NewStock
) -> Ordered[PlaceLevelOut]:
    """Goods come in; `lowStockThreshold` sets when the level counts as low."""
    return await changes.add(shared, principal, key, body)


@router.post(
    "/reserve",
    summary="Reserve stock",
    responses=responses(
        NotFound,
        ChooseVariant,
        MeasureChanged,
        ServiceHasNoStock,
        InsufficientStock,
        ProductDiscontinued,
    ),
)
async def reserve(
    shared: Shared, principal: Staff, key: Key, body: NewReservation
) -> Ordered[ReservationOut]:
    """Holds goods until confirmed, released or expired: every line, or none."""
    return await service.reserve(shared, principal, key, body)


@router.post(
    "/release",
    summary="Release held stock",
    responses=responses(
        NotFound, ChooseVariant, MeasureChanged, ServiceHasNoStock, NoOpenHold, BundleHasNoStock
    ),
)
async def release_oldest(
    shared: Shared, principal: Staff, key: Key, body: NewRelease
) -> Ordered[ReleasedOut]:
    """Frees the caller's own oldest open holds of a product."""
    return await service.release_oldest(shared, principal, key, body)


@router.get("/reservations", summary="List reservations")
async def reservations(
    shared: Shared, principal: Staff, query: Annotated[ReservationQuery, Query()]
) -> Page[ReservationRow]:
    """The business's reservations, latest first."""
    return await page(
        shared,
        principal,
        lambda tx: stored.list_reservations(
            tx, query.status, query.product_id, query.location_id, query.span
        ),
        reservation_row,
    )


@router.get(
    "/reservations/{reservationId}", summary="Get a reservation", responses=responses(NotFound)
)
async def reservation(
    shared: Shared, principal: Staff, reservation_id: ReservationId
) -> Envelope[ReservationOut]:
    """One reservation as it stands now."""
    return Envelope(data=await service.reservation(shared, principal, reservation_id))


@router.post(
    "/reservations/{reservationId}/confirm",
    summary="Confirm a reservation",
    responses=responses(NotFound, ReservationNotOpen, ReservationExpired),
)
async def confirm(
    shared: Shared, principal: Staff, key: Key, reservation_id: ReservationId
) -> Ordered[ReservationOut]:
    """The goods leave permanently. Too late, they are taken again if they are still free."""
    return await service.change_hold(shared, principal, key, Confirm(reservation_id))


@router.post(
    "/reservations/{reservationId}/extend",
    summary="Extend a reservation",
    responses=responses(NotFound, ReservationNotOpen, ReservationExpired),
)
async def extend(
    shared: Shared,
    principal: Staff,
    key: Key,
    reservation_id: ReservationId,
    body: NewExtension,
) -> Ordered[ReservationOut]:
    """The hold lasts until `ttlSeconds` from now."""
    wanted = Extend(reservation_id, body.ttl_seconds * 1000)
    return await service.change_hold(shared, principal, key, wanted)


@router.post(
    "/reservations/{reservationId}/release",
    summary="Release a reservation",
    responses=responses(NotFound, ReservationNotOpen),
)
async def release(
    shared: Shared, principal: Staff, key: Key, reservation_id: ReservationId
) -> Ordered[ReservationOut]:
    """The hold ends, its goods are free again."""
    return await service.change_hold(shared, principal, key, Release(reservation_id))


@router.get(
    "/{productId}",
    summary="Get the level of a product",
    responses=responses(NotFound, ChooseVariant, ServiceHasNoStock),
)
async def level(
    shared: Shared,
    principal: Anyone,
    product_id: ProductId,
    query: Annotated[LevelQuery, Query()],
) -> Envelope[LevelOut]:
    """The level of a product as its owner has it now: everywhere, or at `locationId`."""
    return Envelope(data=await service.level(shared, principal, product_id, query.location_id))


@router.put(
    "/{productId}/terms",
    summary="Set the terms of a product",
    responses=responses(
        NotFound, ChooseVariant, MeasureChanged, ServiceHasNoStock, BundleHasNoStock
    ),
)
async def terms(
    shared: Shared, principal: Manager, key: Key, product_id: ProductId, body: TermsChanges
) -> Ordered[TermsOut]:
    """What holds for a product at all locations. A lower limit leaves what is promised as it is."""
    return await changes.set_terms(shared, principal, key, product_id, body)


@router.get(
    "/{productId}/movements",
    summary="List the movements of a product",
    responses=responses(NotFound),
)
async def movements(
    shared: Shared,
    principal: Staff,
    product_id: ProductId,
    query: Annotated[MovementQuery, Query()],
) -> Page[MovementOut]:
    """A product's ledger at a location, latest first: as it was recorded, or as things happened."""
    tenant_id = tenant_of(principal)
    await OWNERS.of(shared).check(tenant_id, [product_id])
    location_id = await PLACES.of(shared).check(tenant_id, query.location_id)
    by_occurrence = query.sort == "-occurredAt"
    return await page(
        shared,
        principal,
        lambda tx: stored.movements(
            tx, product_id, location_id, by_occurrence=by_occurrence, span=query.span
        ),
        movement_out,
    )
