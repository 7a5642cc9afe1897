"""What is done with variants: every write is one transaction with its event and its answer."""

from __future__ import annotations

from uuid import UUID

from actors.runtime.bus import CommandBus
from core.clock import Clock
from core.errors import Conflict
from core.principal import Principal
from core.request import RequestKey
from deployments.catalog.base import CatalogService, check_version, found, recorded, sees_costs
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
from deployments.catalog.variants.parents import Telling, check_stockless, free_if_simple, telling
from gateway.schemas import Envelope, Message
from store.catalog import products
from store.catalog import variants as catalog_variants
from store.catalog.products import Product
from store.catalog.variants import Variant
from store.kit import audit
from store.kit.commands import Recorded, once
from store.kit.engine import PUBLIC, Database, Scope, Transaction
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


class Variants(CatalogService):
    """The variants of products. Reading is open to everyone."""

    def __init__(self, db: Database, clock: Clock, bus: CommandBus) -> None:
        super().__init__(db, clock)
        self._bus = bus

    async def of_product(
        self, principal: Principal, product_id: UUID, currency: str | None
    ) -> Envelope[list[VariantOut]]:
        """By position and then age. Raises NotFound."""
        async with self._db.transaction(PUBLIC) as tx:
            product = found(await products.get(tx, product_id))
            variants = await catalog_variants.of_products(tx, [product_id])
        if sees_costs(principal, product.tenant_id):
            async with self._db.transaction(Scope(product.tenant_id)) as tx:
                variants = await catalog_variants.of_products(tx, [product_id])
        shown = variants.get(product_id, [])
        return Envelope(data=[VariantOut.of(one, product, currency) for one in shown])

    async def get(
        self, principal: Principal, variant_id: UUID, currency: str | None
    ) -> Envelope[VariantOut]:
        """Raises NotFound for what never was or is deleted."""
        async with self._db.transaction(PUBLIC) as tx:
            variant, product = await _with_product(tx, variant_id)
        if sees_costs(principal, variant.tenant_id):
            async with self._db.transaction(Scope(variant.tenant_id)) as tx:
                variant, product = await _with_product(tx, variant_id)
        return Envelope(data=VariantOut.of(variant, product, currency))

    async def create(
        self, principal: Principal, key: RequestKey, product_id: UUID, body: NewVariant
    ) -> Recorded:
        """Raises NotFound for another business' product too; UsedInBundle if the product itself
        is part of a bundle, ProductHasStock if it has stock of its own: from its first variant on
        it is not sold itself."""
        tenant = await self.owner(principal, product_id)

        async def attempt(told: Telling) -> Recorded:
            async with self._db.transaction(Scope(tenant)) as tx:

                async def work() -> Recorded:
                    await products.lock_catalog(tx, tenant)
                    product = found(await products.get(tx, product_id))
                    if product.kind == "bundle":
                        raise Conflict("A bundle has no variants.")
                    siblings = (await catalog_variants.of_products(tx, [product_id])).get(
                        product_id, []
                    )
                    if len(siblings) >= MAX_VARIANTS:
                        raise Conflict(f"A product has at most {MAX_VARIANTS} variants.")
                    if not siblings:
                        await check_in_no_bundle(tx, [product_id])
                    check_options(body.options, siblings)
                    author = await self.author(tx, principal, tenant)
                    variant = created_variant(body, product, author)
                    if not siblings:
                        await check_stockless(tx, told, product_id)
                    await catalog_variants.add(tx, [variant])
                    await emit(tx, tenant, variant.id, VariantCreated.of(variant))
                    await _note(tx, principal, "variant.created", None, variant)
                    return recorded(201, Envelope(data=VariantOut.of(variant, product)))

                return await once(tx, tenant, key, work)

        return await telling(self._db, self._bus, principal, key, tenant, attempt)

    async def change(
        self, principal: Principal, key: RequestKey, variant_id: UUID, body: VariantChanges
    ) -> Recorded:
        """Raises NotFound for another business' variant too; Conflict if the version is not the
        one that was asked for, or another item has the SKU or barcode."""
        tenant = await self.owner(principal, variant_id)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await products.lock_catalog(tx, tenant)
                before, product = await _with_product(tx, variant_id)
                check_version(body.version, before.version, "variant")
                after = changed_variant(before, body, product, self.now())
                if after is not before:
                    await _check_siblings(tx, after)
                    await catalog_variants.replace(tx, [after])
                    told = tuple(differing(before, after))
                    await emit(tx, tenant, variant_id, VariantUpdated.of(after, changed=told))
                    await _note(tx, principal, "variant.updated", before, after)
                return recorded(200, Envelope(data=VariantOut.of(after, product)))

            return await once(tx, tenant, key, work)

    async def delete(self, principal: Principal, key: RequestKey, variant_id: UUID) -> Recorded:
        """Raises NotFound for what is deleted already, and for another business' variant;
        UsedInBundle if it is part of a bundle."""
        tenant = await self.owner(principal, variant_id)
        async with self._db.transaction(Scope(tenant)) as tx:

            async def work() -> Recorded:
                await products.lock_catalog(tx, tenant)
                variant = found(await catalog_variants.get(tx, variant_id), "variant")
                await check_in_no_bundle(tx, [variant_id])
                await catalog_variants.remove(tx, [variant_id], self.now())
                await emit(tx, tenant, variant_id, VariantDeleted.of(variant))
                await audit.record(tx, tenant, principal, "variant.deleted", variant_id)
                return recorded(200, Message(message="Variant deleted"))

            answer = await once(tx, tenant, key, work)
        await free_if_simple(self._db, self._bus, principal, key, tenant, variant_id)
        return answer


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
    others = [one for one in siblings[variant.product_id] if one.id != variant.id]
    check_options(variant.options, others)
