"""What is done with products: every write is one transaction with its event and its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import UUID

from pydantic.alias_generators import to_camel

from core.errors import FieldError, Forbidden, UsedInBundle, ValidationFailed
from core.paging import Part
from core.principal import Principal
from core.quantities import from_steps, to_steps
from core.request import RequestKey
from deployments.catalog.access import owner_of, sees_costs
from deployments.catalog.authors import author_of, found, now
from deployments.catalog.categories import service as categories
from deployments.catalog.products import terms
from deployments.catalog.products.events import ProductCreated, ProductDeleted, ProductUpdated
from deployments.catalog.products.rules import (
    Author,
    changed,
    check_currency_kept,
    check_options,
    created,
    created_variant,
    differing,
)
from deployments.catalog.products.schemas import (
    FacetsOut,
    FacetValueOut,
    NewComponent,
    NewProduct,
    NewVariant,
    PriceFacetOut,
    ProductChanges,
    ProductDetailOut,
    ProductFilters,
    ProductOut,
    ProductQuery,
)
from deployments.kit.records import check_version
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, page
from gateway.access import tenant_of
from gateway.schemas import Message, Page
from store.catalog import bundles as catalog_bundles
from store.catalog import products, search
from store.catalog import variants as catalog_variants
from store.catalog.bundles import Component
from store.catalog.products import Product
from store.catalog.search import PRICE_STEPS, Facet, Filters
from store.catalog.variants import Variant
from store.kit import audit
from store.kit.engine import PUBLIC, Scope, Transaction
from store.kit.outbox import emit

_AUDITED = (
    "name",
    "sku",
    "barcode",
    "category",
    "price_minor",
    "prices",
    "currency",
    "cost_minor",
    "tax_class_id",
    "backorder_limit",
)


async def listed(shared: Resources, principal: Principal, query: ProductQuery) -> Page[ProductOut]:
    """Products of all businesses; with what they cost, where the caller may know it. Raises
    Forbidden for changes of another business."""
    own = sees_costs(principal, query.vendor_id)
    if query.updated_since is not None:
        return await _changed(shared, principal, query)

    async def read(tx: Transaction) -> Part[tuple[Product, int]]:
        part = await search.search(tx, _filters(query), query.order, query.span)
        ids = [product.id for product in part.items]
        sizes = await catalog_variants.count_of_products(tx, ids)
        return part.map(lambda product: (product, sizes.get(product.id, 0)))

    def shape(sized: tuple[Product, int]) -> ProductOut:
        return ProductOut.of(*sized, query.currency)

    return await page(shared, principal, read, shape, Scope(query.vendor_id) if own else PUBLIC)


async def _changed(
    shared: Resources, principal: Principal, query: ProductQuery
) -> Page[ProductOut]:
    vendor_id = query.vendor_id
    if vendor_id is None or not sees_costs(principal, vendor_id):
        raise Forbidden("What has changed is for the management of a business: name `vendorId`.")

    if beside := query.beside_changes:
        message = "does not go with updatedSince, which goes with vendorId alone"
        raise ValidationFailed([FieldError(to_camel(name), message) for name in beside])

    async def read(tx: Transaction) -> Part[tuple[Product, datetime | None, int]]:
        part = await search.changed_of(tx, vendor_id, query.span)
        sizes = await catalog_variants.count_of_products(tx, [each.id for each, _ in part.items])
        return part.map(lambda found: (*found, sizes.get(found[0].id, 0)))

    def shape(found: tuple[Product, datetime | None, int]) -> ProductOut:
        product, deleted_at, size = found
        out = ProductOut.of(product, size, query.currency)
        out.deleted_at = deleted_at
        return out

    return await page(shared, principal, read, shape, Scope(vendor_id))


async def facets(shared: Resources, query: ProductFilters) -> FacetsOut:
    async with shared.db.transaction(PUBLIC) as tx:
        values, counted = await search.facets(tx, _filters(query))
    return _facets(values, counted)


async def get(
    shared: Resources, principal: Principal, product_id: UUID, currency: str | None
) -> ProductDetailOut:
    """Raises NotFound for what never was or is deleted."""
    async with shared.db.transaction(PUBLIC) as tx:
        product = found(await products.get(tx, product_id))
        if not sees_costs(principal, product.tenant_id):
            return await _detail(tx, product, currency)
    # A second look, in which the policies show what it costs.
    async with shared.db.transaction(Scope(product.tenant_id)) as tx:
        return await _detail(tx, found(await products.get(tx, product_id)), currency)


async def create(
    shared: Resources, principal: Principal, key: RequestKey, body: NewProduct
) -> Made[ProductDetailOut]:
    """Raises Conflict if another product or variant has a SKU or barcode."""
    tenant = tenant_of(principal)

    async def work(tx: Transaction) -> Made[ProductDetailOut]:
        await products.lock_catalog(tx, tenant)
        author = await author_of(shared, tx, principal, tenant)
        written = await categories.as_written(tx, tenant, [body.category])
        product = replace(created(body, author), category=written[body.category])
        variants = _new_variants(body.variants, product, author)
        parts = await _parts(tx, tenant, body.components)
        await categories.ensure(tx, tenant, [product.category], author.now)
        await products.add(tx, [product])
        await catalog_variants.add(tx, variants)
        await catalog_bundles.put_components(tx, tenant, {product.id: parts})
        await emit(tx, tenant, product.id, ProductCreated.of(product))
        await _note(tx, principal, "product.created", None, product, (), parts)
        return Made.of(ProductDetailOut.whole(product, variants, parts), 201)

    made = await change(shared, principal, key, work)
    if body.backorder_limit or body.quantity_decimals:
        # A repeat's, too: so it is read from the answer.
        product_id = UUID(json.loads(made.recorded.body)["data"]["id"])
        await terms.set_terms(shared, principal, key, [product_id])
    return made


async def change_product(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    product_id: UUID,
    body: ProductChanges,
) -> Made[ProductDetailOut]:
    """Raises NotFound for another business' product too; Conflict if the version is not the one
    that was asked for, or another product or variant has the SKU or barcode."""
    tenant = await owner_of(shared, principal, product_id)

    async def work(tx: Transaction) -> Made[ProductDetailOut]:
        await products.lock_catalog(tx, tenant)
        before = found(await products.get(tx, product_id))
        check_version(before.version, body.version)
        given = body
        if "category" in body.model_fields_set:
            written = await categories.as_written(tx, tenant, [body.category])
            given = body.model_copy(update={"category": written[body.category]})
        after = changed(before, given, now(shared))
        variants = await catalog_variants.of_products(tx, [product_id])
        check_currency_kept(before, after, variants.get(product_id, []))
        new_parts = await _new_parts(tx, before, body)
        if new_parts is not None and after is before:
            after = replace(before, version=before.version + 1, updated_at=now(shared))
        if after is not before:
            await _write_change(tx, principal, before, after, new_parts)
        return Made.of(await _detail(tx, after, None))

    made = await change(shared, principal, key, work, Scope(tenant))
    if "backorder_limit" in body.model_fields_set:
        await terms.set_terms(shared, principal, key, [product_id])
    return made


async def delete(
    shared: Resources, principal: Principal, key: RequestKey, product_id: UUID
) -> Made[Message]:
    """Raises NotFound for what is deleted already, and for another business' product;
    UsedInBundle if it, or a variant of it, is part of a bundle."""
    tenant = await owner_of(shared, principal, product_id)

    async def work(tx: Transaction) -> Made[Message]:
        await products.lock_catalog(tx, tenant)
        product = found(await products.get(tx, product_id))
        variants = await catalog_variants.of_products(tx, [product_id])
        variant_ids = [variant.id for variant in variants.get(product_id, [])]
        await check_in_no_bundle(tx, [product_id, *variant_ids])
        at = now(shared)
        await catalog_variants.remove(tx, variant_ids, at)
        await products.remove(tx, product_id, at)
        await emit(tx, tenant, product_id, ProductDeleted.of(product))
        await audit.record(tx, tenant, principal, "product.deleted", product_id)
        return Made.of(Message(message="Product deleted"))

    made = await change(shared, principal, key, work, Scope(tenant))
    await terms.discontinue(shared, principal, key, product_id)
    return made


async def _write_change(
    tx: Transaction,
    principal: Principal,
    before: Product,
    after: Product,
    new_parts: tuple[Component, ...] | None,
) -> None:
    """The product as it is now with its event and its line in the audit log; `new_parts` are a
    bundle's, if it has others than before."""
    tenant, product_id = after.tenant_id, after.id
    await categories.ensure(tx, tenant, [after.category], after.updated_at)
    await products.replace(tx, [after])
    names = differing(before, after)
    had, has = await _old_and_new_parts(tx, product_id, new_parts)
    if new_parts is not None:
        await catalog_bundles.put_components(tx, tenant, {product_id: new_parts})
        names = sorted([*names, "components"])
    await emit(tx, tenant, product_id, ProductUpdated.of(after, changed=tuple(names)))
    await _note(tx, principal, "product.updated", before, after, had, has)


