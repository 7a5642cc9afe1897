"""Who writes the catalogue, and when; and what was looked for and must be there."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from core import moments
from core.errors import NotFound
from core.principal import Principal
from deployments.catalog.products.rules import Author
from deployments.kit.resources import Resources
from store.business.profile import business_currency
from store.kit.engine import Transaction

T = TypeVar("T")


async def author_of(
    shared: Resources, tx: Transaction, principal: Principal, tenant_id: UUID
) -> Author:
    """Raises NotFound if the business is no more."""
    currency = await business_currency(tx, tenant_id)
    if currency is None:
        raise NotFound("Your business does not exist any more.")
    return Author(tenant_id, UUID(principal.id), now(shared), currency)


def now(shared: Resources) -> datetime:
    return moments.of_ms(shared.clock.now_ms())


def found(thing: T | None, noun: str = "product") -> T:
    """Raises NotFound for None."""
    if thing is None:
        raise NotFound(f"There is no such {noun}.")
    return thing
