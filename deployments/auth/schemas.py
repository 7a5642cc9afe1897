"""Requests and answers about accounts and who is calling; what passwords must be."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from gateway.fields import Currency, Email, Name
from gateway.passwords import prepared, weakness
from gateway.schemas import CamelModel

MIN_PASSWORD_LENGTH = 6
MAX_PASSWORD_LENGTH = 1024

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
