"""Who may write the catalogue, in whose name, and who may see what goods cost."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path

from core.principal import MANAGEMENT, Principal, Role
from deployments.business.owners import OWNERS
from deployments.kit.resources import Resources
from gateway.access import require

ProductId = Annotated[UUID, Path(alias="productId")]
VariantId = Annotated[UUID, Path(alias="productId")]

# A service key needs the scope catalog:write: its business' other systems keep the catalogue.
WRITERS = MANAGEMENT | {Role.SERVICE}
Writer = Annotated[Principal, Depends(require(WRITERS))]
# A platform admin acts for no business and may mend or take down any product.
WriterOrAdmin = Annotated[Principal, Depends(require(WRITERS | {Role.ADMIN}, tenant=False))]

COST_READERS = MANAGEMENT | {Role.SERVICE}
_READING = frozenset({"*", "catalog:read", "catalog:write"})


async def owner_of(shared: Resources, principal: Principal, item_id: UUID) -> UUID:
    """The business in whose name a product or variant is written: the caller's own, or for a
    platform admin the one that has it. Raises NotFound."""
    return principal.tenant_id or await OWNERS.of(shared).of_any(item_id)


def sees_costs(principal: Principal, tenant_id: UUID | None) -> bool:
    """Whether the caller may know what that business' goods cost it."""
    if principal.tenant_id is None or principal.tenant_id != tenant_id:
        return False
    if principal.is_key and not principal.scopes & _READING:
        return False
    return principal.role in COST_READERS
