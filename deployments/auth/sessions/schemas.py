"""Requests and answers about sessions and passwords."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from deployments.auth.schemas import GivenPassword, NewPassword, Token
from gateway.fields import Email
from gateway.schemas import CamelModel
from store.people.sessions import Live


class Credentials(CamelModel):
    email: Email
    password: GivenPassword
    tenant_id: UUID | None = Field(
        default=None, description="Where you work; by default the business you joined first"
    )


class PasswordChanges(CamelModel):
    current_password: GivenPassword
    new_password: NewPassword


class NewPasswordReset(CamelModel):
    email: Email


class EmailVerification(CamelModel):
    token: Token


class PasswordReset(CamelModel):
    token: Token
    password: NewPassword


class SessionOut(CamelModel):
    """`refreshedAt` is when the session last got new tokens; `isCurrent` is the one that asks."""

    id: UUID
    tenant_id: UUID | None
    user_agent: str
    created_at: datetime
    refreshed_at: datetime | None
    expires_at: datetime
    is_current: bool

    @classmethod
    def of(cls, live: Live, current: str | None) -> SessionOut:
        is_current = str(live.id) == current
        return cls.shown(live, tenant_id=live.business_id, is_current=is_current)


class UserOut(CamelModel):
    """`role` is the one that the caller acts in: in a business, the role there."""

    id: UUID
    name: str
    email: str
    role: str
    tenant_id: UUID | None
    email_verified: bool = Field(description="Whether a mailed link proved the address")


class SessionRefresh(CamelModel):
    refresh_token: Token


class TokensOut(CamelModel):
    success: Literal[True] = True
    token: str = Field(description="Access token, for `Authorization: Bearer`")
    refresh_token: str = Field(description="Good for one refresh")
    expires_in: int = Field(description="Seconds until the access token expires")


class LoginOut(TokensOut):
    user: UserOut
