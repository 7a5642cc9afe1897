"""What every service of the catalogue needs: for whom it writes, when, and what it answers."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from core import moments
from core.clock import Clock
from core.errors import Conflict, FieldError, NotFound
from core.principal import MANAGEMENT, Principal, Role
from deployments.catalog.products.rules import Author
from store.business.profile import business_currency
from store.catalog import products
from store.kit.commands import Recorded
from store.kit.engine import PUBLIC, Database, Transaction

T = TypeVar("T")

COST_READERS = MANAGEMENT | {Role.SERVICE}
_READING = frozenset({"*", "catalog:read", "catalog:write"})


class CatalogService:
    """A write acts for the principal's business, or as a platform admin for the business that
    has the thing."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def owner(self, principal: Principal, item_id: UUID) -> UUID:
        """The business in whose name a product or variant is written. Raises NotFound."""
        if principal.tenant_id is not None:
            return principal.tenant_id
        async with self._db.transaction(PUBLIC) as tx:
            owner = await products.vendor_of(tx, item_id)
        if owner is None:
            raise NotFound("There is no such product.")
        return owner

    async def author(self, tx: Transaction, principal: Principal, tenant_id: UUID) -> Author:
        """Raises NotFound if the business is no more."""
        currency = await business_currency(tx, tenant_id)
        if currency is None:
            raise NotFound("Your business does not exist any more.")
        return Author(tenant_id, UUID(principal.id), self.now(), currency)

    def now(self) -> datetime:
        return moments.of_ms(self._clock.now_ms())


def business(principal: Principal) -> UUID:
    if principal.tenant_id is None:
        raise RuntimeError("the route lets only members of a business through")
    return principal.tenant_id


def sees_costs(principal: Principal, tenant_id: UUID | None) -> bool:
    """Whether the caller may know what that business' goods cost it."""
    if principal.tenant_id is None or principal.tenant_id != tenant_id:
        return False
    if principal.is_key and not principal.scopes & _READING:
        return False
    return principal.role in COST_READERS


def found(thing: T | None, what: str = "product") -> T:
    if thing is None:
        raise NotFound(f"There is no such {what}.")
    return thing


def check_version(wanted: int | None, version: int, what: str) -> None:
    """Raises Conflict if the thing has moved on from the version that the caller knows."""
    if wanted is None or wanted == version:
        return
    message = f"is not the {what}'s version, which is {version}"
    raise Conflict(
        f"The {what} has changed since you read it.",
        errors=[FieldError("version", message)],
        extra={"currentVersion": version},
    )


def recorded(status: int, body: BaseModel) -> Recorded:
    """An answer as the command log keeps it."""
    return Recorded(status, body.model_dump_json(by_alias=True).encode())
