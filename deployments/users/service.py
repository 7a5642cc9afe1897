"""A person's own data; and what a platform's admins do to accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from core.ids import uuid7
from core.paging import Part, Span
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.users.events import RoleChanged, UserDisabled, UserEnabled
from deployments.users.schemas import AccountOut, AddressOut, ProfileOut, UserQuery
from gateway.answers import recorded
from gateway.edge import Edge
from gateway.schemas import Envelope, Message
from store.kit import audit
from store.kit.audit import Entry, Filters
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit
from store.people import access_keys, profiles, sessions
from store.people.profiles import Listed


class TooManyAddresses(Conflict):
    code, title = "too_many_addresses", "Too many addresses"
    default_detail = f"At most {profiles.MOST_ADDRESSES} addresses can be kept."


class NotYourself(Conflict):
    code, title = "not_yourself", "Not yourself"
    default_detail = "An administrator cannot do this to the own account."


async def profile(db: Database, principal: Principal) -> ProfileOut:
    async with db.transaction(_own(principal)) as tx:
        return await _profile(tx, UUID(principal.id))


async def change_profile(
    db: Database, principal: Principal, key: RequestKey, values: dict[str, Any]
) -> Recorded:
    """Raises Unauthenticated if the account is gone."""

    async def work(tx: Transaction, user_id: UUID) -> Recorded:
        if values:
            await profiles.save_profile(tx, user_id, values)
        return recorded(200, Envelope(data=await _profile(tx, user_id)))

    return await _change(db, principal, key, work)


async def addresses(db: Database, principal: Principal) -> list[AddressOut]:
    async with db.transaction(_own(principal)) as tx:
        return [AddressOut.of(one) for one in await profiles.addresses_of(tx, UUID(principal.id))]


async def add_address(
    db: Database, principal: Principal, key: RequestKey, values: dict[str, Any]
) -> Recorded:
    """The first address is the default one, whatever it says. Raises TooManyAddresses."""

    async def work(tx: Transaction, user_id: UUID) -> Recorded:
        present = await profiles.addresses_of(tx, user_id)
        if len(present) >= profiles.MOST_ADDRESSES:
            raise TooManyAddresses
        given = values | ({} if present else {"is_default": True})
        if given.get("is_default"):
            await profiles.clear_default(tx, user_id)
        made = await profiles.add_address(tx, user_id, uuid7(), given)
        return recorded(201, Envelope(data=AddressOut.of(made)))

    return await _change(db, principal, key, work)


async def change_address(
    db: Database, principal: Principal, key: RequestKey, address_id: UUID, values: dict[str, Any]
) -> Recorded:
    """Raises NotFound for anybody else's address."""

    async def work(tx: Transaction, user_id: UUID) -> Recorded:
        if values.get("is_default"):
            await profiles.clear_default(tx, user_id)
        after = await profiles.change_address(tx, user_id, address_id, values)
        if after is None:
            raise NotFound("You have no such address.")
        return recorded(200, Envelope(data=AddressOut.of(after)))

    return await _change(db, principal, key, work)


async def remove_address(
    db: Database, principal: Principal, key: RequestKey, address_id: UUID
) -> Recorded:
    """In the place of a default one the oldest left is it. Raises NotFound."""

    async def work(tx: Transaction, user_id: UUID) -> Recorded:
        gone = await profiles.remove_address(tx, user_id, address_id)
        if gone is None:
            raise NotFound("You have no such address.")
        left = await profiles.addresses_of(tx, user_id)
        if gone.is_default and left:
            await profiles.change_address(tx, user_id, left[0].id, {"is_default": True})
        return recorded(200, Message(message="Address deleted"))

    return await _change(db, principal, key, work)


async def people(db: Database, query: UserQuery) -> Part[AccountOut]:
    async with db.transaction(Scope()) as tx:
        found = await profiles.people(
            tx, query.span, words=query.q, role=query.role, disabled=query.disabled
        )
    return found.map(AccountOut.of)


async def account(db: Database, user_id: UUID) -> AccountOut:
    """Raises NotFound."""
    async with db.transaction(Scope()) as tx:
        return AccountOut.of(_found(await profiles.get(tx, user_id)))


async def admin_log(
    db: Database, principal: Principal, filters: Filters, span: Span
) -> Part[Entry]:
    """What an admin did as one. Each admin's lines are filed under their own id, so that is whose
    are read, and nothing that somebody did as anything else."""
    actor_id = filters.actor_id or UUID(principal.id)
    narrowed = replace(filters, actor_id=actor_id, actor_role=Role.ADMIN.value)
    async with db.transaction(Scope(actor_id)) as tx:
        return await audit.entries(tx, narrowed, span)


