"""What is done with products: every write is one transaction with its event and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from uuid import UUID

from core.errors import FieldError, UsedInBundle, ValidationFailed
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog.base import (
    CatalogService,
    business,
    check_version,
    found,
    recorded,
    sees_costs,
)
from deployments.catalog.categories import service as categories
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
    CategorySize,
    Facets,
    FacetValue,
    NewComponent,
    NewProduct,
    NewVariant,
    PriceFacet,
    ProductChanges,
    ProductDetailOut,
    ProductFilters,
    ProductOut,
    ProductQuery,
)
from gateway.schemas import Envelope, Message, Page, page_of
from store.catalog import bundles as catalog_bundles
from store.catalog import categories as catalog_categories
from store.catalog import products, search
from store.catalog import variants as catalog_variants
from store.catalog.bundles import Component
from store.catalog.products import Product
from store.catalog.search import PRICE_STEPS, Facet, Filters
from store.catalog.variants import Variant
from store.kit import audit
from store.kit.commands import Recorded, once
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


class Catalog(CatalogService):
    """The catalogue of all businesses. Reading is open to everyone."""

    async def page(self, principal: Principal, query: ProductQuery) -> Page[ProductOut]:
        own = sees_costs(principal, query.vendor_id)
        async with self._db.transaction(Scope(query.vendor_id) if own else PUBLIC) as tx:
            found = await search.search(tx, _filters(query), query.sort, query.span)
            sizes = await catalog_variants.count_of_products(tx, [one.id for one in found.items])
        return page_of(
            found.map(lambda one: ProductOut.of(one, sizes.get(one.id, 0), query.currency))
        )

    async def facets(self, query: ProductFilters) -> Envelope[Facets]:
        async with self._db.transaction(PUBLIC) as tx:
            values, counted = await search.facets(tx, _filters(query))
        return Envelope(data=_facets(values, counted))

    async def categories(self, vendor_id: UUID | None) -> Envelope[list[CategorySize]]:
        async with self._db.transaction(PUBLIC) as tx:
            used = await catalog_categories.in_use(tx, vendor_id)
        return Envelope(data=[CategorySize(category=name, products=n) for name, n in used])

    async def get(
        self, principal: Principal, product_id: UUID, currency: str | None
    ) -> Envelope[ProductDetailOut]:
        """Raises NotFound for what never was or is deleted."""
        async with self._db.transaction(PUBLIC) as tx:
            product = found(await products.get(tx, product_id))
            if not sees_costs(principal, product.tenant_id):
                return await _detail(tx, product, currency)
        # A second look, in which the policies show what it costs.
        async with self._db.transaction(Scope(product.tenant_id)) as tx:
            return await _detail(tx, found(await products.get(tx, product_id)), currency)

    async def create(self, principal: Principal, key: RequestKey, body: NewProduct) -> Recorded:
        """Raises Conflict if another product or variant has a SKU or barcode."""
        tenant = business(principal)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await products.lock_catalog(tx, tenant)
                author = await self.author(tx, principal, tenant)
                product = created(body, author)
                variants = _new_variants(body.variants, product, author)
                parts = await _parts(tx, tenant, body.components)
                await categories.ensure(tx, tenant, [product.category], author.now)
                await products.add(tx, [product])
                await catalog_variants.add(tx, variants)
                await catalog_bundles.put_components(tx, tenant, {product.id: parts})
                await emit(tx, tenant, product.id, ProductCreated.of(product))
                await note(tx, principal, "product.created", None, product, (), parts)
                return recorded(
                    201, Envelope(data=ProductDetailOut.whole(product, variants, parts))
                )

            return await once(tx, tenant, key, work)

    async def change(
        self, principal: Principal, key: RequestKey, product_id: UUID, body: ProductChanges
    ) -> Recorded:
        """Raises NotFound for another business' product too; Conflict if the version is not the
        one that was asked for, or another product or variant has the SKU or barcode."""
        tenant = await self.owner(principal, product_id)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await products.lock_catalog(tx, tenant)
                before = found(await products.get(tx, product_id))
                check_version(body.version, before.version, "product")
                after = changed(before, body, self.now())
                variants = (await catalog_variants.of_products(tx, [product_id])).get(
                    product_id, []
                )
                check_currency_kept(before, after, variants)
                new_parts = await self._new_parts(tx, before, body)
                if new_parts is not None and after is before:
                    after = replace(before, version=before.version + 1, updated_at=self.now())
                if after is not before:
                    await categories.ensure(tx, tenant, [after.category], after.updated_at)
                    await products.replace(tx, [after])
                    told = differing(before, after)
                    had, has = await _old_and_new_parts(tx, product_id, new_parts)
                    if new_parts is not None:
                        await catalog_bundles.put_components(tx, tenant, {product_id: new_parts})
                        told = sorted([*told, "components"])
                    event = ProductUpdated.of(after, changed=tuple(told))
                    await emit(tx, tenant, product_id, event)
                    await note(tx, principal, "product.updated", before, after, had, has)
                return recorded(200, await _detail(tx, after, None))

            return await once(tx, tenant, key, work)

    async def delete(self, principal: Principal, key: RequestKey, product_id: UUID) -> Recorded:
        """Raises NotFound for what is deleted already, and for another business' product;
        UsedInBundle if it, or a variant of it, is part of a bundle."""
        tenant = await self.owner(principal, product_id)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await products.lock_catalog(tx, tenant)
                product = found(await products.get(tx, product_id))
                variants = await catalog_variants.of_products(tx, [product_id])
                ids = [one.id for one in variants.get(product_id, [])]
                await check_in_no_bundle(tx, [product_id, *ids])
                now = self.now()
                await catalog_variants.remove(tx, ids, now)
                await products.remove(tx, product_id, now)
                await emit(tx, tenant, product_id, ProductDeleted.of(product))
                await audit.record(tx, tenant, principal, "product.deleted", product_id)
                return recorded(200, Message(message="Product deleted"))

            return await once(tx, tenant, key, work)

    async def _new_parts(
        self, tx: Transaction, product: Product, body: ProductChanges
    ) -> tuple[Component, ...] | None:
        """The parts that the body gives a bundle, if they are others than it has."""
        if "components" not in body.model_fields_set:
            return None
        if product.kind != "bundle":
            raise ValidationFailed([FieldError("components", "are a bundle's alone")])
        parts = await _parts(tx, product.tenant_id, body.components)
        had = await catalog_bundles.components_of(tx, [product.id])
        return None if parts == had.get(product.id) else parts


async def note(
    tx: Transaction,
    principal: Principal,
    action: str,
    before: Product | None,
    after: Product,
    had: Sequence[Component] = (),
    has: Sequence[Component] = (),
) -> None:
    """Tells the audit log what became of a product, and of the parts of a bundle."""
    names = _AUDITED if before is None else ("description", *_AUDITED)
    changes = audit.changed(before, after, names)
    if had != has:
        changes["components"] = (_counted(had), _counted(has))
    await audit.record(tx, after.tenant_id, principal, action, after.id, changes)


def _counted(parts: Sequence[Component]) -> list[str]:
    return [f"{part.quantity} x {part.item_id}" for part in parts]


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
        bundles = sorted({str(one) for bundles in used.values() for one in bundles})
        raise UsedInBundle(extra={"bundleIds": bundles[:50]})


async def _detail(
    tx: Transaction, product: Product, currency: str | None
) -> Envelope[ProductDetailOut]:
    variants = (await catalog_variants.of_products(tx, [product.id])).get(product.id, [])
    is_bundle = product.kind == "bundle"
    parts = await catalog_bundles.components_of(tx, [product.id]) if is_bundle else {}
    whole = ProductDetailOut.whole(product, variants, parts.get(product.id, ()), currency)
    return Envelope(data=whole)


def _new_variants(bodies: Sequence[NewVariant], product: Product, author: Author) -> list[Variant]:
    made: list[Variant] = []
    for index, body in enumerate(bodies):
        try:
            check_options(body.options, made)
            made.append(created_variant(body, product, author))
        except ValidationFailed as error:
            raise ValidationFailed(
                [FieldError(f"variants[{index}].{e.field}", e.message) for e in error.errors]
            ) from error
    return made


async def _parts(
    tx: Transaction, tenant_id: UUID, bodies: Sequence[NewComponent]
) -> tuple[Component, ...]:
    """The parts of a bundle. Raises ValidationFailed on `components[n].itemId`."""
    facts = await catalog_bundles.facts_of(tx, [body.item_id for body in bodies]) if bodies else {}
    seen: set[UUID] = set()
    for index, body in enumerate(bodies):
        fact = facts.get(body.item_id)
        message = None
        if body.item_id in seen:
            message = "is in the bundle already"
        elif fact is None or fact.tenant_id != tenant_id:
            message = "is no product or variant of yours"
        elif fact.kind == "bundle":
            message = "is a bundle itself"
        elif fact.kind == "parent":
            message = "has variants: name one of them"
        if message is not None:
            raise ValidationFailed([FieldError(f"components[{index}].itemId", message)])
        seen.add(body.item_id)
    return tuple(Component(body.item_id, body.quantity) for body in bodies)


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
        options={name: value for name, _, value in (o.partition(":") for o in query.option)},
    )


def _e4(price: Decimal | None, rounding: str) -> int | None:
    return None if price is None else int(price.scaleb(4).to_integral_value(rounding))


def _facets(values: Sequence[Facet], counted: int) -> Facets:
    def of_kind(kind: str) -> list[FacetValue]:
        return [FacetValue(value=v.value, products=v.products) for v in values if v.kind == kind]

    options: dict[str, list[FacetValue]] = {}
    for one in values:
        if one.kind == "option":
            shown = FacetValue(value=one.value, products=one.products)
            options.setdefault(one.name, []).append(shown)
    steps = (None, *PRICE_STEPS, None)
    sizes = {int(one.value): one.products for one in values if one.kind == "price"}
    return Facets(
        counted=counted,
        categories=of_kind("category"),
        prices=[
            PriceFacet(min_price=steps[step], max_price=steps[step + 1], products=size)
            for step, size in sorted(sizes.items())
        ],
        options=options,
        vendors=of_kind("vendor"),
        in_stock=of_kind("in_stock"),
    )
