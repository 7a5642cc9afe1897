"""Who works for a business: listed, changed, removed."""

from __future__ import annotations

from uuid import UUID

from core.errors import NotFound
from core.paging import Part, Span
from core.principal import Principal
from core.request import RequestKey
from deployments.auth.events import MemberChanged, MemberRemoved
from deployments.auth.people.ranks import RANKS, check_grant, check_owner_stays, check_touch
from deployments.auth.people.schemas import MemberOut, MembershipOut
from gateway.access import tenant_of
from gateway.answers import recorded
from gateway.edge import Edge
from gateway.schemas import Envelope, Message
from store.business import profile
from store.kit import audit
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit
from store.people import access_keys, invitations, members, sessions, users
from store.people.members import Member


async def actor_role(tx: Transaction, principal: Principal) -> str | None:
    """The caller's role in the business as it is now, whatever the token says; None for one who
    has left. Locks the business: roles stay as they are until `tx` ends. Raises NotFound if the
    business is deleted."""
    if await profile.lock_business(tx, tenant_of(principal)) is None:
        raise NotFound("Your business does not exist any more.")
    member = await members.get(tx, UUID(principal.id))
    return member.role if member else None


async def listed(db: Database, principal: Principal, span: Span) -> Part[MemberOut]:
    tenant = tenant_of(principal)
    async with db.transaction(Scope(tenant)) as tx:
        return (await members.listed(tx, tenant, span)).map(MemberOut.of)


async def mine(db: Database, principal: Principal) -> list[MembershipOut]:
    """The businesses that the caller works for."""
    user_id = UUID(principal.id)
    async with db.transaction(Scope(user_id=user_id)) as tx:
        return [MembershipOut.of(one) for one in await users.memberships_of(tx, user_id)]


async def change_role(
    db: Database, edge: Edge, principal: Principal, key: RequestKey, user_id: UUID, role: str
) -> Recorded:
    """Gives a member another role; their sessions and API keys in the business end, so that
    none goes on with the old one. Raises NotFound, for members of other businesses too; Forbidden;
    LastOwner."""
    tenant, ended = tenant_of(principal), list[UUID]()

    async def work() -> Recorded:
        actor = await actor_role(tx, principal)
        member = await _member(tx, user_id)
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
        return recorded(200, Envelope(data=MemberOut.of(await _member(tx, user_id))))

    async with db.transaction(Scope(tenant)) as tx:
        answer = await once(tx, tenant, key, work)
    _revoke(edge, ended)
    return answer


async def remove(
    db: Database, edge: Edge, principal: Principal, key: RequestKey, user_id: UUID
) -> Recorded:
    """Ends a membership, the member's sessions and API keys in the business and the invitations
    that they made. Raises NotFound, for members of other businesses too; Forbidden; LastOwner."""
    tenant, ended = tenant_of(principal), list[UUID]()

    async def work() -> Recorded:
        actor = await actor_role(tx, principal)
        member = await _member(tx, user_id)
        check_touch(actor, member.role)
        ended.extend(await _end(tx, tenant, principal, member, "member.removed"))
        return recorded(200, Message(message="Member removed"))

    async with db.transaction(Scope(tenant)) as tx:
        answer = await once(tx, tenant, key, work)
    _revoke(edge, ended)
    return answer


async def leave(
    db: Database, edge: Edge, principal: Principal, key: RequestKey, tenant: UUID
) -> Recorded:
    """The caller's own membership ends. Raises NotFound for a business that the caller does not
    work for; LastOwner."""
    ended = list[UUID]()

    async def work() -> Recorded:
        # One's own answer of the first time must be found after one has left, too.
        if await profile.lock_business(tx, tenant) is None:
            raise NotFound("You do not work for such a business.")
        member = await members.get(tx, UUID(principal.id))
        if member is None:
            raise NotFound("You do not work for such a business.")
        ended.extend(await _end(tx, tenant, principal, member, "member.left"))
        return recorded(200, Message(message="You have left the business"))

    async with db.transaction(Scope(tenant)) as tx:
        answer = await once(tx, tenant, key, work)
    _revoke(edge, ended)
    return answer


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


def _revoke(edge: Edge, proof_ids: list[UUID]) -> None:
    for proof_id in proof_ids:
        edge.tokens.revoke(proof_id)
