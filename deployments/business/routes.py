"""What a business says about itself, and who changed what."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Depends, Query

from core.errors import Conflict, NotFound
from core.principal import OWNERS, Principal
from deployments.business import service
from deployments.business.schemas import AuditOut, AuditQuery, BusinessChanges, BusinessOut
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, Manager, Owner, Staff, page
from gateway.access import require
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page
from store.kit import audit

router = Router()

# What cannot be taken back is no script's to do.
Closer = Annotated[Principal, Depends(require(OWNERS, signed_in=True))]


@router.get("", summary="Get the business", responses=responses(NotFound))
async def get_business(principal: Staff, shared: Shared) -> Envelope[BusinessOut]:
    """The business that you act for."""
    return await service.profile(shared.db, principal)


@router.put("", summary="Change the business", responses=responses(NotFound, Conflict))
async def change_business(
    principal: Manager, shared: Shared, key: Key, body: BusinessChanges
) -> Made[BusinessOut]:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    business still has it."""
    return await service.change_profile(shared, principal, key, body)


@router.delete("", summary="Delete the business", responses=responses(NotFound))
async def delete_business(principal: Closer, shared: Shared, key: Key) -> Made[Message]:
    """Ends the business: nobody can sign in to it any more, its keys and invitations end, and
    its products leave the public catalogue. Its history is kept."""
    return await service.close_business(shared, principal, key)


@router.get("/audit-log", summary="Who changed what")
async def read_audit_log(
    principal: Owner, shared: Shared, query: Annotated[AuditQuery, Query()]
) -> Page[AuditOut]:
    """Every change of the business, its people, keys, master data, catalogue and suppliers, newest
    first. It holds no secrets, and nobody can change it."""
    read = partial(audit.entries, filters=query.filters(), span=query.span)
    return await page(shared, principal, read, AuditOut.of)
