"""Accounts and sessions; keys for machines and scripts.

Register, login and refresh take no Idempotency-Key: their answers are secrets, which the command
log must not keep.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import Request

from core.errors import NotFound, Unauthenticated
from core.principal import Role
from deployments.auth import service
from deployments.auth.access import Anyone, Caller, In, Person, Reader
from deployments.auth.keys.service import key_of_caller
from deployments.auth.schemas import (
    CallerOut,
    Credentials,
    Jwks,
    LoginOut,
    NewAccount,
    RegisteredOut,
    SessionRefresh,
    TokensOut,
    UserOut,
)
from deployments.kit.router import Router
from gateway.context import context_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()


@router.post(
    "/register", summary="Register", status_code=201, responses=responses(service.EmailTaken)
)
async def register(
    _: Anyone, resources: In, request: Request, body: NewAccount
) -> Envelope[RegisteredOut]:
    """A new account: of a shopper (`customer`), or of someone who sells (`vendor`), whose
    business it opens too. Sign in next."""
    account = await service.register(
        resources.db,
        resources.edge,
        resources.clock,
        context_of(request.scope).address,
        name=body.name,
        email=body.email,
        password=body.password,
        vendor=body.role == "vendor",
        business_name=body.business_name,
        currency=body.currency,
    )
    return Envelope(
        message="User registered successfully",
        data=RegisteredOut(
            id=account.user.id,
            name=account.user.name,
            email=account.user.email,
            role=account.role,
            tenant_id=account.tenant_id,
        ),
    )


@router.post("/login", summary="Sign in", responses=responses(Unauthenticated, NotFound))
async def login(_: Anyone, resources: In, request: Request, body: Credentials) -> LoginOut:
    """A session: an access token for some minutes, and a refresh token for the next one."""
    issued = await service.login(
        resources.db,
        resources.edge,
        resources.clock,
        context_of(request.scope).address,
        email=body.email,
        password=body.password,
        user_agent=request.headers.get("user-agent", ""),
        business_id=body.business_id,
    )
    user = issued.account.user
    return LoginOut(
        token=issued.token,
        refresh_token=issued.refresh_token,
        expires_in=issued.expires_in_seconds,
        user=UserOut(
            id=user.id,
            name=user.name,
            email=user.email,
            role=issued.account.role,
            tenant_id=issued.account.tenant_id,
            email_verified=user.email_verified,
        ),
    )


@router.post("/refresh", summary="Refresh", responses=responses(Unauthenticated))
async def refresh(_: Anyone, resources: In, request: Request, body: SessionRefresh) -> TokensOut:
    """New tokens for a session. Each refresh token is good for one use; a second use ends the
    session."""
    issued = await service.refresh(
        resources.db,
        resources.edge,
        resources.clock,
        context_of(request.scope).address,
        body.refresh_token,
    )
    return TokensOut(
        token=issued.token,
        refresh_token=issued.refresh_token,
        expires_in=issued.expires_in_seconds,
    )


@router.post("/logout", summary="Sign out")
async def logout(principal: Person, resources: In) -> Message:
    """Ends the session: its access token counts for nothing from now on, within seconds
    everywhere, and its refresh token neither."""
    await service.logout(resources.db, resources.edge, principal)
    return Message(message="Signed out")


@router.get("/me", summary="Who am I")
async def me(principal: Caller, resources: In) -> Envelope[CallerOut]:
    """The caller: a person, whether signed in or by an API key, or a service key."""
    if principal.role is Role.SERVICE:
        name, email = (await key_of_caller(resources.db, principal)).name, None
        verified = None
    else:
        user = await service.person(resources.db, principal)
        name, email, verified = user.name, user.email, user.email_verified
    return Envelope(
        data=CallerOut(
            id=UUID(principal.id),
            name=name,
            email=email,
            role=principal.role,
            tenant_id=principal.tenant_id,
            scopes=sorted(principal.scopes),
            email_verified=verified,
        )
    )


@router.get("/jwks", summary="Public keys")
async def jwks(_: Reader, resources: In) -> Jwks:
    """The keys that access tokens are signed with (RFC 7517), for others to verify them."""
    return Jwks.model_validate(resources.edge.keys.jwks())
