"""What a business says about itself, where it is, how its goods are taxed, who changed what."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from core.errors import Conflict, InUse, NotFound
from core.principal import MANAGEMENT, OWNERS, STAFF, Principal
from core.request import RequestKey
from deployments.business import service
from deployments.business.schemas import (
    AuditOut,
    AuditQuery,
    BusinessChanges,
    BusinessOut,
    LocationChanges,
    LocationOut,
    NewLocation,
    NewTaxClass,
    NewTaxRate,
    TaxClassChanges,
    TaxClassOut,
    TaxRateChanges,
    TaxRateOut,
    TaxRateQuery,
)
from deployments.kit.records import TooMany
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from gateway.access import require
from gateway.answers import response
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.schemas import Envelope, Message, Page, PageQuery, page_of
from store.business.taxes import of_class

router = Router()

LocationId = Annotated[UUID, Path(alias="locationId")]
TaxClassId = Annotated[UUID, Path(alias="taxClassId")]
TaxRateId = Annotated[UUID, Path(alias="taxRateId")]

Key = Annotated[RequestKey, Depends(request_key)]
Member = Annotated[Principal, Depends(require(STAFF))]
Manager = Annotated[Principal, Depends(require(MANAGEMENT))]
Owner = Annotated[Principal, Depends(require(OWNERS))]
# What cannot be taken back is no script's to do.
Closer = Annotated[Principal, Depends(require(OWNERS, signed_in=True))]
Paging = Annotated[PageQuery, Query()]


@router.get("", summary="Get the business")
async def get_business(principal: Member, shared: Shared) -> Envelope[BusinessOut]:
    """The business that you act for."""
    return await service.profile(shared.db, principal)


@router.put(
    "",
    summary="Change the business",
    response_model=Envelope[BusinessOut],
    responses=responses(NotFound, Conflict),
)
async def change_business(
    principal: Manager, shared: Shared, key: Key, body: BusinessChanges
) -> Response:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    business still has it."""
    return response(await service.change_profile(shared.db, principal, key, body))


@router.delete(
    "", summary="Delete the business", response_model=Message, responses=responses(NotFound)
)
async def delete_business(principal: Closer, shared: Shared, key: Key) -> Response:
    """Ends the business: nobody can sign in to it any more, its keys and invitations end, and
    its products leave the public catalogue. Its history is kept."""
    return response(await service.close_business(shared, principal, key))


@router.get("/locations", summary="List locations")
async def list_locations(principal: Member, shared: Shared, query: Paging) -> Page[LocationOut]:
    """Locations that are not deleted, the oldest first."""
    return page_of(await service.location_records(shared).part(principal, query.span))


@router.get("/locations/{locationId}", summary="Get a location", responses=responses(NotFound))
async def get_location(
    principal: Member, shared: Shared, location_id: LocationId
) -> Envelope[LocationOut]:
    return Envelope(data=await service.location_records(shared).get(principal, location_id))


@router.post(
    "/locations",
    summary="Create a location",
    status_code=201,
    response_model=Envelope[LocationOut],
    responses=responses(Conflict, TooMany),
)
async def create_location(
    principal: Manager, shared: Shared, key: Key, body: NewLocation
) -> Response:
    """A further place where the business sells and keeps stock."""
    records = service.location_records(shared)
    return response(await records.create(principal, key, body.values()))


