"""Keys for machines."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from core.errors import NotFound
from deployments.auth import keys
from deployments.auth.access import In, Key, Manager
from deployments.auth.schemas import NewServiceKeyOut, RotationIn, ServiceKeyIn, ServiceKeyOut
from gateway.answers import response
from gateway.errors import responses
from gateway.routing import HoldfastRoute
from gateway.schemas import Envelope, Page, PageQuery, Pagination

router = APIRouter(route_class=HoldfastRoute)


@router.post(
    "/service-keys",
    summary="Create a service key",
    status_code=201,
    response_model=Envelope[NewServiceKeyOut],
    responses=responses(keys.TooManyKeys),
)
async def create_service_key(
    principal: Manager, resources: In, key: Key, body: ServiceKeyIn
) -> Response:
    """A key for a machine that acts for your business, within its scopes. The secret is shown
    in this answer and never again."""
    recorded = await keys.create_service_key(
        resources.db,
        resources.clock,
        principal,
        key,
        name=body.name,
        scopes=body.scopes,
        expires_at=body.expires_at,
        rate_limit_per_second=body.rate_limit_per_second,
    )
    return response(recorded)


@router.get("/service-keys", summary="List service keys")
async def list_service_keys(
    principal: Manager, resources: In, query: Annotated[PageQuery, Query()]
) -> Page[ServiceKeyOut]:
    """The keys of your business, newest first, revoked ones too."""
    found, total = await keys.list_service_keys(
        resources.db, principal, page=query.page, limit=query.limit
    )
    return Page(
        data=[ServiceKeyOut.of(one) for one in found],
        pagination=Pagination(page=query.page, limit=query.limit, total=total),
    )


@router.post(
    "/service-keys/{key_id}/rotate",
    summary="Rotate a service key",
    status_code=201,
    response_model=Envelope[NewServiceKeyOut],
    responses=responses(NotFound, keys.TooManyKeys, keys.KeyEnded),
)
async def rotate_service_key(
    principal: Manager, resources: In, key: Key, key_id: UUID, body: RotationIn
) -> Response:
    """A new key with the name, scopes, limits and expiry of an old one, which ends: at once, or
    after a grace in which both are good. The secret is shown in this answer and never again."""
    recorded = await keys.rotate_service_key(
        resources.db,
        resources.edge,
        resources.clock,
        principal,
        key,
        key_id,
        body.grace_seconds,
    )
    return response(recorded)


@router.delete(
    "/service-keys/{key_id}",
    summary="Revoke a service key",
    response_model=Envelope[ServiceKeyOut],
    responses=responses(NotFound),
)
async def revoke_service_key(principal: Manager, resources: In, key: Key, key_id: UUID) -> Response:
    """Ends a key for good, within seconds everywhere."""
    return response(
        await keys.revoke_service_key(resources.db, resources.edge, principal, key, key_id)
    )
