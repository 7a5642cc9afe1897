"""The import of products: rows in, each with an answer of its own, in one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core.events import Event
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog.authors import author_of
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
    ImportedRowOut,
    ImportOut,
    ProductImport,
    ProductRow,
    RowErrorOut,
)
from deployments.catalog.products import terms
from deployments.catalog.products.events import (
    ProductCreated,
    ProductUpdated,
    VariantCreated,
    VariantUpdated,
)
from deployments.catalog.products.rules import differing
from deployments.catalog.variants.parents import Announcement, announced
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change
from gateway.access import tenant_of
from gateway.schemas import Envelope
from store.business import taxes
from store.catalog import bundles as catalog_bundles
from store.catalog import items
from store.catalog import products as catalog
from store.catalog import variants as catalog_variants
from store.catalog.products import Product
from store.catalog.variants import Variant
from store.kit import audit
from store.kit.engine import Transaction
from store.kit.outbox import emit_all


async def import_rows(
    shared: Resources, principal: Principal, key: RequestKey, body: ProductImport
) -> Made[ImportOut]:
    """Creates or changes an item per row, by SKU, all that can be in one transaction."""
    tenant = tenant_of(principal)

    async def attempt(announcement: Announcement) -> Made[ImportOut]:
        async def work(tx: Transaction) -> Made[ImportOut]:
            outcomes = await _placed(shared, tx, principal, body, announcement)
            await _write(tx, tenant, outcomes)
            await emit_all(tx, tenant, _events(outcomes))
            sizes = Counter(outcome.status for outcome in outcomes)
            changes = {name: (None, sizes[name]) for name in ("created", "updated")}
            await audit.record(tx, tenant, principal, "catalog.imported", tenant, changes)
            return Made.of(_answer(outcomes))

        return await change(shared, principal, key, work)

    made = await announced(shared, principal, key, tenant, attempt)
    # A repeat's rows, too: so they are read from the answer.
    answer = Envelope[ImportOut].model_validate_json(made.recorded.body).data
    known, new = _limited(body, answer)
    await terms.set_terms(shared, principal, key, known)
    await terms.set_terms(shared, principal, key, new, new=True)
    return made


def _limited(body: ProductImport, answer: ImportOut) -> tuple[list[UUID], list[UUID]]:
    """Items whose backorder limit the stock's owner must hear of: those that were there and whose
    row gives one, and new ones, which have none unless the catalogue says so."""
    known, new = [], []
    for row, outcome in zip(body.rows, answer.rows, strict=True):
        if outcome.id is not None and outcome.status == "created":
            new.append(outcome.id)
        elif outcome.id is not None and "backorderLimit" in row:
            known.append(outcome.id)
    return known, new


async def _placed(
    shared: Resources,
    tx: Transaction,
    principal: Principal,
    body: ProductImport,
    announcement: Announcement,
) -> list[Outcome]:
    """What becomes of each row; the categories that they name are there."""
    tenant = tenant_of(principal)
    await catalog.lock_catalog(tx, tenant)
    author = await author_of(shared, tx, principal, tenant)
    rows = read_rows(body.rows, TaxClasses(await taxes.live_names(tx)))
    rows = await _with_categories(tx, tenant, rows)
    shelf = await _shelf(tx, tenant, rows)
    if parents := shelf.new_parents(rows):
        shelf.stocked.update(await announcement.check(tx, parents))
    outcomes = [
        shelf.pass_over(number, row)
        if isinstance(row, Outcome)
        else shelf.place(number, row, author)
        for number, row in enumerate(rows)
    ]
    products = [outcome.item for outcome in outcomes if isinstance(outcome.item, Product)]
    await categories.ensure(tx, tenant, {product.category for product in products}, author.now)
    return outcomes


async def _with_categories(
    tx: Transaction, tenant_id: UUID, rows: Sequence[Row | Outcome]
) -> list[Row | Outcome]:
    """The rows with their categories as the business writes them."""
    named = [row.category for row in rows if isinstance(row, ProductRow)]
    written = await categories.as_written(tx, tenant_id, named)
    return [
        row.model_copy(update={"category": written[row.category]})
        if isinstance(row, ProductRow) and row.category
        else row
        for row in rows
    ]


async def _shelf(tx: Transaction, tenant_id: UUID, rows: Sequence[Row | Outcome]) -> Shelf:
    """What is there of all that the rows mention."""
    skus = skus_in(rows)
    barcodes = {row.barcode for row in rows if not isinstance(row, Outcome) and row.barcode}
    products = await catalog.by_skus(tx, tenant_id, skus)
    ids = [product.id for product in products.values()]
    bundles = [product.id for product in products.values() if product.kind == "bundle"]
    variants = await catalog_variants.by_skus(tx, tenant_id, skus)
    parents = {*ids, *(variant.product_id for variant in variants.values())}
    facts = await catalog_bundles.facts_of(tx, parents)
    return Shelf(
        products,
        variants,
        await items.code_owners(tx, tenant_id, "barcode", barcodes),
        await catalog_variants.of_products(tx, ids),
        await catalog_bundles.components_of(tx, bundles),
        set(await catalog_bundles.bundles_with(tx, ids)),
        decimals={item_id: fact.decimals for item_id, fact in facts.items()},
    )


async def _write(tx: Transaction, tenant_id: UUID, outcomes: Sequence[Outcome]) -> None:
    """Changes come before what is new, which may take what they gave up."""
    items: dict[tuple[str, type], list[Any]] = defaultdict(list)
    parts = {}
    for outcome in outcomes:
        item = outcome.item
        if item is not None:
            items[outcome.status, type(item)].append(item)
            if outcome.parts is not None:
                parts[item.id] = outcome.parts
    await catalog.replace(tx, items["updated", Product])
    await catalog.add(tx, items["created", Product])
    await catalog_variants.replace(tx, items["updated", Variant])
    await catalog_variants.add(tx, items["created", Variant])
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


def _answer(outcomes: Sequence[Outcome]) -> ImportOut:
    sizes = Counter(outcome.status for outcome in outcomes)
    return ImportOut(
        created=sizes["created"],
        updated=sizes["updated"],
        unchanged=sizes["unchanged"],
        rejected=sizes["rejected"],
        rows=[
            ImportedRowOut(
                sku=outcome.sku,
                status=outcome.status,
                id=outcome.item.id if outcome.item else None,
                errors=[RowErrorOut.shown(error) for error in outcome.errors],
            )
            for outcome in outcomes
        ],
    )
