"""Requests and answers about who works for a business, and how they come to it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from deployments.auth.schemas import GivenPassword, Token
from gateway.changes import Partial
from gateway.fields import Email, Name, absent
from gateway.schemas import CamelModel
from store.people.invitations import Invitation
from store.people.members import Member
from store.people.users import Membership

Invited = Literal["manager", "staff", "cashier"]
MemberRole = Literal["owner", "manager", "staff", "cashier"]


class NewInvitation(CamelModel):
    email: Email
    role: Invited = Field(description="Not above your own")


class InvitationOut(CamelModel):
    id: UUID
    email: str
    role: Invited
    status: Literal["open", "accepted", "revoked", "expired"]
    invited_by: UUID
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, invitation: Invitation) -> InvitationOut:
        status = "expired"
        if invitation.accepted_at is not None:
            status = "accepted"
        elif invitation.revoked_at is not None:
            status = "revoked"
        elif invitation.open:
            status = "open"
        return cls.shown(invitation, status=status, invited_by=invitation.created_by)


class InvitationToken(CamelModel):
    token: Token


class PreviewOut(CamelModel):
    """What an invitation is to."""

    business_name: str
    email: str
    role: Invited
    expires_at: datetime


class Acceptance(CamelModel):
    """The password of the account with that e-mail address; where there is none, of the one that
    is made then, with `name`."""

    token: Token
    password: GivenPassword
    name: Name | None = None


class MemberOut(CamelModel):
    user_id: UUID
    name: str
    email: str
    role: MemberRole
    created_at: datetime

    @classmethod
    def of(cls, member: Member) -> MemberOut:
        return cls.shown(member)


class MemberChanges(Partial):
    role: MemberRole = absent()


class MembershipOut(CamelModel):
    """A business that the caller works for."""

    tenant_id: UUID
    business_name: str
    role: MemberRole

    @classmethod
    def of(cls, membership: Membership) -> MembershipOut:
        return cls.shown(membership, business_name=membership.name)
