"""Requests and answers about keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from gateway.fields import ShortName
from gateway.schemas import CamelModel, Moment, PageQuery

MAX_SCOPES = 50

ScopeText = Annotated[str, Field(pattern=r"^(\*|[a-z]{2,32}:(read|write))$", max_length=40)]


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


class IssuedKeyOut(KeyOut):
    """A key that was just made, with its secret."""

    secret: str | None = Field(
        description="The key itself. Shown this once; a repeat of the request answers null here"
    )