async def set_disabled(
    db: Database,
    edge: Edge,
    principal: Principal,
    key: RequestKey,
    user_id: UUID,
    *,
    disabled: bool,
) -> Recorded:
    """Closes an account, or opens it again. A closed one signs in nowhere; its sessions and API
    keys end, here at once, elsewhere within seconds. Raises NotFound, NotYourself."""

    async def work(tx: Transaction, before: Listed) -> bool:
        if (before.disabled_at is not None) is disabled:
            return False
        await profiles.set_disabled(tx, user_id, disabled=disabled)
        action = "user.disabled" if disabled else "user.enabled"
        await audit.record(tx, UUID(principal.id), principal, action, user_id)
        event = UserDisabled if disabled else UserEnabled
        await emit(tx, UUID(principal.id), user_id, event(user_id=user_id))
        return disabled

    return await _govern(db, edge, principal, key, user_id, work)


async def set_role(
    db: Database, edge: Edge, principal: Principal, key: RequestKey, user_id: UUID, role: str
) -> Recorded:
    """Makes a person something else on the platform; their sessions and API keys end, so
    that none goes on with the old role. Raises NotFound, NotYourself."""

    async def work(tx: Transaction, before: Listed) -> bool:
        if before.role == role:
            return False
        await profiles.set_role(tx, user_id, role)
        changes = {"role": (before.role, role)}
        await audit.record(tx, UUID(principal.id), principal, "user.role_changed", user_id, changes)
        event = RoleChanged(user_id=user_id, role=role)
        await emit(tx, UUID(principal.id), user_id, event)
        return True

    return await _govern(db, edge, principal, key, user_id, work)


async def _govern(
    db: Database,
    edge: Edge,
    principal: Principal,
    key: RequestKey,
    user_id: UUID,
    work: Callable[[Transaction, Listed], Awaitable[bool]],
) -> Recorded:
    """Runs what an admin does to an account. `work` tells whether its sessions and API keys must
    end."""
    if user_id == UUID(principal.id):
        raise NotYourself
    ended = list[UUID]()

    async def whole() -> Recorded:
        # An admin who was demoted a moment ago is none, whatever the token says. Locked in the
        # order of their ids, so that of two who demote each other one comes second.
        first, second = sorted((UUID(principal.id), user_id))
        people = {one: await profiles.lock(tx, one) for one in (first, second)}
        actor, subject = people[UUID(principal.id)], _found(people[user_id])
        if actor is None or actor.role != Role.ADMIN or actor.disabled_at is not None:
            raise Forbidden("You are no administrator any more.")
        if await work(tx, subject):
            ended.extend(await sessions.end_where(tx, user_id=user_id))
            ended.extend(await access_keys.end_of(tx, user_id))
        return recorded(200, Envelope(data=AccountOut.of(_found(await profiles.get(tx, user_id)))))

    # The log is the admin's, and what is changed that person's.
    async with db.transaction(Scope(UUID(principal.id), user_id)) as tx:
        answer = await once(tx, UUID(principal.id), key, whole)
    for proof_id in ended:
        edge.tokens.revoke(proof_id)
    return answer


async def _change(
    db: Database,
    principal: Principal,
    key: RequestKey,
    work: Callable[[Transaction, UUID], Awaitable[Recorded]],
) -> Recorded:
    """Runs what a person does to the own data, one change after another."""
    user_id = UUID(principal.id)

    async def whole() -> Recorded:
        if await profiles.lock(tx, user_id) is None:
            raise Unauthenticated("The account is closed.")
        return await work(tx, user_id)

    async with db.transaction(_own(principal)) as tx:
        return await once(tx, user_id, key, whole)


async def _profile(tx: Transaction, user_id: UUID) -> ProfileOut:
    found = await profiles.profile(tx, user_id)
    return ProfileOut.of(user_id, found, await profiles.addresses_of(tx, user_id))


def _own(principal: Principal) -> Scope:
    """What is a person's alone goes by the user's id where a business's would stand."""
    return Scope(tenant_id=UUID(principal.id), user_id=UUID(principal.id))


def _found(listed: Listed | None) -> Listed:
    if listed is None:
        raise NotFound("There is no such person.")
    return listed
