"""Who may use a route: the one place where roles, tenancy and what keys may are checked."""

# No `from __future__ import annotations` here: FastAPI resolves the names in a signature by the
# callable's globals, and an Access, being an object, has none.

from uuid import UUID

from fastapi import Request

from core.errors import Forbidden, Unauthenticated
from core.principal import Principal, Role
from gateway.context import RequestContext, context_of

READING = frozenset({"GET", "HEAD"})
ALL_SCOPES = "*"


class Access:
    """A FastAPI dependency that yields the Principal of a caller that the route is for.

    `roles` may use it; with `tenant`, only those who act for a business. A key, a machine's or a
    person's, also needs the scope `<capability>:read` or `<capability>:write` (which implies
    reading), or `*`, where the route is `scoped`. With `signed_in` no key may use it, whatever its
    scopes: a key that leaks must not make others, nor change who has access.

    `cost` is what a request takes of the caller's limit, in requests that look up one thing. A
    request that costs more than one also waits its turn (`gateway.turns`). None: the route has no
    cost of its own.
    """

    def __init__(
        self,
        roles: frozenset[Role],
        *,
        tenant: bool,
        scoped: bool = True,
        signed_in: bool = False,
        cost: int | None = None,
    ) -> None:
        self.roles = roles
        self.tenant = tenant
        self.scoped = scoped
        self.signed_in = signed_in
        self.cost = cost

    @property
    def is_public(self) -> bool:
        return Role.ANONYMOUS in self.roles

    async def __call__(self, request: Request) -> Principal:
        # HoldfastRoute has authorized it before it read the body.
        return context_of(request.scope).principal

    def authorize(self, context: RequestContext, capability: str) -> Principal:
        """The caller, if it may. Raises Unauthenticated or Forbidden, or the error that kept its
        credentials from being checked."""
        principal = context.principal
        if self.is_public:
            return principal
        if context.denied is not None:
            raise context.denied
        if principal.is_anonymous:
            raise Unauthenticated
        if principal.role not in self.roles:
            raise Forbidden(f"The role {principal.role.value} may not do this.")
        if self.tenant and principal.tenant_id is None:
            raise Forbidden("You do not act for a business.")
        if principal.is_key:
            if self.signed_in:
                raise Forbidden("No key may do this; sign in.")
            if self.scoped and not _in_scope(principal, capability, context.method):
                raise Forbidden(f"The key has no scope for {capability}.")
        return principal


def require(
    roles: frozenset[Role],
    *,
    tenant: bool = True,
    scoped: bool = True,
    signed_in: bool = False,
) -> Access:
    """Access for some roles: `Annotated[Principal, Depends(require(MANAGEMENT))]`."""
    if Role.ANONYMOUS in roles:
        raise ValueError("a route for everyone takes PUBLIC_ACCESS, or `public_read`")
    return Access(roles, tenant=tenant, scoped=scoped, signed_in=signed_in)


def tenant_of(principal: Principal) -> UUID:
    """The business that the caller acts for. Raises Forbidden where there is none."""
    if principal.tenant_id is None:
        raise Forbidden("You do not act for a business.")
    return principal.tenant_id


def public_read(cost: int) -> Access:
    """Access for everyone to something that is read. What anyone may ask has a cost: 1 for one
    thing by its id, more for a request that goes through many things."""
    if cost < 1:
        raise ValueError("a read costs at least as much as a request")
    return Access(frozenset(Role), tenant=False, cost=cost)


PUBLIC_ACCESS = Access(frozenset(Role), tenant=False)


def _in_scope(principal: Principal, capability: str, method: str) -> bool:
    scopes = principal.scopes
    if ALL_SCOPES in scopes or f"{capability}:write" in scopes:
        return True
    return method in READING and f"{capability}:read" in scopes
