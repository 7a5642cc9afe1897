"""Inviting people to a business, and what comes of it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import partial
from uuid import UUID

from core import moments
from core.errors import (
    Conflict,
    FieldError,
    HoldfastError,
    InvalidCredentials,
    NotFound,
    ValidationFailed,
)
from core.ids import uuid7
from core.paging import Span
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.auth.events import InvitationCreated, InvitationRevoked, MemberJoined
from deployments.auth.people.members import actor_role
from deployments.auth.people.ranks import check_grant
from deployments.auth.people.schemas import (
    Acceptance,
    InvitationOut,
    MembershipOut,
    NewInvitation,
    PreviewOut,
)
from deployments.auth.schemas import password_problem
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, page
from gateway.access import tenant_of
from gateway.edge import Edge
from gateway.links import NONCE_BYTES, LinkText, parse
from gateway.schemas import Message, Page
from gateway.throttle import LINK_PER_ADDRESS, LOGIN_PER_ACCOUNT
from store.business import profile
from store.kit import audit
from store.kit.engine import Scope, Transaction
from store.kit.outbox import emit
from store.people import invitations, members, users
from store.people.invitations import Invitation

TTL = timedelta(days=7)


class AlreadyMember(Conflict):
    code, title = "already_member", "Already a member"
    default_detail = "That person works for the business already."


class TooManyInvitations(Conflict):
    code, title = "too_many_invitations", "Too many invitations"
    default_detail = f"At most {invitations.MAX_OPEN} invitations may be open at a time."


class BusinessFull(Conflict):
    code, title = "too_many_members", "Too many members"
    default_detail = f"A business has at most {members.MAX_MEMBERS} members."


async def invite(
    shared: Resources, principal: Principal, key: RequestKey, body: NewInvitation
) -> Made[InvitationOut]:
    """A link, mailed to that address and shown to nobody else, that lets its owner join the
    caller's business in that role. Raises Forbidden for a role above the caller's; AlreadyMember;
    TooManyInvitations; IdempotencyMismatch."""
    tenant, nonce = tenant_of(principal), secrets.token_bytes(NONCE_BYTES)
    expires_at = moments.of_ms(shared.clock.now_ms()) + TTL
    email, role = body.email, body.role

    async def work(tx: Transaction) -> Made[InvitationOut]:
        check_grant(await actor_role(tx, principal), role)
        if await members.by_email(tx, email) is not None:
            raise AlreadyMember(errors=[FieldError("email", "is a member already")])
        made = await invitations.add(
            tx,
            invitation_id=uuid7(),
            tenant_id=tenant,
            email=email,
            role=role,
            nonce=nonce,
            created_by=UUID(principal.id),
            expires_at=expires_at,
        )
        if made is None:
            raise TooManyInvitations
        event = InvitationCreated(id=made.id, business_id=tenant, role=role)
        await emit(tx, tenant, made.id, event)
        changes = {"role": (None, role)}
        await audit.record(tx, tenant, principal, "invitation.created", made.id, changes)
        return Made.of(InvitationOut.of(made), 201)

    return await change(shared, principal, key, work)


async def revoke(
    shared: Resources, principal: Principal, key: RequestKey, invitation_id: UUID
) -> Made[Message]:
    """Ends a link; a link that has ended already stays as it is. Raises NotFound; Forbidden for an
    invitation to a role that stands above what the caller may give."""
    tenant = tenant_of(principal)

    async def work(tx: Transaction) -> Made[Message]:
        actor = await actor_role(tx, principal)
        found = await invitations.get(tx, invitation_id, lock=True)
        if found is None:
            raise NotFound("There is no such invitation here.")
        check_grant(actor, found.role)
        if found.open:
            await invitations.revoke(tx, invitation_id)
            await emit(tx, tenant, invitation_id, InvitationRevoked(id=invitation_id))
            await audit.record(tx, tenant, principal, "invitation.revoked", invitation_id)
        return Made.of(Message(message="Invitation revoked"))

    return await change(shared, principal, key, work)


async def listed(shared: Resources, principal: Principal, span: Span) -> Page[InvitationOut]:
    read = partial(invitations.listed, span=span)
    return await page(shared, principal, read, InvitationOut.of)


async def one(shared: Resources, principal: Principal, invitation_id: UUID) -> InvitationOut:
    """Raises NotFound."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await invitations.get(tx, invitation_id)
    if found is None:
        raise NotFound("There is no such invitation here.")
    return InvitationOut.of(found)


