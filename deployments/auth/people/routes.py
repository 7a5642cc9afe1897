"""Who works for a business, and how they come to it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request

from core.errors import InvalidCredentials, NotFound
from deployments.auth.access import AnyoneTries, Person, SignedInManager
from deployments.auth.people import invitations, members
from deployments.auth.people.ranks import LastOwner
from deployments.auth.people.schemas import (
    Acceptance,
    InvitationOut,
    InvitationToken,
    MemberChanges,
    MemberOut,
    MembershipOut,
    NewInvitation,
    PreviewOut,
)
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, PersonalKey
from gateway.context import context_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page, PageQuery

router = Router()

InvitationId = Annotated[UUID, Path(alias="invitationId")]
TenantId = Annotated[UUID, Path(alias="tenantId")]
UserId = Annotated[UUID, Path(alias="userId")]

Paging = Annotated[PageQuery, Query()]


@router.get("/members", summary="List members")
async def list_members(
    principal: SignedInManager, shared: Shared, query: Paging
) -> Page[MemberOut]:
    """Who works for your business, the first joined first."""
    return await members.listed(shared, principal, query.span)


@router.put(
    "/members/{userId}",
    summary="Change a member's role",
    responses=responses(NotFound, LastOwner),
)
async def change_member(
    principal: SignedInManager, shared: Shared, key: Key, user_id: UserId, body: MemberChanges
) -> Made[MemberOut]:
    """Owners change anybody, managers who stands below them; nobody gives a role above their own.
    The member's sessions and API keys in the business end, and one owner always stays."""
    return await members.change_role(shared, principal, key, user_id, body.role)


@router.delete(
    "/members/{userId}",
    summary="Remove a member",
    responses=responses(NotFound, LastOwner),
)
async def remove_member(
    principal: SignedInManager, shared: Shared, key: Key, user_id: UserId
) -> Made[Message]:
    """Ends a membership with its sessions and API keys, and the invitations that the member
    made."""
    return await members.remove(shared, principal, key, user_id)


@router.get("/memberships", summary="List where you work")
async def list_memberships(principal: Person, shared: Shared) -> Envelope[list[MembershipOut]]:
    """The businesses that you work for; sign in to one of them with its id."""
    return Envelope(data=await members.mine(shared, principal))


@router.delete(
    "/memberships/{tenantId}",
    summary="Leave a business",
    responses=responses(NotFound, LastOwner),
)
async def leave_business(
    principal: Person, shared: Shared, key: PersonalKey, tenant_id: TenantId
) -> Made[Message]:
    """Ends your own membership, and your sessions and API keys there. The last owner stays."""
    return await members.leave(shared, principal, key, tenant_id)


@router.get("/invitations", summary="List invitations")
async def list_invitations(
    principal: SignedInManager, shared: Shared, query: Paging
) -> Page[InvitationOut]:
    """All of your business, newest first, answered and ended ones too."""
    return await invitations.listed(shared, principal, query.span)


@router.post(
    "/invitations",
    summary="Invite somebody",
    status_code=201,
    responses=responses(NotFound, invitations.AlreadyMember, invitations.TooManyInvitations),
)
async def invite(
    principal: SignedInManager, shared: Shared, key: Key, body: NewInvitation
) -> Made[InvitationOut]:
    """Mails a link, good for one use within seven days, that makes who has that e-mail address a
    member. Nobody else gets to see it; an earlier one to the same address ends."""
    return await invitations.invite(shared, principal, key, body)


@router.get(
    "/invitations/{invitationId}", summary="Get an invitation", responses=responses(NotFound)
)
async def get_invitation(
    principal: SignedInManager, shared: Shared, invitation_id: InvitationId
) -> Envelope[InvitationOut]:
    """One of your business, answered or ended ones too."""
    return Envelope(data=await invitations.one(shared, principal, invitation_id))


@router.delete(
    "/invitations/{invitationId}",
    summary="Revoke an invitation",
    responses=responses(NotFound),
)
async def revoke_invitation(
    principal: SignedInManager, shared: Shared, key: Key, invitation_id: InvitationId
) -> Made[Message]:
    """Its link counts for nothing from now on."""
    return await invitations.revoke(shared, principal, key, invitation_id)


@router.post("/invitations/preview", summary="Look at an invitation", responses=responses(NotFound))
async def preview_invitation(
    _: AnyoneTries, shared: Shared, request: Request, body: InvitationToken
) -> Envelope[PreviewOut]:
    """What the link that you hold is to."""
    address = context_of(request.scope).address
    return Envelope(data=await invitations.preview(shared, address, body.token))


@router.post(
    "/invitations/accept",
    summary="Accept an invitation",
    responses=responses(
        NotFound, InvalidCredentials, invitations.AlreadyMember, invitations.BusinessFull
    ),
)
async def accept_invitation(
    _: AnyoneTries, shared: Shared, request: Request, body: Acceptance
) -> Envelope[MembershipOut]:
    """Makes you a member: with your account, whose password you give, or with a new one. Sign in
    next. It takes no Idempotency-Key, for it holds a password; the link is good for one use."""
    address = context_of(request.scope).address
    joined = await invitations.accept(shared, address, body)
    return Envelope(message="Sign in to the business next", data=joined)
