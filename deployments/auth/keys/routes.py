"""Keys for machines, which act for a business, and for scripts, which act as a person in it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from core.errors import NotFound
from deployments.auth.access import SignedInManager, SignedInMember
from deployments.auth.keys import service as keys
from deployments.auth.keys.schemas import (
    ApiKeyQuery,
    IssuedKeyOut,
    KeyOut,
    KeyRotation,
    NewApiKey,
    NewServiceKey,
)
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key
from gateway.errors import responses
from gateway.schemas import Envelope, Page, PageQuery

router = Router()

KeyId = Annotated[UUID, Path(alias="keyId")]


@router.post(
    "/service-keys",
    summary="Create a service key",
    status_code=201,
    responses=responses(NotFound, keys.TooManyKeys),
)
async def create_service_key(
    principal: SignedInManager, shared: Shared, key: Key, body: NewServiceKey
) -> Made[IssuedKeyOut]:
    """A key for a machine that acts for your business, within its scopes. The secret is shown
    in this answer and never again."""
    return await keys.create(shared, keys.business_of(principal), principal, key, body)


@router.get("/service-keys", summary="List service keys")
async def list_service_keys(
    principal: SignedInManager, shared: Shared, query: Annotated[PageQuery, Query()]
) -> Page[KeyOut]:
    """The keys of your business, newest first, revoked ones too."""
    return await keys.listed(shared, keys.business_of(principal), principal, query.span)


@router.get("/service-keys/{keyId}", summary="Get a service key", responses=responses(NotFound))
async def get_service_key(
    principal: SignedInManager, shared: Shared, key_id: KeyId
) -> Envelope[KeyOut]:
    """A key of your business, also one that was revoked."""
    holder = keys.business_of(principal)
    return Envelope(data=await keys.one(shared, holder, principal, key_id))


@router.post(
    "/service-keys/{keyId}/rotate",
    made_at="/api/auth/service-keys/{id}",
    summary="Rotate a service key",
    status_code=201,
    responses=responses(NotFound, keys.TooManyKeys, keys.KeyEnded),
)
async def rotate_service_key(
    principal: SignedInManager, shared: Shared, key: Key, key_id: KeyId, body: KeyRotation
) -> Made[IssuedKeyOut]:
    """A new key with the name, scopes, limits and expiry of an old one, which ends: at once, or
    after a grace in which both are good. The secret is shown in this answer and never again."""
    holder = keys.business_of(principal)
    return await keys.rotate(shared, holder, principal, key, key_id, body.grace_seconds)


@router.delete(
    "/service-keys/{keyId}", summary="Revoke a service key", responses=responses(NotFound)
)
async def revoke_service_key(
    principal: SignedInManager, shared: Shared, key: Key, key_id: KeyId
) -> Made[KeyOut]:
    """Ends a key permanently, within seconds everywhere."""
    return await keys.revoke(shared, keys.business_of(principal), principal, key, key_id)


@router.post(
    "/api-keys",
    summary="Create an API key",
    status_code=201,
    responses=responses(NotFound, keys.TooManyKeys),
)
async def create_api_key(
    principal: SignedInMember, shared: Shared, key: Key, body: NewApiKey
) -> Made[IssuedKeyOut]:
    """A key for a script that acts as you in this business: what your role may do, and of that
    only what is in its scopes. No key makes keys, nor changes passwords, sessions, members or
    invitations. It ends when it expires, when your role here changes or your membership ends, and
    when your password is set anew. The secret is shown in this answer and never again."""
    return await keys.create(shared, keys.member_of(principal), principal, key, body)


@router.get("/api-keys", summary="List API keys", responses=responses(NotFound))
async def list_api_keys(
    principal: SignedInMember, shared: Shared, query: Annotated[ApiKeyQuery, Query()]
) -> Page[KeyOut]:
    """Your keys in this business, newest first, revoked ones too. With `userId` those of another
    member: owners may ask about anybody, managers about who stands below them."""
    holder = keys.member_of(principal, query.user_id)
    return await keys.listed(shared, holder, principal, query.span)


@router.get("/api-keys/{keyId}", summary="Get an API key", responses=responses(NotFound))
async def get_api_key(principal: SignedInMember, shared: Shared, key_id: KeyId) -> Envelope[KeyOut]:
    """A key in this business, also one that was revoked: your own, or of a member whom you may
    change."""
    holder = keys.member_of(principal)
    return Envelope(data=await keys.one(shared, holder, principal, key_id))


@router.post(
    "/api-keys/{keyId}/rotate",
    made_at="/api/auth/api-keys/{id}",
    summary="Rotate an API key",
    status_code=201,
    responses=responses(NotFound, keys.TooManyKeys, keys.KeyEnded),
)
async def rotate_api_key(
    principal: SignedInMember, shared: Shared, key: Key, key_id: KeyId, body: KeyRotation
) -> Made[IssuedKeyOut]:
    """A new key of yours with the name, scopes, limits and expiry of an old one, which ends: at
    once, or after a grace in which both are good. The secret is shown in this answer and never
    again."""
    holder = keys.member_of(principal)
    return await keys.rotate(shared, holder, principal, key, key_id, body.grace_seconds)


@router.delete("/api-keys/{keyId}", summary="Revoke an API key", responses=responses(NotFound))
async def revoke_api_key(
    principal: SignedInMember, shared: Shared, key: Key, key_id: KeyId
) -> Made[KeyOut]:
    """Ends a key permanently, within seconds everywhere: your own, or of a member whom you may
    change."""
    return await keys.revoke(shared, keys.member_of(principal), principal, key, key_id)
