"""What goods cost at a location now: read anew for every basket, together for those that are
priced at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from deployments.kit.gathering import Gathering
from deployments.kit.resources import Part
from store.business.profile import TillTerms
from store.catalog.bundles import SaleItem
from store.kit.engine import Database
from store.pos.till_prices import till_prices

# The kind of name (id, sku or barcode), and the name.
Name = tuple[str, object]


class Prices(NamedTuple):
    """What holds at a location, and the items that were asked for, by each of their names; what
    is missing was not found."""

    terms: TillTerms
    items: Mapping[Name, SaleItem]


class _Place(NamedTuple):
    tenant_id: UUID
    location_id: UUID


class PriceBook:
    """Nothing is remembered: a price that has changed holds from the next basket on."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asked: Gathering[_Place, Name, Prices | None] = Gathering(self._look_up)

    async def prices(
        self, tenant_id: UUID, location_id: UUID, names: Iterable[Name]
    ) -> Prices | None:
        """Of the tenant's items, and perhaps of some that others asked for; None if the tenant
        has no such location."""
        return await self._asked.ask(_Place(tenant_id, location_id), names)

    async def _look_up(self, place: _Place, names: set[Name]) -> Prices | None:
        wanted: dict[str, list[Any]] = {"id": [], "sku": [], "barcode": []}
        for kind, name in names:
            wanted[kind].append(name)
        found = await till_prices(self._db, *place, wanted["id"], wanted["sku"], wanted["barcode"])
        return None if found is None else Prices(found.terms, by_name(found.items))


def by_name(items: Iterable[SaleItem]) -> dict[Name, SaleItem]:
    named: dict[Name, SaleItem] = {}
    for item in items:
        named["id", item.item_id] = named["sku", item.sku] = item
        if item.barcode is not None:
            named["barcode", item.barcode] = item
    return named


PRICE_BOOK = Part(lambda shared: PriceBook(shared.db))
