"""Profiles, addresses, preferences; what a platform's admins do to accounts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from core.errors import NotFound
from deployments.auth.access import Person
from deployments.business.schemas import AuditOut, AuditQuery
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Admin, Key
from deployments.users import admins, service
from deployments.users.schemas import (
    AccountChanges,
    AccountOut,
    AddressChanges,
    AddressOut,
    NewAddress,
    ProfileChanges,
    ProfileOut,
    UserQuery,
)
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page

router = Router()

AddressId = Annotated[UUID, Path(alias="addressId")]
UserId = Annotated[UUID, Path(alias="userId")]


@router.get("/profile", summary="Get your profile")
async def get_profile(principal: Person, shared: Shared) -> Envelope[ProfileOut]:
    """Your telephone number, addresses and preferences."""
    return Envelope(data=await service.profile(shared, principal))


@router.put("/profile", summary="Change your profile")
async def change_profile(
    principal: Person, shared: Shared, key: Key, body: ProfileChanges
) -> Made[ProfileOut]:
    """Replaces what the body gives; what it leaves out stays."""
    return await service.change_profile(shared, principal, key, body.values())


@router.get("/addresses", summary="List your addresses")
async def list_addresses(principal: Person, shared: Shared) -> Envelope[list[AddressOut]]:
    """The default one first; at most 50."""
    return Envelope(data=await service.addresses(shared, principal))


@router.post(
    "/address",
    summary="Add an address",
    status_code=201,
    responses=responses(service.TooManyAddresses),
)
async def add_address(
    principal: Person, shared: Shared, key: Key, body: NewAddress
) -> Made[AddressOut]:
    """The first one is your default; a later one that says so takes its place."""
    return await service.add_address(shared, principal, key, body.values())


@router.get("/address/{addressId}", summary="Get an address", responses=responses(NotFound))
async def get_address(
    principal: Person, shared: Shared, address_id: AddressId
) -> Envelope[AddressOut]:
    return Envelope(data=await service.address(shared, principal, address_id))


@router.put("/address/{addressId}", summary="Change an address", responses=responses(NotFound))
async def change_address(
    principal: Person, shared: Shared, key: Key, address_id: AddressId, body: AddressChanges
) -> Made[AddressOut]:
    """Changes what the body gives; what it leaves out stays."""
    return await service.change_address(shared, principal, key, address_id, body.values())


@router.delete("/address/{addressId}", summary="Delete an address", responses=responses(NotFound))
async def delete_address(
    principal: Person, shared: Shared, key: Key, address_id: AddressId
) -> Made[Message]:
    """If it was your default, your oldest one is it now."""
    return await service.remove_address(shared, principal, key, address_id)


@router.get("", summary="List people")
async def list_users(
    principal: Admin, shared: Shared, query: Annotated[UserQuery, Query()]
) -> Page[AccountOut]:
    """Everybody with an account, newest first."""
    return await admins.people(shared, principal, query)


@router.get("/audit-log", summary="What platform admins did")
async def read_admin_log(
    principal: Admin, shared: Shared, query: Annotated[AuditQuery, Query()]
) -> Page[AuditOut]:
    """What an admin (`actorId`; yourself, if you name nobody) did to people's accounts, newest
    first. What admins do to a business' things is in that business' log."""
    return await admins.log(shared, principal, query)


@router.get("/{userId}", summary="Get a person", responses=responses(NotFound))
async def get_user(_: Admin, shared: Shared, user_id: UserId) -> Envelope[AccountOut]:
    return Envelope(data=await admins.account(shared, user_id))


@router.post(
    "/{userId}/disable",
    summary="Disable an account",
    responses=responses(NotFound, admins.NotYourself),
)
async def disable_user(
    principal: Admin, shared: Shared, key: Key, user_id: UserId
) -> Made[AccountOut]:
    """Nobody signs in to it any more, and its sessions and API keys end within seconds
    everywhere."""
    return await admins.set_disabled(shared, principal, key, user_id, disabled=True)


@router.post(
    "/{userId}/enable",
    summary="Enable an account",
    responses=responses(NotFound, admins.NotYourself),
)
async def enable_user(
    principal: Admin, shared: Shared, key: Key, user_id: UserId
) -> Made[AccountOut]:
    """Lets a disabled account sign in again."""
    return await admins.set_disabled(shared, principal, key, user_id, disabled=False)


@router.put(
    "/{userId}/role",
    summary="Change what a person is on the platform",
    responses=responses(NotFound, admins.NotYourself),
)
async def change_user_role(
    principal: Admin, shared: Shared, key: Key, user_id: UserId, body: AccountChanges
) -> Made[AccountOut]:
    """Customer, vendor or platform admin; roles in a business are its owners' to give. The
    person's sessions and API keys end."""
    return await admins.set_role(shared, principal, key, user_id, body.role)
