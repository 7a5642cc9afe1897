"""Inviting people to a business, and what comes of it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from core import moments
from core.clock import Clock
from core.errors import (
    Conflict,
    FieldError,
    HoldfastError,
    InvalidCredentials,
    NotFound,
    ValidationFailed,
)
from core.ids import uuid7
from core.paging import Part, Span
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.auth.events import InvitationCreated, InvitationRevoked, MemberJoined
from deployments.auth.people.members import actor_role
from deployments.auth.people.ranks import check_grant
from deployments.auth.people.schemas import (
    Acceptance,
    InvitationOut,
    MembershipOut,
    PreviewOut,
    SentInvitationOut,
)
from deployments.auth.schemas import MIN_PASSWORD_LENGTH
from gateway.access import tenant_of
from gateway.answers import recorded
from gateway.edge import Edge
from gateway.links import NONCE_BYTES, LinkText, parse
from gateway.passwords import prepared, weakness
from gateway.schemas import Envelope, Message
from gateway.throttle import LINK_PER_ADDRESS, LOGIN_PER_ACCOUNT
from store.business import profile
from store.kit import audit
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit
from store.people import invitations, members, users
from store.people.invitations import Invitation

TTL = timedelta(days=7)


class AlreadyMember(Conflict):
    code, title = "already_member", "Already a member"
    default_detail = "That person works for the business already."


class TooManyInvitations(Conflict):
    code, title = "too_many_invitations", "Too many invitations"
    default_detail = f"At most {invitations.MOST_OPEN} invitations may be open at a time."


class BusinessFull(Conflict):
    code, title = "too_many_members", "Too many members"
    default_detail = f"A business has at most {members.MOST_MEMBERS} members."


async def invite(
    db: Database,
    clock: Clock,
    principal: Principal,
    key: RequestKey,
    *,
    email: str,
    role: str,
) -> Recorded:
    """A link, mailed to `email` and told to nobody else, that lets its owner join the caller's
    business as `role`. Raises Forbidden for a role above the caller's; AlreadyMember;
    TooManyInvitations; IdempotencyMismatch."""
    tenant, nonce = tenant_of(principal), secrets.token_bytes(NONCE_BYTES)
    expires_at = moments.of_ms(clock.now_ms()) + TTL

    async def work() -> Recorded:
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
        answer = SentInvitationOut(invitation=InvitationOut.of(made))
        return recorded(201, Envelope(data=answer))

    async with db.transaction(Scope(tenant)) as tx:
        return await once(tx, tenant, key, work)


async def revoke(
    db: Database, principal: Principal, key: RequestKey, invitation_id: UUID
) -> Recorded:
    """Ends a link; one that has ended already stays as it is. Raises NotFound; Forbidden for an
    invitation to a role that stands above what the caller may give."""
    tenant = tenant_of(principal)

    async def work() -> Recorded:
        actor = await actor_role(tx, principal)
        found = await invitations.get(tx, invitation_id, lock=True)
        if found is None:
            raise NotFound("There is no such invitation here.")
        check_grant(actor, found.role)
        if found.open:
            await invitations.revoke(tx, invitation_id)
            await emit(tx, tenant, invitation_id, InvitationRevoked(id=invitation_id))
            await audit.record(tx, tenant, principal, "invitation.revoked", invitation_id)
        return recorded(200, Message(message="Invitation revoked"))

    async with db.transaction(Scope(tenant)) as tx:
        return await once(tx, tenant, key, work)


async def listed(db: Database, principal: Principal, span: Span) -> Part[InvitationOut]:
    async with db.transaction(Scope(tenant_of(principal))) as tx:
        return (await invitations.listed(tx, span)).map(InvitationOut.of)


async def preview(db: Database, edge: Edge, address: str, token: str) -> PreviewOut:
    """What an open invitation is to, for who holds its link. Raises NotFound, the same for what
    never was, is used, revoked or expired; TooManyRequests."""
    text = await _read(edge, address, token)
    async with db.transaction(Scope(text.scope_id)) as tx:
        found = await _open(tx, edge, text)
        mine = await profile.get(tx, text.scope_id)
    if mine is None:
        raise _not_open()
    return PreviewOut(
        business_name=mine.name,
        email=found.email,
        role=found.role,
        expires_at=found.expires_at,
    )


async def accept(
    db: Database, edge: Edge, address: str, body: Acceptance
) -> Envelope[MembershipOut]:
    """Joins the business: with the account of that address, which the password must prove, or
    with a new one. Without a good link nothing is told about any account. Raises NotFound as
    `preview` does; InvalidCredentials; AlreadyMember; ValidationFailed; TooManyRequests."""
    text = await _read(edge, address, body.token)
    async with db.transaction(Scope(text.scope_id)) as tx:
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
    async with db.transaction(Scope(text.scope_id)) as tx:
        joined = await _join(tx, edge, text, user, is_new=is_new)
    return Envelope(message="Sign in to the business next", data=MembershipOut.of(joined))


async def _join(
    tx: Transaction, edge: Edge, text: LinkText, user: users.User, *, is_new: bool
) -> users.Membership:
    tenant = text.scope_id
    mine = await profile.lock_business(tx, tenant)
    if mine is None:
        raise _not_open()
    # Asked again under the lock: of two who bring one link, one joins.
    invited = await _open(tx, edge, text)
    if await members.count(tx) >= members.MOST_MEMBERS:
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
    problem = weakness(body.password)
    if len(prepared(body.password)) < MIN_PASSWORD_LENGTH:
        problem = f"must have at least {MIN_PASSWORD_LENGTH} characters"
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
    # Who invited must still be one who may.
    inviter = await members.get(tx, found.created_by)
    try:
        check_grant(inviter.role if inviter else None, found.role)
    except HoldfastError as error:
        raise _not_open() from error
    return found


def _not_open() -> NotFound:
    return NotFound("The invitation is not valid, or not any more.")
