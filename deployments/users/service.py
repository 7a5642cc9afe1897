"""A person's own data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from core.errors import Conflict, NotFound, Unauthenticated
from core.ids import uuid7
from core.principal import Principal
from core.request import RequestKey
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, own_scope
from deployments.users.schemas import AddressOut, ProfileOut
from gateway.schemas import Message
from store.kit.engine import Transaction
from store.people import profiles

T = TypeVar("T")


class TooManyAddresses(Conflict):
    code, title = "too_many_addresses", "Too many addresses"
    default_detail = f"At most {profiles.MAX_ADDRESSES} addresses can be kept."


async def profile(shared: Resources, principal: Principal) -> ProfileOut:
    async with shared.db.transaction(own_scope(principal)) as tx:
        return await _profile(tx, UUID(principal.id))


async def change_profile(
    shared: Resources, principal: Principal, key: RequestKey, values: dict[str, Any]
) -> Made[ProfileOut]:
    """Raises Unauthenticated if the account is gone."""

    async def work(tx: Transaction, user_id: UUID) -> Made[ProfileOut]:
        if values:
            await profiles.save_profile(tx, user_id, values)
        return Made.of(await _profile(tx, user_id))

    return await _change(shared, principal, key, work)


async def addresses(shared: Resources, principal: Principal) -> list[AddressOut]:
    async with shared.db.transaction(own_scope(principal)) as tx:
        kept = await profiles.addresses_of(tx, UUID(principal.id))
    return [AddressOut.shown(address) for address in kept]


async def address(shared: Resources, principal: Principal, address_id: UUID) -> AddressOut:
    """Raises NotFound for anybody else's."""
    for found in await addresses(shared, principal):
        if found.id == address_id:
            return found
    raise NotFound("You have no such address.")


async def add_address(
    shared: Resources, principal: Principal, key: RequestKey, values: dict[str, Any]
) -> Made[AddressOut]:
    """The first address is the default one, whatever it says. Raises TooManyAddresses."""

    async def work(tx: Transaction, user_id: UUID) -> Made[AddressOut]:
        present = await profiles.addresses_of(tx, user_id)
        if len(present) >= profiles.MAX_ADDRESSES:
            raise TooManyAddresses
        given = values | ({} if present else {"is_default": True})
        if given.get("is_default"):
            await profiles.clear_default(tx, user_id)
        made = await profiles.add_address(tx, user_id, uuid7(), given)
        return Made.of(AddressOut.shown(made), 201)

    return await _change(shared, principal, key, work)


async def change_address(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    address_id: UUID,
    values: dict[str, Any],
) -> Made[AddressOut]:
    """Raises NotFound for anybody else's address."""

    async def work(tx: Transaction, user_id: UUID) -> Made[AddressOut]:
        if values.get("is_default"):
            await profiles.clear_default(tx, user_id)
        after = await profiles.change_address(tx, user_id, address_id, values)
        if after is None:
            raise NotFound("You have no such address.")
        return Made.of(AddressOut.shown(after))

    return await _change(shared, principal, key, work)


async def remove_address(
    shared: Resources, principal: Principal, key: RequestKey, address_id: UUID
) -> Made[Message]:
    """In the place of a default one the oldest left is it. Raises NotFound."""

    async def work(tx: Transaction, user_id: UUID) -> Made[Message]:
        gone = await profiles.remove_address(tx, user_id, address_id)
        if gone is None:
            raise NotFound("You have no such address.")
        left = await profiles.addresses_of(tx, user_id)
        if gone.is_default and left:
            await profiles.change_address(tx, user_id, left[0].id, {"is_default": True})
        return Made.of(Message(message="Address deleted"))

    return await _change(shared, principal, key, work)


async def _change(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    work: Callable[[Transaction, UUID], Awaitable[Made[T]]],
) -> Made[T]:
    """Runs what a person does to the own data, one change after another. Raises Unauthenticated
    if the account is gone."""
    user_id = UUID(principal.id)

    async def whole(tx: Transaction) -> Made[T]:
        if await profiles.lock(tx, user_id) is None:
            raise Unauthenticated("The account is closed.")
        return await work(tx, user_id)

    return await change(shared, principal, key, whole, own_scope(principal))


async def _profile(tx: Transaction, user_id: UUID) -> ProfileOut:
    found = await profiles.profile(tx, user_id)
    return ProfileOut.of(user_id, found, await profiles.addresses_of(tx, user_id))
