"""What routes have in common: who may use them, the key of a mutation, how a list is answered and
a change made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends

from core.paging import Part
from core.principal import MANAGEMENT, OWNERS, STAFF, Principal, Role
from core.request import RequestKey
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from gateway.access import public_read, require, tenant_of
from gateway.idempotency import personal_key, request_key
from gateway.schemas import Page, page_of
from store.kit.commands import once
from store.kit.engine import Scope, Transaction

T = TypeVar("T")
S = TypeVar("S")

Key = Annotated[RequestKey, Depends(request_key)]
# For what ends somebody's own access, whichever business they are signed in to.
PersonalKey = Annotated[RequestKey, Depends(personal_key)]

# Anyone may read; what goes through many things costs more, and waits its turn.
Anyone = Annotated[Principal, Depends(public_read(1))]
AnyoneLists = Annotated[Principal, Depends(public_read(4))]
AnyoneCounts = Annotated[Principal, Depends(public_read(10))]
# Those of the business that the caller acts for. Cashiers are staff, and so are machines.
Staff = Annotated[Principal, Depends(require(STAFF))]
Manager = Annotated[Principal, Depends(require(MANAGEMENT))]
Owner = Annotated[Principal, Depends(require(OWNERS))]
# Of the platform, who act for no business.
Admin = Annotated[Principal, Depends(require(frozenset({Role.ADMIN}), tenant=False))]


def own_scope(principal: Principal) -> Scope:
    """What is a person's alone goes by the user's id where a business's would stand."""
    user_id = UUID(principal.id)
    return Scope(tenant_id=user_id, user_id=user_id)


async def page(
    shared: Resources,
    principal: Principal,
    read: Callable[[Transaction], Awaitable[Part[T]]],
    shape: Callable[[T], S],
    scope: Scope | None = None,
) -> Page[S]:
    """One page, each item in its shape: of the caller's own business, or of what `scope` shows."""
    async with shared.db.transaction(scope or Scope(tenant_of(principal))) as tx:
        part = await read(tx)
    return page_of(part.map(shape))


async def change(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    work: Callable[[Transaction], Awaitable[Made[T]]],
    scope: Scope | None = None,
) -> Made[T]:
    """Changes something of the caller's business, or of the tenant of `scope`, once: a repeat is
    answered as the first time. What `work` raises rolls back all that it has done, and is not
    remembered."""
    scope = scope or Scope(tenant_of(principal))
    tenant_id = scope.tenant_id
    if tenant_id is None:
        raise ValueError("the command log keeps an answer for a tenant")
    async with shared.db.transaction(scope) as tx:

        async def recorded() -> Any:
            return (await work(tx)).recorded

        return Made(await once(tx, tenant_id, key, recorded))