async def _new_parts(
    tx: Transaction, product: Product, body: ProductChanges
) -> tuple[Component, ...] | None:
    """The parts that the body gives a bundle, if they are others than it has."""
    if "components" not in body.model_fields_set:
        return None
    if product.kind != "bundle":
        raise ValidationFailed([FieldError("components", "are a bundle's alone")])
    parts = await _parts(tx, product.tenant_id, body.components)
    had = await catalog_bundles.components_of(tx, [product.id])
    return None if parts == had.get(product.id) else parts


async def _note(
    tx: Transaction,
    principal: Principal,
    action: str,
    before: Product | None,
    after: Product,
    had: Sequence[Component] = (),
    has: Sequence[Component] = (),
) -> None:
    """Writes into the audit log what became of a product, and of the parts of a bundle."""
    names = _AUDITED if before is None else ("description", *_AUDITED)
    changes = audit.changed(before, after, names)
    if had != has:
        changes["components"] = (_counted(had), _counted(has))
    await audit.record(tx, after.tenant_id, principal, action, after.id, changes)


def _counted(parts: Sequence[Component]) -> list[str]:
    return [f"{from_steps(part.quantity, part.decimals)} x {part.item_id}" for part in parts]


async def _old_and_new_parts(
    tx: Transaction, product_id: UUID, new: tuple[Component, ...] | None
) -> tuple[tuple[Component, ...], tuple[Component, ...]]:
    """The parts of a bundle before and after; the same where none are new."""
    if new is None:
        return (), ()
    return (await catalog_bundles.components_of(tx, [product_id])).get(product_id, ()), new