async def preview(shared: Resources, address: str, token: str) -> PreviewOut:
    """What an open invitation is to, for the caller who holds its link. Raises NotFound, the same
    for what never was, is used, revoked or expired; TooManyRequests."""
    edge = shared.edge
    text = await _read(edge, address, token)
    async with shared.db.transaction(Scope(text.scope_id)) as tx:
        found = await _open(tx, edge, text)
        mine = await profile.get(tx, text.scope_id)
    if mine is None:
        raise _not_open()
    return PreviewOut.shown(found, business_name=mine.name)


async def accept(shared: Resources, address: str, body: Acceptance) -> MembershipOut:
    """Joins the business: with the account of that address, which the password must prove, or
    with a new one. Without a good link nothing is said about any account. Raises NotFound as
    `preview` does; InvalidCredentials; AlreadyMember; ValidationFailed; TooManyRequests."""
    edge = shared.edge
    text = await _read(edge, address, body.token)
    async with shared.db.transaction(Scope(text.scope_id)) as tx:
        invited = await _open(tx, edge, text)
        user = await users.user_by_email(tx, invited.email)
    is_new = user is None
    if user is None:
        user = await _new_user(edge, invited.email, body)
    else:
        await edge.throttle.attempt(LOGIN_PER_ACCOUNT, invited.email, address)
        if not await edge.passwords.matches(body.password, user.password_hash) or user.disabled:
            raise InvalidCredentials
    # Within the business's scope alone: a user's would show their other memberships too.
    async with shared.db.transaction(Scope(text.scope_id)) as tx:
        joined = await _join(tx, edge, text, user, is_new=is_new)
    return MembershipOut.of(joined)


async def _join(
    tx: Transaction, edge: Edge, text: LinkText, user: users.User, *, is_new: bool
) -> users.Membership:
    tenant = text.scope_id
    mine = await profile.lock_business(tx, tenant)
    if mine is None:
        raise _not_open()
    # Asked again under the lock: of two callers who bring one link, one joins.
    invited = await _open(tx, edge, text)
    if await members.count(tx) >= members.MAX_MEMBERS:
        raise BusinessFull
    if is_new:
        if not await users.add_user(tx, user):
            raise InvalidCredentials  # Somebody has just taken the address.
    else:
        # The link went to that address alone. First, for it locks more than the next look does.
        await users.mark_verified(tx, user.id)
        if not await users.hold_still(tx, user):
            raise InvalidCredentials
    if not await members.add(tx, tenant, user.id, invited.role):
        raise AlreadyMember
    await invitations.accept(tx, invited.id, user.id)
    event = MemberJoined(user_id=user.id, business_id=tenant, role=invited.role)
    await emit(tx, tenant, user.id, event)
    actor = Principal(str(user.id), Role(invited.role), tenant)
    changes = {"role": (None, invited.role), "invitation": (None, invited.id)}
    await audit.record(tx, tenant, actor, "member.joined", user.id, changes)
    return users.Membership(tenant, invited.role, mine.name)


async def _new_user(edge: Edge, email: str, body: Acceptance) -> users.User:
    problem = password_problem(body.password)
    if problem is not None:
        raise ValidationFailed([FieldError("password", problem)])
    password_hash = await edge.passwords.hash(body.password)
    name = body.name or email.partition("@")[0]
    return users.User(
        uuid7(),
        name,
        email,
        password_hash,
        Role.CUSTOMER.value,
        disabled=False,
        email_verified=True,
    )


async def _read(edge: Edge, address: str, token: str) -> LinkText:
    await edge.throttle.attempt(LINK_PER_ADDRESS, address)
    text = parse("invitation", token)
    if text is None:
        raise _not_open()
    return text


async def _open(tx: Transaction, edge: Edge, text: LinkText) -> Invitation:
    """The invitation of a token, if it may still be accepted."""
    found = await invitations.get(tx, text.id, lock=True)
    if found is None or not found.open or not edge.links.holds("invitation", text, found.nonce):
        raise _not_open()
    # The inviter must still be somebody who may invite.
    inviter = await members.get(tx, found.created_by)
    try:
        check_grant(inviter.role if inviter else None, found.role)
    except HoldfastError as error:
        raise _not_open() from error
    return found


def _not_open() -> NotFound:
    return NotFound("The invitation is not valid, or not any more.")
