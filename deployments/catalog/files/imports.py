"""The import of products: rows in, each with an answer of its own, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from actors.runtime.bus import CommandBus
from core.clock import Clock
from core.events import Event
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog.base import CatalogService, business, recorded
from deployments.catalog.categories import service as categories
from deployments.catalog.files.import_rules import (
    Outcome,
    Row,
    Shelf,
    TaxClasses,
    read_rows,
    skus_in,
)
from deployments.catalog.files.import_schemas import (
    ImportResult,
    ProductImport,
    RowError,
    RowResult,
)
from deployments.catalog.products.events import (
    ProductCreated,
    ProductUpdated,
    VariantCreated,
    VariantUpdated,
)
from deployments.catalog.products.rules import differing
from deployments.catalog.variants.parents import Telling, telling
from gateway.schemas import Envelope
from store.business import taxes
from store.catalog import bundles as catalog_bundles
from store.catalog import items
from store.catalog import products as catalog
from store.catalog import variants as catalog_variants
from store.catalog.products import Product
from store.catalog.variants import Variant
from store.kit import audit
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit_all


class Imports(CatalogService):
    """Brings rows into the catalogue of the principal's business."""

    def __init__(self, db: Database, clock: Clock, bus: CommandBus) -> None:
        super().__init__(db, clock)
        self._bus = bus

    async def import_rows(
        self, principal: Principal, key: RequestKey, body: ProductImport
    ) -> Recorded:
        """Creates or changes an item per row, by SKU, all that can be in one transaction."""
        tenant = business(principal)

        async def attempt(told: Telling) -> Recorded:
            async with self._db.transaction(Scope(tenant)) as tx:

                async def work() -> Recorded:
                    outcomes = await self._placed(tx, principal, tenant, body, told)
                    await _write(tx, tenant, outcomes)
                    await emit_all(tx, tenant, _events(outcomes))
                    sizes = Counter(outcome.status for outcome in outcomes)
                    changes = {name: (None, sizes[name]) for name in ("created", "updated")}
                    await audit.record(tx, tenant, principal, "catalog.imported", tenant, changes)
                    return recorded(200, Envelope(data=_result(outcomes)))

                return await once(tx, tenant, key, work)

        return await telling(self._db, self._bus, principal, key, tenant, attempt)

    async def _placed(
        self,
        tx: Transaction,
        principal: Principal,
        tenant: UUID,
        body: ProductImport,
        told: Telling,
    ) -> list[Outcome]:
        """What becomes of each row; the categories that they name are there."""
        await catalog.lock_catalog(tx, tenant)
        author = await self.author(tx, principal, tenant)
        rows = read_rows(body.rows, TaxClasses(await taxes.live_names(tx)))
        shelf = await _shelf(tx, tenant, rows)
        if parents := shelf.new_parents(rows):
            shelf.stocked.update(await told.check(tx, parents))
        outcomes = [
            row if isinstance(row, Outcome) else shelf.place(number, row, author)
            for number, row in enumerate(rows)
        ]
        products = [o.item for o in outcomes if isinstance(o.item, Product)]
        await categories.ensure(tx, tenant, {one.category for one in products}, author.now)
        return outcomes


async def _shelf(tx: Transaction, tenant_id: UUID, rows: Sequence[Row | Outcome]) -> Shelf:
    """What is there of all that the rows mention."""
    skus = skus_in(rows)
    barcodes = {row.barcode for row in rows if not isinstance(row, Outcome) and row.barcode}
    products = await catalog.by_skus(tx, tenant_id, skus)
    ids = [product.id for product in products.values()]
    bundles = [product.id for product in products.values() if product.kind == "bundle"]
    return Shelf(
        products,
        await catalog_variants.by_skus(tx, tenant_id, skus),
        await items.code_owners(tx, tenant_id, "barcode", barcodes),
        await catalog_variants.of_products(tx, ids),
        await catalog_bundles.components_of(tx, bundles),
        set(await catalog_bundles.bundles_with(tx, ids)),
    )


async def _write(tx: Transaction, tenant_id: UUID, outcomes: Sequence[Outcome]) -> None:
    """Changes come before what is new, which may take what they gave up."""
    products = [(o.status, o.item) for o in outcomes if isinstance(o.item, Product)]
    variants = [(o.status, o.item) for o in outcomes if isinstance(o.item, Variant)]
    await catalog.replace(tx, [product for status, product in products if status == "updated"])
    await catalog.add(tx, [product for status, product in products if status == "created"])
    await catalog_variants.replace(tx, [one for status, one in variants if status == "updated"])
    await catalog_variants.add(tx, [one for status, one in variants if status == "created"])
    parts = {o.item.id: o.parts for o in outcomes if o.item is not None and o.parts is not None}
    await catalog_bundles.put_components(tx, tenant_id, parts)


def _events(outcomes: Sequence[Outcome]) -> list[tuple[UUID, Event]]:
    """What happened, each with the item that it happened to."""
    events: list[tuple[UUID, Event]] = []
    for outcome in outcomes:
        if outcome.status not in ("created", "updated"):
            continue
        item, before = outcome.item, outcome.before
        if isinstance(item, Product) and not isinstance(before, Variant):
            events.append((item.id, _of_product(item, before, outcome.parts is not None)))
        elif isinstance(item, Variant) and not isinstance(before, Product):
            events.append((item.id, _of_variant(item, before)))
    return events


def _of_product(product: Product, before: Product | None, has_new_parts: bool) -> Event:
    if before is None:
        return ProductCreated.of(product)
    changed = differing(before, product) + ["components"] * has_new_parts
    return ProductUpdated.of(product, changed=tuple(sorted(changed)))


def _of_variant(variant: Variant, before: Variant | None) -> Event:
    if before is None:
        return VariantCreated.of(variant)
    return VariantUpdated.of(variant, changed=tuple(differing(before, variant)))


def _result(outcomes: Sequence[Outcome]) -> ImportResult:
    sizes = Counter(outcome.status for outcome in outcomes)
    return ImportResult(
        created=sizes["created"],
        updated=sizes["updated"],
        unchanged=sizes["unchanged"],
        rejected=sizes["rejected"],
        rows=[
            RowResult(
                sku=o.sku,
                status=o.status,
                id=o.item.id if o.item else None,
                errors=[RowError(field=e.field, message=e.message) for e in o.errors],
            )
            for o in outcomes
        ],
    )
