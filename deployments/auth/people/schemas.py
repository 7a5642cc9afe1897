"""Requests and answers about who works for a business, and how they come to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from deployments.auth.schemas import GivenPassword
from gateway.fields import Email, Name
from gateway.schemas import CamelModel
from store.people.invitations import Invitation
from store.people.members import Member
from store.people.users import Membership

Invited = Literal["manager", "staff", "cashier"]
MemberRole = Literal["owner", "manager", "staff", "cashier"]
Token = Annotated[str, Field(min_length=1, max_length=200)]


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
    def of(cls, one: Invitation) -> InvitationOut:
        status: Literal["open", "accepted", "revoked", "expired"] = "expired"
        if one.accepted_at is not None:
            status = "accepted"
        elif one.revoked_at is not None:
            status = "revoked"
        elif one.open:
            status = "open"
        return cls(
            id=one.id,
            email=one.email,
            role=one.role,
            status=status,
            invited_by=one.created_by,
            created_at=one.created_at,
            expires_at=one.expires_at,
        )


class SentInvitationOut(CamelModel):
    """The link goes to the invited address alone."""

    invitation: InvitationOut


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
    member_since: datetime

    @classmethod
    def of(cls, one: Member) -> MemberOut:
        return cls(
            user_id=one.user_id,
            name=one.name,
            email=one.email,
            role=one.role,
            member_since=one.created_at,
        )


class MemberChanges(CamelModel):
    role: MemberRole


class MembershipOut(CamelModel):
    """A business that the caller works for."""

    tenant_id: UUID
    business_name: str
    role: MemberRole

    @classmethod
    def of(cls, one: Membership) -> MembershipOut:
        return cls(
            tenant_id=one.tenant_id,
            business_name=one.name,
            role=one.role,
        )