async def check_in_no_bundle(tx: Transaction, item_ids: Sequence[UUID]) -> None:
    """Raises UsedInBundle, naming the bundles, if any of the items is part of one."""
    used = await catalog_bundles.bundles_with(tx, item_ids)
    if used:
        ids = sorted({str(bundle_id) for bundle_ids in used.values() for bundle_id in bundle_ids})
        raise UsedInBundle(extra={"bundleIds": ids[:50]})


async def _detail(tx: Transaction, product: Product, currency: str | None) -> ProductDetailOut:
    variants = (await catalog_variants.of_products(tx, [product.id])).get(product.id, [])
    is_bundle = product.kind == "bundle"
    parts = await catalog_bundles.components_of(tx, [product.id]) if is_bundle else {}
    return ProductDetailOut.whole(product, variants, parts.get(product.id, ()), currency)


def _new_variants(bodies: Sequence[NewVariant], product: Product, author: Author) -> list[Variant]:
    made: list[Variant] = []
    for index, body in enumerate(bodies):
        try:
            check_options(body.options, made)
            made.append(created_variant(body, product, author))
        except ValidationFailed as error:
            raise ValidationFailed(
                [
                    FieldError(f"variants[{index}].{wrong.field}", wrong.message)
                    for wrong in error.errors
                ]
            ) from error
    return made


async def _parts(
    tx: Transaction, tenant_id: UUID, bodies: Sequence[NewComponent]
) -> tuple[Component, ...]:
    """The parts of a bundle. Raises ValidationFailed on `components[n].productId`."""
    facts = (
        await catalog_bundles.facts_of(tx, [body.product_id for body in bodies]) if bodies else {}
    )
    seen: set[UUID] = set()
    parts: list[Component] = []
    for index, body in enumerate(bodies):
        fact = facts.get(body.product_id)
        message = None
        if body.product_id in seen:
            message = "is in the bundle already"
        elif fact is None or fact.tenant_id != tenant_id:
            message = "is no product or variant of yours"
        elif fact.kind == "bundle":
            message = "is a bundle itself"
        elif fact.kind == "parent":
            message = "has variants: name one of them"
        if message is not None or fact is None:
            raise ValidationFailed([FieldError(f"components[{index}].productId", message or "")])
        seen.add(body.product_id)
        steps = to_steps(body.quantity, fact.decimals, f"components[{index}].quantity")
        parts.append(Component(body.product_id, steps, fact.decimals))
    return tuple(parts)


def _filters(query: ProductFilters) -> Filters:
    return Filters(
        tenant_id=query.vendor_id,
        category=query.category,
        currency=query.currency,
        min_price_e4=_e4(query.min_price, ROUND_CEILING),
        max_price_e4=_e4(query.max_price, ROUND_FLOOR),
        sku=query.sku,
        barcode=query.barcode,
        words=query.q,
        in_stock=query.in_stock,
        options=dict(_option(text) for text in query.option),
    )


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value


def _e4(price: Decimal | None, rounding: str) -> int | None:
    return None if price is None else int(price.scaleb(4).to_integral_value(rounding))


def _facets(values: Sequence[Facet], counted: int) -> FacetsOut:
    def of_kind(kind: str) -> list[FacetValueOut]:
        return [FacetValueOut.shown(facet) for facet in values if facet.kind == kind]

    options: dict[str, list[FacetValueOut]] = {}
    for facet in values:
        if facet.kind == "option":
            options.setdefault(facet.name, []).append(FacetValueOut.shown(facet))
    steps = (None, *PRICE_STEPS, None)
    sizes = {int(facet.value): facet.products for facet in values if facet.kind == "price"}
    return FacetsOut(
        counted=counted,
        categories=of_kind("category"),
        prices=[
            PriceFacetOut(min_price=steps[step], max_price=steps[step + 1], products=size)
            for step, size in sorted(sizes.items())
        ],
        options=options,
        vendors=of_kind("vendor"),
        in_stock=of_kind("in_stock"),
    )