@router.put(
    "/locations/{locationId}",
    summary="Change a location",
    response_model=Envelope[LocationOut],
    responses=responses(NotFound, Conflict),
)
async def change_location(
    principal: Manager, shared: Shared, key: Key, location_id: LocationId, body: LocationChanges
) -> Response:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    location still has it."""
    records = service.location_records(shared)
    return response(await records.change(principal, key, location_id, body.values(), body.version))


@router.delete(
    "/locations/{locationId}",
    summary="Delete a location",
    response_model=Message,
    responses=responses(NotFound, service.MainLocationStays, InUse),
)
async def delete_location(
    principal: Manager, shared: Shared, key: Key, location_id: LocationId
) -> Response:
    """Nothing new happens there, within half a minute everywhere; its history stays. The main
    location cannot be deleted."""
    return response(await service.remove_location(shared, principal, key, location_id))


@router.get("/tax-classes", summary="List tax classes")
async def list_tax_classes(principal: Member, shared: Shared, query: Paging) -> Page[TaxClassOut]:
    """Kinds of goods that are taxed alike."""
    return page_of(await service.tax_class_records(shared.db).part(principal, query.span))


@router.post(
    "/tax-classes",
    summary="Create a tax class",
    status_code=201,
    response_model=Envelope[TaxClassOut],
    responses=responses(Conflict, TooMany),
)
async def create_tax_class(
    principal: Manager, shared: Shared, key: Key, body: NewTaxClass
) -> Response:
    """A new default class takes the place of the one before."""
    records = service.tax_class_records(shared.db)
    return response(await records.create(principal, key, body.values()))


@router.put(
    "/tax-classes/{taxClassId}",
    summary="Change a tax class",
    response_model=Envelope[TaxClassOut],
    responses=responses(NotFound, Conflict),
)
async def change_tax_class(
    principal: Manager, shared: Shared, key: Key, tax_class_id: TaxClassId, body: TaxClassChanges
) -> Response:
    """Replaces what the body gives; what it leaves out stays."""
    records = service.tax_class_records(shared.db)
    return response(await records.change(principal, key, tax_class_id, body.values(), body.version))


@router.delete(
    "/tax-classes/{taxClassId}",
    summary="Delete a tax class",
    response_model=Message,
    responses=responses(NotFound, InUse),
)
async def delete_tax_class(
    principal: Manager, shared: Shared, key: Key, tax_class_id: TaxClassId
) -> Response:
    """Only when no product or variant has it. What was sold with it keeps what it was taxed."""
    records = service.tax_class_records(shared.db)
    return response(await records.remove(principal, key, tax_class_id))


@router.get("/tax-rates", summary="List tax rates")
async def list_tax_rates(
    principal: Member, shared: Shared, query: Annotated[TaxRateQuery, Query()]
) -> Page[TaxRateOut]:
    """Rates past, present and future, the newest of each class first. At a moment the newest that
    has begun holds; a location's own beats one for everywhere."""
    wanted = query.tax_class_id
    conditions = [] if wanted is None else [of_class(wanted)]
    records = service.tax_rate_records(shared.db, shared.clock)
    return page_of(await records.part(principal, query.span, *conditions))


@router.post(
    "/tax-rates",
    summary="Create a tax rate",
    status_code=201,
    response_model=Envelope[TaxRateOut],
    responses=responses(NotFound, Conflict, TooMany),
)
async def create_tax_rate(
    principal: Manager, shared: Shared, key: Key, body: NewTaxRate
) -> Response:
    """What goods of a class are taxed with from a moment on, everywhere or at one location."""
    records = service.tax_rate_records(shared.db, shared.clock)
    return response(await records.create(principal, key, body.values()))


@router.put(
    "/tax-rates/{taxRateId}",
    summary="Change a tax rate",
    response_model=Envelope[TaxRateOut],
    responses=responses(NotFound, Conflict),
)
async def change_tax_rate(
    principal: Manager, shared: Shared, key: Key, tax_rate_id: TaxRateId, body: TaxRateChanges
) -> Response:
    """Puts a mistake right; sales that were made stay as they are."""
    records = service.tax_rate_records(shared.db, shared.clock)
    return response(await records.change(principal, key, tax_rate_id, body.values(), body.version))


@router.delete(
    "/tax-rates/{taxRateId}",
    summary="Delete a tax rate",
    response_model=Message,
    responses=responses(NotFound),
)
async def delete_tax_rate(
    principal: Manager, shared: Shared, key: Key, tax_rate_id: TaxRateId
) -> Response:
    """Whatever rate held before it, or holds everywhere, holds again."""
    records = service.tax_rate_records(shared.db, shared.clock)
    return response(await records.remove(principal, key, tax_rate_id))


@router.get("/audit-log", summary="Who changed what")
async def read_audit_log(
    principal: Owner, shared: Shared, query: Annotated[AuditQuery, Query()]
) -> Page[AuditOut]:
    """Every change of the business, its people, keys, master data, catalogue and suppliers, newest
    first. It holds no secrets, and nobody can change it."""
    found = await service.audit_log(shared.db, principal, query.filters(), query.span)
    return page_of(found.map(AuditOut.of))
