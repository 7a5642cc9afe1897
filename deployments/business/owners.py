"""Which business an item (a product or a variant) belongs to: it never changes, so it is
remembered; and for a while what kind of item it is, and how its quantities are measured."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import starmap
from typing import NamedTuple
from uuid import UUID

from actors.stock.model import Measure, Measures
from core.clock import Clock
from core.errors import ChooseVariant, NotFound, ServiceHasNoStock
from core.quantities import to_steps
from deployments.kit.gathering import Gathering
from deployments.kit.resources import Part
from store.catalog import bundles as catalog_bundles
from store.catalog import products
from store.catalog.bundles import ItemKind
from store.kit.engine import PUBLIC, Database, Scope

MAX_REMEMBERED = 200_000
# So long a product that has got its first variant may go on being stocked itself elsewhere, and one
# that is measured otherwise be refused as `measure_changed`.
KIND_REMEMBERED_SECONDS = 60.0


class _Known(NamedTuple):
    """`until`: so long, on the boot clock, the item is thought to be of this kind, and its
    quantities to have so many decimals."""

    tenant_id: UUID
    kind: ItemKind
    decimals: int
    until: float


class Goods(NamedTuple):
    """What some items are: those that are bundles, and how many decimals the quantities of those
    have that are not counted by the piece."""

    bundles: frozenset[UUID]
    decimals: Mapping[UUID, int]

    @property
    def measures(self) -> Measures:
        """What the owner of the stock is told of it."""
        return tuple(starmap(Measure, self.decimals.items()))

    def steps(self, product_id: UUID, quantity: int | Decimal, field: str = "quantity") -> int:
        """Raises ValidationFailed on `field` for a part of a piece."""
        decimals = self.decimals.get(product_id, 0)
        if not decimals and isinstance(quantity, int):
            return quantity
        return to_steps(quantity, decimals, field)


class ProductOwners:
    """Item to tenant, least recently used forgotten first."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._unknown: Gathering[Scope, UUID, None] = Gathering(self._look_up)

    async def of(self, product_id: UUID) -> UUID:
        """The tenant of an item that is, or was, in the public catalogue. Raises NotFound."""
        if (known := self._known.get(product_id)) is None:
            await self._unknown.ask(PUBLIC, [product_id])
            known = self._known.get(product_id)
        if known is None:
            raise NotFound("There is no such product.")
        return known.tenant_id

    async def of_any(self, product_id: UUID) -> UUID:
        """The same for an item that has left the catalogue, too. Raises NotFound."""
        if (known := self._known.get(product_id)) is not None:
            return known.tenant_id
        async with self._db.transaction(PUBLIC) as tx:
            tenant_id = await products.vendor_of(tx, product_id)
        if tenant_id is None:
            raise NotFound("There is no such product.")
        return tenant_id

    async def check(self, tenant_id: UUID, product_ids: Iterable[UUID]) -> None:
        """That all items are the tenant's own. Raises NotFound, as for what does not exist."""
        wanted = set(product_ids)
        unknown = [product_id for product_id in wanted if product_id not in self._known]
        if unknown:
            await self._unknown.ask(Scope(tenant_id=tenant_id), unknown)
        for product_id in wanted:
            known = self._known.get(product_id)
            if known is None or known.tenant_id != tenant_id:
                raise NotFound(f"There is no product {product_id} here.")

    async def goods(self, tenant_id: UUID, product_ids: Iterable[UUID]) -> Goods:
        """That all items are the tenant's own, and neither services nor products that have
        variants; and what they are. Raises NotFound, ServiceHasNoStock and ChooseVariant."""
        now = self._clock.boot_seconds()
        recalled = [(product_id, self._known.get(product_id)) for product_id in product_ids]
        stale = [
            product_id for product_id, known in recalled if known is None or known.until <= now
        ]
        if stale:
            await self._unknown.ask(Scope(tenant_id=tenant_id), stale)
            recalled = [(product_id, self._known.get(product_id)) for product_id, _ in recalled]
        bundles = set()
        decimals: dict[UUID, int] = {}
        for product_id, known in recalled:
            if known is None or known.tenant_id != tenant_id:
                raise NotFound(f"There is no product {product_id} here.")
            if known.kind == "parent":
                raise ChooseVariant(extra={"productId": str(product_id)})
            if known.kind == "service":
                raise ServiceHasNoStock(extra={"productId": str(product_id)})
            if known.kind == "bundle":
                bundles.add(product_id)
            if known.decimals:
                decimals[product_id] = known.decimals
        return Goods(frozenset(bundles), decimals)

    def forget(self, item_id: UUID) -> None:
        """What an item is thought to be proved wrong."""
        self._known.pop(item_id, None)

    async def _look_up(self, scope: Scope, wanted: set[UUID]) -> None:
        async with self._db.lookup(scope) as lookup:
            owners = await catalog_bundles.owners_of(lookup, wanted)
        until = self._clock.boot_seconds() + KIND_REMEMBERED_SECONDS
        for product_id, (tenant_id, kind, decimals) in owners.items():
            # A parent may lose its last variant at any time, so nobody counts on it.
            trusted = 0.0 if kind == "parent" else until
            self._known[product_id] = _Known(tenant_id, kind, decimals, trusted)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)


OWNERS = Part(lambda shared: ProductOwners(shared.db, shared.clock))
