"""Keys for machines, which act for a business, and for scripts, which act as a person in it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Response

from core.errors import NotFound
from core.principal import Principal
from core.request import RequestKey
from deployments.auth.access import In, Key, Manager, Member
from deployments.auth.keys import service as keys
from deployments.auth.schemas import (
    ApiKeyIn,
    ApiKeyQuery,
    IssuedKeyOut,
    KeyOut,
    KeyRotation,
    NewKey,
    ServiceKeyIn,
)
from deployments.kit.router import Router
from gateway.answers import response
from gateway.errors import responses
from gateway.resources import Resources
from gateway.schemas import Envelope, Page, PageQuery, page_of

router = Router()

KeyId = Annotated[UUID, Path(alias="keyId")]


@router.post(
    "/service-keys",
    summary="Create a service key",
    status_code=201,
    response_model=Envelope[IssuedKeyOut],
    responses=responses(keys.TooManyKeys),
)
async def create_service_key(
    principal: Manager, resources: In, key: Key, body: ServiceKeyIn
) -> Response:
    """A key for a machine that acts for your business, within its scopes. The secret is shown
    in this answer and never again."""
    return await _create(resources, keys.business_of(principal), principal, key, body)


@router.get("/service-keys", summary="List service keys")
async def list_service_keys(
    principal: Manager, resources: In, query: Annotated[PageQuery, Query()]
) -> Page[KeyOut]:
    """The keys of your business, newest first, revoked ones too."""
    return await _list(resources, keys.business_of(principal), principal, query)


@router.post(
    "/service-keys/{keyId}/rotate",
    summary="Rotate a service key",
    status_code=201,
    response_model=Envelope[IssuedKeyOut],
    responses=responses(NotFound, keys.TooManyKeys, keys.KeyEnded),
)
async def rotate_service_key(
    principal: Manager, resources: In, key: Key, key_id: KeyId, body: KeyRotation
) -> Response:
    """A new key with the name, scopes, limits and expiry of an old one, which ends: at once, or
    after a grace in which both are good. The secret is shown in this answer and never again."""
    return await _rotate(resources, keys.business_of(principal), principal, key, key_id, body)


@router.delete(
    "/service-keys/{keyId}",
    summary="Revoke a service key",
    response_model=Envelope[KeyOut],
    responses=responses(NotFound),
)
async def revoke_service_key(
    principal: Manager, resources: In, key: Key, key_id: KeyId
) -> Response:
    """Ends a key for good, within seconds everywhere."""
    return await _revoke(resources, keys.business_of(principal), principal, key, key_id)


@router.post(
    "/api-keys",
    summary="Create an API key",
    status_code=201,
    response_model=Envelope[IssuedKeyOut],
    responses=responses(keys.TooManyKeys),
)
async def create_api_key(principal: Member, resources: In, key: Key, body: ApiKeyIn) -> Response:
    """A key for a script that acts as you in this business: what your role may do, and of that
    only what is in its scopes. No key makes keys, nor changes passwords, sessions, members or
    invitations. It ends when it expires, when your role here changes or your membership ends, and
    when your password is set anew. The secret is shown in this answer and never again."""
    return await _create(resources, keys.member_of(principal), principal, key, body)


@router.get("/api-keys", summary="List API keys", responses=responses(NotFound))
async def list_api_keys(
    principal: Member, resources: In, query: Annotated[ApiKeyQuery, Query()]
) -> Page[KeyOut]:
    """Your keys in this business, newest first, revoked ones too. With `userId` those of another
    member: owners may ask about anybody, managers about who stands below them."""
    mine = keys.member_of(principal)
    holder = keys.Holder(mine.tenant_id, query.user_id or mine.user_id)
    return await _list(resources, holder, principal, query)


@router.post(
    "/api-keys/{keyId}/rotate",
    summary="Rotate an API key",
    status_code=201,
    response_model=Envelope[IssuedKeyOut],
    responses=responses(NotFound, keys.TooManyKeys, keys.KeyEnded),
)
async def rotate_api_key(
    principal: Member, resources: In, key: Key, key_id: KeyId, body: KeyRotation
) -> Response:
    """A new key of yours with the name, scopes, limits and expiry of an old one, which ends: at
    once, or after a grace in which both are good. The secret is shown in this answer and never
    again."""
    return await _rotate(resources, keys.member_of(principal), principal, key, key_id, body)


@router.delete(
    "/api-keys/{keyId}",
    summary="Revoke an API key",
    response_model=Envelope[KeyOut],
    responses=responses(NotFound),
)
async def revoke_api_key(principal: Member, resources: In, key: Key, key_id: KeyId) -> Response:
    """Ends a key for good, within seconds everywhere: your own, or of a member whom you may
    change."""
    return await _revoke(resources, keys.member_of(principal), principal, key, key_id)


async def _create(
    resources: Resources, holder: keys.Holder, principal: Principal, key: RequestKey, body: NewKey
) -> Response:
    terms = keys.Terms(body.name, body.scopes, body.expires_at, body.rate_limit_per_second)
    return response(await keys.create(resources.db, resources.clock, holder, principal, key, terms))


async def _list(
    resources: Resources, holder: keys.Holder, principal: Principal, query: PageQuery
) -> Page[KeyOut]:
    return page_of(await keys.listed(resources.db, holder, principal, query.span))


async def _rotate(
    resources: Resources,
    holder: keys.Holder,
    principal: Principal,
    key: RequestKey,
    key_id: KeyId,
    body: KeyRotation,
) -> Response:
    return response(
        await keys.rotate(
            resources.db,
            resources.edge,
            resources.clock,
            holder,
            principal,
            key,
            key_id,
            body.grace_seconds,
        )
    )


async def _revoke(
    resources: Resources, holder: keys.Holder, principal: Principal, key: RequestKey, key_id: KeyId
) -> Response:
    return response(await keys.revoke(resources.db, resources.edge, holder, principal, key, key_id))
