"""Profiles, addresses, preferences; what a platform's admins do to accounts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from core.errors import NotFound
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.auth.access import PEOPLE
from deployments.business.schemas import AuditOut, AuditQuery
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.users import service
from deployments.users.schemas import (
    AccountChanges,
    AccountOut,
    AddressOut,
    NewAddress,
    ProfileChanges,
    ProfileOut,
    UserQuery,
)
from gateway.access import require
from gateway.answers import response
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.schemas import Envelope, Message, Page, page_of

router = Router()

AddressId = Annotated[UUID, Path(alias="addressId")]
UserId = Annotated[UUID, Path(alias="userId")]

Key = Annotated[RequestKey, Depends(request_key)]
# An API key acts in one business; what is a person's own is none of its.
Person = Annotated[Principal, Depends(require(PEOPLE, tenant=False, signed_in=True))]
Admin = Annotated[Principal, Depends(require(frozenset({Role.ADMIN}), tenant=False))]


@router.get("/profile", summary="Get your profile")
async def get_profile(principal: Person, shared: Shared) -> Envelope[ProfileOut]:
    """Your telephone number, addresses and preferences."""
    return Envelope(data=await service.profile(shared.db, principal))


@router.put("/profile", summary="Change your profile", response_model=Envelope[ProfileOut])
async def change_profile(
    principal: Person, shared: Shared, key: Key, body: ProfileChanges
) -> Response:
    """Replaces what the body gives; what it leaves out stays."""
    return response(await service.change_profile(shared.db, principal, key, body.values()))


@router.get("/addresses", summary="List your addresses")
async def list_addresses(principal: Person, shared: Shared) -> Envelope[list[AddressOut]]:
    """The default one first; at most 50."""
    return Envelope(data=await service.addresses(shared.db, principal))


@router.post(
    "/address",
    summary="Add an address",
    status_code=201,
    response_model=Envelope[AddressOut],
    responses=responses(service.TooManyAddresses),
)
async def add_address(principal: Person, shared: Shared, key: Key, body: NewAddress) -> Response:
    """The first one is your default; a later one that says so takes its place."""
    return response(await service.add_address(shared.db, principal, key, body.values()))


@router.put(
    "/address/{addressId}",
    summary="Change an address",
    response_model=Envelope[AddressOut],
    responses=responses(NotFound),
)
async def change_address(
    principal: Person, shared: Shared, key: Key, address_id: AddressId, body: NewAddress
) -> Response:
    """Replaces what the body gives; what it leaves out stays."""
    return response(
        await service.change_address(shared.db, principal, key, address_id, body.values())
    )


@router.delete(
    "/address/{addressId}",
    summary="Delete an address",
    response_model=Message,
    responses=responses(NotFound),
)
async def delete_address(
    principal: Person, shared: Shared, key: Key, address_id: AddressId
) -> Response:
    """If it was your default, your oldest one is it now."""
    return response(await service.remove_address(shared.db, principal, key, address_id))


@router.get("", summary="List people")
async def list_users(
    _: Admin, shared: Shared, query: Annotated[UserQuery, Query()]
) -> Page[AccountOut]:
    """Everybody with an account, newest first."""
    return page_of(await service.people(shared.db, query))


@router.get("/audit-log", summary="What platform admins did")
async def read_admin_log(
    principal: Admin, shared: Shared, query: Annotated[AuditQuery, Query()]
) -> Page[AuditOut]:
    """What an admin (`actorId`; yourself, if you name nobody) did to people's accounts, newest
    first. What admins do to a business' things is in that business' log."""
    found = await service.admin_log(shared.db, principal, query.filters(), query.span)
    return page_of(found.map(AuditOut.of))


@router.get("/{userId}", summary="Get a person", responses=responses(NotFound))
async def get_user(_: Admin, shared: Shared, user_id: UserId) -> Envelope[AccountOut]:
    return Envelope(data=await service.account(shared.db, user_id))


@router.post(
    "/{userId}/disable",
    summary="Disable an account",
    response_model=Envelope[AccountOut],
    responses=responses(NotFound, service.NotYourself),
)
async def disable_user(principal: Admin, shared: Shared, key: Key, user_id: UserId) -> Response:
    """Nobody signs in to it any more, and its sessions and API keys end within seconds
    everywhere."""
    return response(
        await service.set_disabled(shared.db, shared.edge, principal, key, user_id, disabled=True)
    )


@router.post(
    "/{userId}/enable",
    summary="Enable an account",
    response_model=Envelope[AccountOut],
    responses=responses(NotFound, service.NotYourself),
)
async def enable_user(principal: Admin, shared: Shared, key: Key, user_id: UserId) -> Response:
    """Lets a disabled account sign in again."""
    return response(
        await service.set_disabled(shared.db, shared.edge, principal, key, user_id, disabled=False)
    )


@router.put(
    "/{userId}/role",
    summary="Change what a person is on the platform",
    response_model=Envelope[AccountOut],
    responses=responses(NotFound, service.NotYourself),
)
async def change_user_role(
    principal: Admin, shared: Shared, key: Key, user_id: UserId, body: AccountChanges
) -> Response:
    """Customer, vendor or platform admin; roles in a business are its owners' to give. The
    person's sessions and API keys end."""
    return response(
        await service.set_role(shared.db, shared.edge, principal, key, user_id, body.role)
    )
