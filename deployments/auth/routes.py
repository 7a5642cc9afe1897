"""Accounts and sessions; who is calling.

Register, login and refresh take no Idempotency-Key: their answers are secrets, which the command
log must not keep.
"""

from __future__ import annotations

from fastapi import Request

from core.errors import NotFound, Unauthenticated
from deployments.auth import service
from deployments.auth.access import AnyoneTries, Caller, Person
from deployments.auth.schemas import CallerOut, Jwks, NewAccount, RegisteredOut
from deployments.auth.sessions import service as sessions
from deployments.auth.sessions.schemas import Credentials, LoginOut, SessionRefresh, TokensOut
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Anyone
from gateway.context import context_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()


@router.post(
    "/register",
    summary="Register",
    status_code=201,
    made_at="/api/auth/me",
    responses=responses(service.EmailTaken),
)
async def register(
    _: AnyoneTries, shared: Shared, request: Request, body: NewAccount
) -> Envelope[RegisteredOut]:
    """A new account: of a shopper (`customer`), or of someone who sells (`vendor`), whose
    business it opens too. Sign in next."""
    registered = await service.register(shared, context_of(request.scope).address, body)
    return Envelope(message="User registered successfully", data=registered)


@router.post("/login", summary="Sign in", responses=responses(Unauthenticated, NotFound))
async def login(_: AnyoneTries, shared: Shared, request: Request, body: Credentials) -> LoginOut:
    """A session: an access token for some minutes, and a refresh token for the next one."""
    address, user_agent = context_of(request.scope).address, request.headers.get("user-agent", "")
    return await sessions.login(shared, address, user_agent, body)


@router.post("/refresh", summary="Refresh", responses=responses(Unauthenticated))
async def refresh(
    _: AnyoneTries, shared: Shared, request: Request, body: SessionRefresh
) -> TokensOut:
    """New tokens for a session. Each refresh token is good for one use; a second use ends the
    session."""
    address = context_of(request.scope).address
    return await sessions.refresh(shared, address, body.refresh_token)


@router.post("/logout", summary="Sign out")
async def logout(principal: Person, shared: Shared) -> Message:
    """Ends the session: its access token counts for nothing from now on, within seconds
    everywhere, and its refresh token neither."""
    await sessions.logout(shared, principal)
    return Message(message="Signed out")


@router.get("/me", summary="Who am I")
async def me(principal: Caller, shared: Shared) -> Envelope[CallerOut]:
    """The caller: a person, whether signed in or by an API key, or a service key."""
    return Envelope(data=await service.caller(shared, principal))


@router.get("/jwks", summary="Public keys")
async def jwks(_: Anyone, shared: Shared) -> Jwks:
    """The keys that access tokens are signed with (RFC 7517), for others to verify them."""
    return Jwks.model_validate(shared.edge.keys.jwks())
