"""What is done with variants: every write is one transaction with its event and its answer."""

from __future__ import annotations

from uuid import UUID

from core.errors import Conflict
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog.access import owner_of, sees_costs
from deployments.catalog.authors import author_of, found, now
from deployments.catalog.products import terms
from deployments.catalog.products.events import VariantCreated, VariantDeleted, VariantUpdated
from deployments.catalog.products.rules import (
    changed_variant,
    check_options,
    created_variant,
    differing,
)
from deployments.catalog.products.schemas import (
    MAX_VARIANTS,
    NewVariant,
    VariantChanges,
    VariantOut,
)
from deployments.catalog.products.service import check_in_no_bundle
from deployments.catalog.variants.parents import (
    Announcement,
    announced,
    check_stockless,
    free_if_simple,
)
from deployments.kit.records import check_version
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change
from gateway.schemas import Message
from store.catalog import products
from store.catalog import variants as catalog_variants
from store.catalog.products import Product
from store.catalog.variants import Variant
from store.kit import audit
from store.kit.engine import PUBLIC, Scope, Transaction
from store.kit.outbox import emit

_AUDITED = (
    "product_id",
    "options",
    "sku",
    "barcode",
    "price_minor",
    "prices",
    "cost_minor",
    "tax_class_id",
    "position",
)


async def of_product(
    shared: Resources, principal: Principal, product_id: UUID, currency: str | None
) -> list[VariantOut]:
    """By position and then age. Raises NotFound."""
    async with shared.db.transaction(PUBLIC) as tx:
        product = found(await products.get(tx, product_id))
        variants = await catalog_variants.of_products(tx, [product_id])
    if sees_costs(principal, product.tenant_id):
        async with shared.db.transaction(Scope(product.tenant_id)) as tx:
            variants = await catalog_variants.of_products(tx, [product_id])
    return [VariantOut.of(variant, product, currency) for variant in variants.get(product_id, [])]


async def get(
    shared: Resources, principal: Principal, variant_id: UUID, currency: str | None
) -> VariantOut:
    """Raises NotFound for what never was or is deleted."""
    async with shared.db.transaction(PUBLIC) as tx:
        variant, product = await _with_product(tx, variant_id)
    if sees_costs(principal, variant.tenant_id):
        async with shared.db.transaction(Scope(variant.tenant_id)) as tx:
            variant, product = await _with_product(tx, variant_id)
    return VariantOut.of(variant, product, currency)


async def create(
    shared: Resources, principal: Principal, key: RequestKey, product_id: UUID, body: NewVariant
) -> Made[VariantOut]:
    """Raises NotFound for another business' product too; UsedInBundle if the product itself is
    part of a bundle, ProductHasStock if it has stock of its own: from its first variant on it is
    not sold itself."""
    tenant = await owner_of(shared, principal, product_id)

    async def attempt(announcement: Announcement) -> Made[VariantOut]:
        async def work(tx: Transaction) -> Made[VariantOut]:
            await products.lock_catalog(tx, tenant)
            product = found(await products.get(tx, product_id))
            if product.kind == "bundle":
                raise Conflict("A bundle has no variants.")
            siblings = (await catalog_variants.of_products(tx, [product_id])).get(product_id, [])
            if len(siblings) >= MAX_VARIANTS:
                raise Conflict(f"A product has at most {MAX_VARIANTS} variants.")
            if not siblings:
                await check_in_no_bundle(tx, [product_id])
            check_options(body.options, siblings)
            author = await author_of(shared, tx, principal, tenant)
            variant = created_variant(body, product, author)
            if not siblings:
                await check_stockless(tx, announcement, product_id)
            await catalog_variants.add(tx, [variant])
            await emit(tx, tenant, variant.id, VariantCreated.of(variant))
            await _note(tx, principal, "variant.created", None, variant)
            return Made.of(VariantOut.of(variant, product), 201)

        return await change(shared, principal, key, work, Scope(tenant))

    made = await announced(shared, principal, key, tenant, attempt)
    await terms.set_terms(shared, principal, key, [product_id], new=True)
    return made


async def change_variant(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    variant_id: UUID,
    body: VariantChanges,
) -> Made[VariantOut]:
    """Raises NotFound for another business' variant too; Conflict if the version is not the one
    that was asked for, or another item has the SKU or barcode."""
    tenant = await owner_of(shared, principal, variant_id)

    async def work(tx: Transaction) -> Made[VariantOut]:
        await products.lock_catalog(tx, tenant)
        before, product = await _with_product(tx, variant_id)
        check_version(before.version, body.version)
        after = changed_variant(before, body, product, now(shared))
        if after is not before:
            await _check_siblings(tx, after)
            await catalog_variants.replace(tx, [after])
            names = tuple(differing(before, after))
            await emit(tx, tenant, variant_id, VariantUpdated.of(after, changed=names))
            await _note(tx, principal, "variant.updated", before, after)
        return Made.of(VariantOut.of(after, product))

    return await change(shared, principal, key, work, Scope(tenant))


async def delete(
    shared: Resources, principal: Principal, key: RequestKey, variant_id: UUID
) -> Made[Message]:
    """Raises NotFound for what is deleted already, and for another business' variant; UsedInBundle
    if it is part of a bundle."""
    tenant = await owner_of(shared, principal, variant_id)

    async def work(tx: Transaction) -> Made[Message]:
        await products.lock_catalog(tx, tenant)
        variant = found(await catalog_variants.get(tx, variant_id), "variant")
        await check_in_no_bundle(tx, [variant_id])
        await catalog_variants.remove(tx, [variant_id], now(shared))
        await emit(tx, tenant, variant_id, VariantDeleted.of(variant))
        await audit.record(tx, tenant, principal, "variant.deleted", variant_id)
        return Made.of(Message(message="Variant deleted"))

    made = await change(shared, principal, key, work, Scope(tenant))
    await free_if_simple(shared, principal, key, tenant, variant_id)
    await terms.discontinue(shared, principal, key, variant_id)
    return made


async def _note(
    tx: Transaction, principal: Principal, action: str, before: Variant | None, after: Variant
) -> None:
    changes = audit.changed(before, after, _AUDITED)
    await audit.record(tx, after.tenant_id, principal, action, after.id, changes)


async def _with_product(tx: Transaction, variant_id: UUID) -> tuple[Variant, Product]:
    variant = found(await catalog_variants.get(tx, variant_id), "variant")
    return variant, found(await products.get(tx, variant.product_id))


async def _check_siblings(tx: Transaction, variant: Variant) -> None:
    siblings = await catalog_variants.of_products(tx, [variant.product_id])
    others = [other for other in siblings[variant.product_id] if other.id != variant.id]
    check_options(variant.options, others)
