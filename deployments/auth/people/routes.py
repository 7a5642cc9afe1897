"""Who works for a business, and how they come to it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response

from core.errors import InvalidCredentials, NotFound
from deployments.auth.access import Anyone, In, Key, Manager, Person, PersonalKey
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
    SentInvitationOut,
)
from deployments.kit.router import Router
from gateway.answers import response
from gateway.context import context_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page, PageQuery, page_of

router = Router()

InvitationId = Annotated[UUID, Path(alias="invitationId")]
TenantId = Annotated[UUID, Path(alias="tenantId")]
UserId = Annotated[UUID, Path(alias="userId")]

Paging = Annotated[PageQuery, Query()]


@router.get("/members", summary="List members")
async def list_members(principal: Manager, resources: In, query: Paging) -> Page[MemberOut]:
    """Who works for your business, the first joined first."""
    return page_of(await members.listed(resources.db, principal, query.span))


@router.put(
    "/members/{userId}",
    summary="Change a member's role",
    response_model=Envelope[MemberOut],
    responses=responses(NotFound, LastOwner),
)
async def change_member(
    principal: Manager, resources: In, key: Key, user_id: UserId, body: MemberChanges
) -> Response:
    """Owners change anybody, managers who stands below them; nobody gives a role above their own.
    The member's sessions and API keys in the business end, and one owner always stays."""
    return response(
        await members.change_role(resources.db, resources.edge, principal, key, user_id, body.role)
    )


@router.delete(
    "/members/{userId}",
    summary="Remove a member",
    response_model=Message,
    responses=responses(NotFound, LastOwner),
)
async def remove_member(principal: Manager, resources: In, key: Key, user_id: UserId) -> Response:
    """Ends a membership with its sessions and API keys, and the invitations that the member
    made."""
    return response(await members.remove(resources.db, resources.edge, principal, key, user_id))


@router.get("/memberships", summary="List where you work")
async def list_memberships(principal: Person, resources: In) -> Envelope[list[MembershipOut]]:
    """The businesses that you work for; sign in to one of them with its id."""
    return Envelope(data=await members.mine(resources.db, principal))


@router.delete(
    "/memberships/{tenantId}",
    summary="Leave a business",
    response_model=Message,
    responses=responses(NotFound, LastOwner),
)
async def leave_business(
    principal: Person, resources: In, key: PersonalKey, tenant_id: TenantId
) -> Response:
    """Ends your own membership, and your sessions and API keys there. The last owner stays."""
    return response(await members.leave(resources.db, resources.edge, principal, key, tenant_id))


@router.get("/invitations", summary="List invitations")
async def list_invitations(principal: Manager, resources: In, query: Paging) -> Page[InvitationOut]:
    """All of your business, newest first, answered and ended ones too."""
    return page_of(await invitations.listed(resources.db, principal, query.span))


@router.post(
    "/invitations",
    summary="Invite somebody",
    status_code=201,
    response_model=Envelope[SentInvitationOut],
    responses=responses(invitations.AlreadyMember, invitations.TooManyInvitations),
)
async def invite(principal: Manager, resources: In, key: Key, body: NewInvitation) -> Response:
    """Mails a link, good for one use within seven days, that makes who has that e-mail address a
    member. Nobody else gets to see it; an earlier one to the same address ends."""
    return response(
        await invitations.invite(
            resources.db,
            resources.clock,
            principal,
            key,
            email=body.email,
            role=body.role,
        )
    )


@router.delete(
    "/invitations/{invitationId}",
    summary="Revoke an invitation",
    response_model=Message,
    responses=responses(NotFound),
)
async def revoke_invitation(
    principal: Manager, resources: In, key: Key, invitation_id: InvitationId
) -> Response:
    """Its link counts for nothing from now on."""
    return response(await invitations.revoke(resources.db, principal, key, invitation_id))


@router.post("/invitations/preview", summary="Look at an invitation", responses=responses(NotFound))
async def preview_invitation(
    _: Anyone, resources: In, request: Request, body: InvitationToken
) -> Envelope[PreviewOut]:
    """What the link that you hold is to."""
    address = context_of(request.scope).address
    return Envelope(
        data=await invitations.preview(resources.db, resources.edge, address, body.token)
    )


@router.post(
    "/invitations/accept",
    summary="Accept an invitation",
    responses=responses(
        NotFound, InvalidCredentials, invitations.AlreadyMember, invitations.BusinessFull
    ),
)
async def accept_invitation(
    _: Anyone, resources: In, request: Request, body: Acceptance
) -> Envelope[MembershipOut]:
    """Makes you a member: with your account, whose password you give, or with a new one. Sign in
    next. It takes no Idempotency-Key, for it holds a password; the link is good for one use."""
    address = context_of(request.scope).address
    return await invitations.accept(resources.db, resources.edge, address, body)
