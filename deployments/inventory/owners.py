"""Which business a product belongs to: it never changes, so it is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from core.errors import NotFound
from store import catalog
from store.engine import PUBLIC, Database, Scope

MAX_REMEMBERED = 200_000


class ProductOwners:
    """Product to tenant, least recently used forgotten first."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[UUID, UUID] = OrderedDict()

    async def of(self, product_id: UUID) -> UUID:
        """The tenant of a product that is, or was, in the public catalogue. Raises NotFound."""
        if (tenant_id := self._known.get(product_id)) is None:
            await self._learn([product_id], PUBLIC)
            tenant_id = self._known.get(product_id)
        if tenant_id is None:
            raise NotFound("There is no such product.")
        return tenant_id

    async def of_any(self, product_id: UUID) -> UUID:
        """The same for a product that has left the catalogue, too. Raises NotFound."""
        if (known := self._known.get(product_id)) is not None:
            return known
        async with self._db.transaction(PUBLIC) as tx:
            tenant_id = await catalog.vendor_of(tx, product_id)
        if tenant_id is None:
            raise NotFound("There is no such product.")
        return tenant_id

    async def check(self, tenant_id: UUID, product_ids: Iterable[UUID]) -> None:
        """That all products are the tenant's own. Raises NotFound, as for what does not exist."""
        wanted = set(product_ids)
        unknown = [one for one in wanted if one not in self._known]
        if unknown:
            await self._learn(unknown, Scope(tenant_id=tenant_id))
        for product_id in wanted:
            if self._known.get(product_id) != tenant_id:
                raise NotFound(f"There is no product {product_id} here.")

    async def _learn(self, product_ids: list[UUID], scope: Scope) -> None:
        async with self._db.transaction(scope) as tx:
            self._known |= await catalog.tenant_of(tx, product_ids)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
