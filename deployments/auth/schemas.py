"""Requests and answers of `/api/auth`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from gateway.fields import Currency, Email, Name, ShortName
from gateway.passwords import prepared, weakness
from gateway.schemas import CamelModel, Moment, PageQuery
from store.people.sessions import Live

MIN_PASSWORD_LENGTH = 6
MAX_PASSWORD_LENGTH = 1024
MAX_SCOPES = 50


# Only its size is checked when someone signs in; what it must be is asked when it is chosen.
GivenPassword = Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD_LENGTH)]


def password_problem(value: str) -> str | None:
    """Why nobody may choose this password, if so."""
    if len(prepared(value)) < MIN_PASSWORD_LENGTH:
        return f"must have at least {MIN_PASSWORD_LENGTH} characters"
    return weakness(value)


def _not_guessed_first(value: str) -> str:
    problem = password_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return value


NewPassword = Annotated[
    str,
    Field(
        min_length=MIN_PASSWORD_LENGTH,
        max_length=MAX_PASSWORD_LENGTH,
        description="None of the commonest, not one character again and again",
    ),
    AfterValidator(_not_guessed_first),
]
# Of a mailed link, or of a session.
Token = Annotated[str, Field(min_length=1, max_length=200)]
ScopeText = Annotated[str, Field(pattern=r"^(\*|[a-z]{2,32}:(read|write))$", max_length=40)]


class NewAccount(CamelModel):
    """`vendor` also opens a business and makes the caller its owner. A platform's administrator
    is made with `holdfast admin create` only."""

    name: Name
    email: Email
    password: NewPassword
    role: Literal["customer", "vendor"] = "customer"
    business_name: Name | None = Field(
        default=None, description="Of the vendor's business; by default the vendor's own name"
    )
    currency: Currency | None = Field(
        default=None, description="ISO 4217 code of the business's prices; USD by default"
    )


class RegisteredOut(CamelModel):
    id: UUID
    name: str
    email: str
    role: str
    tenant_id: UUID | None


class Credentials(CamelModel):
    email: Email
    password: GivenPassword
    business_id: UUID | None = Field(
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


class CallerOut(CamelModel):
    """Who is calling: a person, or a service key (`role` service, without an e-mail address).
    `scopes` are a key's: a person's API key calls as the person."""

    id: UUID
    name: str
    email: str | None
    role: str
    tenant_id: UUID | None
    scopes: list[str]
    email_verified: bool | None


class NewKey(CamelModel):
    name: ShortName
    scopes: Annotated[list[ScopeText], Field(min_length=1, max_length=MAX_SCOPES)] = Field(
        description="`<capability>:read`, `<capability>:write` (which implies reading), or `*`",
        examples=[["inventory:write"]],
    )
    expires_at: Moment | None = None
    rate_limit_per_second: int | None = None


class NewServiceKey(NewKey):
    rate_limit_per_second: Annotated[int, Field(ge=1, le=5_000)] | None = Field(
        default=None, description="Requests per second, averaged over ten; 5000 by default"
    )


class NewApiKey(NewKey):
    expires_at: Moment | None = Field(
        default=None, description="Within 366 days; 90 days from now by default"
    )
    rate_limit_per_second: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Requests per second, averaged over ten; 100 by default"
    )


class ApiKeyQuery(PageQuery):
    user_id: UUID | None = Field(default=None, description="A member; by default yourself")


class KeyRotation(CamelModel):
    grace_seconds: Annotated[int, Field(ge=0, le=7 * 86_400)] = Field(
        default=0, description="For how long the old key lives on, to within five minutes"
    )


class KeyOut(CamelModel):
    """A service key or an API key."""

    id: UUID
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To within five minutes")
    rate_limit_per_second: int | None


class IssuedKeyOut(CamelModel):
    key: KeyOut
    secret: str | None = Field(
        description="The key itself. Shown this once; a repeat of the request answers null here"
    )


class Jwk(CamelModel):
    """A public key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    alg: str
    use: str


class Jwks(CamelModel):
    keys: list[Jwk]
