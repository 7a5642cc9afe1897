"""Who works for a business: listed, changed, removed."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from core.errors import NotFound
from core.paging import Span
from core.principal import Principal
from core.request import RequestKey
from deployments.auth.events import MemberChanged, MemberRemoved
from deployments.auth.people.ranks import RANKS, check_grant, check_owner_stays, check_touch
from deployments.auth.people.schemas import MemberOut, MembershipOut
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, page
from gateway.access import tenant_of
from gateway.schemas import Message, Page
from store.business import profile
from store.kit import audit
from store.kit.engine import Scope, Transaction
from store.kit.outbox import emit
from store.people import access_keys, invitations, members, sessions, users
from store.people.members import Member


async def actor_role(tx: Transaction, principal: Principal) -> str | None:
    """The caller's role in the business as it is now, whatever the token says; None if they
    have left. Locks the business: roles stay as they are until `tx` ends. Raises NotFound if the
    business is deleted."""
    if await profile.lock_business(tx, tenant_of(principal)) is None:
        raise NotFound("Your business does not exist any more.")
    member = await members.get(tx, UUID(principal.id))
    return member.role if member else None


async def listed(shared: Resources, principal: Principal, span: Span) -> Page[MemberOut]:
    read = partial(members.listed, tenant_id=tenant_of(principal), span=span)
    return await page(shared, principal, read, MemberOut.of)


async def mine(shared: Resources, principal: Principal) -> list[MembershipOut]:
    """The businesses that the caller works for."""
    user_id = UUID(principal.id)
    async with shared.db.transaction(Scope(user_id=user_id)) as tx:
        memberships = await users.memberships_of(tx, user_id)
    return [MembershipOut.of(membership) for membership in memberships]


async def change_role(
    shared: Resources, principal: Principal, key: RequestKey, user_id: UUID, given: str | None
) -> Made[MemberOut]:
    """Gives a member another role; their sessions and API keys in the business end, so that
    none goes on with the old one. Raises NotFound, for members of other businesses too; Forbidden;
    LastOwner."""
    tenant, ended = tenant_of(principal), list[UUID]()

    async def work(tx: Transaction) -> Made[MemberOut]:
        actor = await actor_role(tx, principal)
        member = await _member(tx, user_id)
        role = member.role if given is None else given
        check_touch(actor, member.role)
        check_grant(actor, role)
        check_owner_stays(member.role, role, await members.count(tx, "owner"))
        if member.role != role:
            await members.set_role(tx, user_id, role)
            if RANKS[role] < RANKS[member.role]:
                await invitations.revoke_by(tx, user_id)
            ended.extend(await _end_access(tx, tenant, user_id))
            event = MemberChanged(user_id=user_id, business_id=tenant, role=role)
            await emit(tx, tenant, user_id, event)
            changes = {"role": (member.role, role)}
            await audit.record(tx, tenant, principal, "member.role_changed", user_id, changes)
        return Made.of(MemberOut.of(await _member(tx, user_id)))

    made = await change(shared, principal, key, work)
    _revoke(shared, ended)
    return made


async def remove(
    shared: Resources, principal: Principal, key: RequestKey, user_id: UUID
) -> Made[Message]:
    """Ends a membership, the member's sessions and API keys in the business and the invitations
    that they made. Raises NotFound, for members of other businesses too; Forbidden; LastOwner."""
    tenant, ended = tenant_of(principal), list[UUID]()

    async def work(tx: Transaction) -> Made[Message]:
        actor = await actor_role(tx, principal)
        member = await _member(tx, user_id)
        check_touch(actor, member.role)
        ended.extend(await _end(tx, tenant, principal, member, "member.removed"))
        return Made.of(Message(message="Member removed"))

    made = await change(shared, principal, key, work)
    _revoke(shared, ended)
    return made


async def leave(
    shared: Resources, principal: Principal, key: RequestKey, tenant: UUID
) -> Made[Message]:
    """The caller's own membership ends. Raises NotFound for a business that the caller does not
    work for; LastOwner."""
    ended = list[UUID]()

    async def work(tx: Transaction) -> Made[Message]:
        # One's own answer of the first time must be found after one has left, too.
        if await profile.lock_business(tx, tenant) is None:
            raise NotFound("You do not work for such a business.")
        member = await members.get(tx, UUID(principal.id))
        if member is None:
            raise NotFound("You do not work for such a business.")
        ended.extend(await _end(tx, tenant, principal, member, "member.left"))
        return Made.of(Message(message="You have left the business"))

    # Any business that the caller works for, not only the one that they are signed in to.
    made = await change(shared, principal, key, work, Scope(tenant))
    _revoke(shared, ended)
    return made


async def _end(
    tx: Transaction, tenant: UUID, principal: Principal, member: Member, action: str
) -> list[UUID]:
    """Ends a membership; the ids of the sessions and keys that end with it."""
    check_owner_stays(member.role, None, await members.count(tx, "owner"))
    await members.remove(tx, member.user_id)
    await invitations.revoke_by(tx, member.user_id)
    ended = await _end_access(tx, tenant, member.user_id)
    event = MemberRemoved(user_id=member.user_id, business_id=tenant)
    await emit(tx, tenant, member.user_id, event)
    changes = {"role": (member.role, None)}
    await audit.record(tx, tenant, principal, action, member.user_id, changes)
    return ended


async def _end_access(tx: Transaction, tenant: UUID, user_id: UUID) -> list[UUID]:
    """Ends a member's sessions and API keys in the business; their ids."""
    ended = await sessions.end_where(tx, user_id=user_id, business_id=tenant)
    return ended + await access_keys.end_of(tx, user_id)


async def _member(tx: Transaction, user_id: UUID) -> Member:
    found = await members.get(tx, user_id)
    if found is None:
        raise NotFound("There is no such member here.")
    return found


def _revoke(shared: Resources, proof_ids: list[UUID]) -> None:
    for proof_id in proof_ids:
        shared.edge.tokens.revoke(proof_id)
