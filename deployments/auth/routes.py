"""Service 1 of the marketplace plan: accounts and sessions; beyond it, keys for machines.

Register, login and refresh take no Idempotency-Key: their answers are secrets, which the command
log must not keep.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from core.errors import NotFound, Unauthenticated
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.auth import service
from deployments.auth.schemas import (
    CallerOut,
    Jwks,
    LoginIn,
    LoginOut,
    NewServiceKeyOut,
    RefreshIn,
    RegisteredOut,
    RegisterIn,
    ServiceKeyIn,
    ServiceKeyOut,
    TokensOut,
    UserOut,
)
from gateway.access import PUBLIC_ACCESS, require
from gateway.capability import Capability
from gateway.context import context_of
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.resources import Resources
from gateway.routing import HoldfastRoute
from gateway.schemas import Envelope, Message, Page, PageQuery, Pagination
from store.commands import Recorded

router = APIRouter(route_class=HoldfastRoute)

PEOPLE = frozenset(Role) - {Role.ANONYMOUS, Role.SERVICE}


async def _resources(request: Request) -> Resources:
    found: Resources = request.app.state.resources
    return found


In = Annotated[Resources, Depends(_resources)]
Key = Annotated[RequestKey, Depends(request_key)]
Anyone = Annotated[Principal, Depends(PUBLIC_ACCESS)]
Person = Annotated[Principal, Depends(require(PEOPLE, tenant=False))]
# Who it is, a key may ask whatever it is for.
Caller = Annotated[Principal, Depends(require(PEOPLE | {Role.SERVICE}, tenant=False, scoped=False))]
Manager = Annotated[Principal, Depends(require(MANAGEMENT))]


@router.post(
    "/register", summary="Register", status_code=201, responses=responses(service.EmailTaken)
)
async def register(
    _: Anyone, resources: In, request: Request, body: RegisterIn
) -> Envelope[RegisteredOut]:
    """A new account: of a shopper (`customer`), or of someone who sells (`vendor`), whose
    business it opens too. Sign in next."""
    account = await service.register(
        resources.db,
        resources.edge,
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


@router.post("/login", summary="Sign in", responses=responses(Unauthenticated))
async def login(_: Anyone, resources: In, request: Request, body: LoginIn) -> LoginOut:
    """A session: an access token for some minutes, and a refresh token for the next one."""
    issued = await service.login(
        resources.db,
        resources.edge,
        resources.clock,
        context_of(request.scope).address,
        email=body.email,
        password=body.password,
        user_agent=request.headers.get("user-agent", ""),
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
        ),
    )


@router.post("/refresh", summary="Refresh", responses=responses(Unauthenticated))
async def refresh(_: Anyone, resources: In, request: Request, body: RefreshIn) -> TokensOut:
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
    """The caller: a person, or a service key."""
    if principal.role is Role.SERVICE:
        name, email = (await service.key_of_caller(resources.db, principal)).name, None
    else:
        user = await service.person(resources.db, principal)
        name, email = user.name, user.email
    return Envelope(
        data=CallerOut(
            id=UUID(principal.id),
            name=name,
            email=email,
            role=principal.role,
            tenant_id=principal.tenant_id,
            scopes=sorted(principal.scopes),
        )
    )


@router.post(
    "/service-keys",
    summary="Create a service key",
    status_code=201,
    response_model=Envelope[NewServiceKeyOut],
    responses=responses(service.TooManyKeys),
)
async def create_service_key(
    principal: Manager, resources: In, key: Key, body: ServiceKeyIn
) -> Response:
    """A key for a machine that acts for your business, within its scopes. The secret is shown
    in this answer and never again."""
    recorded = await service.create_service_key(
        resources.db,
        resources.clock,
        principal,
        key,
        name=body.name,
        scopes=body.scopes,
        expires_at=body.expires_at,
    )
    return _response(recorded)


@router.get("/service-keys", summary="List service keys")
async def list_service_keys(
    principal: Manager, resources: In, query: Annotated[PageQuery, Query()]
) -> Page[ServiceKeyOut]:
    """The keys of your business, newest first, revoked ones too."""
    keys, total = await service.list_service_keys(
        resources.db, principal, page=query.page, limit=query.limit
    )
    return Page(
        data=[ServiceKeyOut.of(key) for key in keys],
        pagination=Pagination(page=query.page, limit=query.limit, total=total),
    )


@router.delete(
    "/service-keys/{key_id}",
    summary="Revoke a service key",
    response_model=Envelope[ServiceKeyOut],
    responses=responses(NotFound),
)
async def revoke_service_key(principal: Manager, resources: In, key: Key, key_id: UUID) -> Response:
    """Ends a key for good, within seconds everywhere."""
    return _response(
        await service.revoke_service_key(resources.db, resources.edge, principal, key, key_id)
    )


@router.get("/jwks", summary="Public keys")
async def jwks(_: Anyone, resources: In) -> Jwks:
    """The keys that access tokens are signed with (RFC 7517), for others to verify them."""
    return Jwks.model_validate(resources.edge.keys.jwks())


def _response(recorded: Recorded) -> Response:
    return Response(recorded.body, recorded.status, media_type="application/json")


capability = Capability("auth", "/api/auth", router)
