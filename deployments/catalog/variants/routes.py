"""Variants over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from core.errors import Conflict, MeasureChanged, NotFound, UsedInBundle
from deployments.catalog.access import ProductId, VariantId, WriterOrAdmin
from deployments.catalog.products.schemas import (
    CurrencyQuery,
    NewVariant,
    VariantChanges,
    VariantOut,
)
from deployments.catalog.variants import service
from deployments.catalog.variants.parents import ProductHasStock
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Anyone, Key
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()


@router.get(
    "/{productId}/variants", summary="List a product's variants", responses=responses(NotFound)
)
async def list_variants(
    principal: Anyone,
    shared: Shared,
    product_id: ProductId,
    query: Annotated[CurrencyQuery, Query()],
) -> Envelope[list[VariantOut]]:
    """By position and then age; at most 100."""
    return Envelope(data=await service.of_product(shared, principal, product_id, query.currency))


@router.get("/variants/{productId}", summary="Get a variant", responses=responses(NotFound))
async def get_variant(
    principal: Anyone,
    shared: Shared,
    variant_id: VariantId,
    query: Annotated[CurrencyQuery, Query()],
) -> Envelope[VariantOut]:
    """One variant, of any business."""
    return Envelope(data=await service.get(shared, principal, variant_id, query.currency))


@router.post(
    "/{productId}/variants",
    summary="Create a variant",
    status_code=201,
    made_at="/api/products/variants/{id}",
    responses=responses(NotFound, Conflict, UsedInBundle, ProductHasStock, MeasureChanged),
)
async def create_variant(
    principal: WriterOrAdmin, shared: Shared, key: Key, product_id: ProductId, body: NewVariant
) -> Made[VariantOut]:
    """Adds a variant to a product. From its first variant on, a product is not stocked or sold
    itself; it gets none while it has stock of its own, holds, or goods on their way."""
    return await service.create(shared, principal, key, product_id, body)


@router.put(
    "/variants/{productId}", summary="Change a variant", responses=responses(NotFound, Conflict)
)
async def change_variant(
    principal: WriterOrAdmin, shared: Shared, key: Key, variant_id: VariantId, body: VariantChanges
) -> Made[VariantOut]:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    variant still has it."""
    return await service.change_variant(shared, principal, key, variant_id, body)


@router.delete(
    "/variants/{productId}",
    summary="Delete a variant",
    responses=responses(NotFound, UsedInBundle, MeasureChanged),
)
async def delete_variant(
    principal: WriterOrAdmin, shared: Shared, key: Key, variant_id: VariantId
) -> Made[Message]:
    """Takes a variant off the shelf, as a product is."""
    return await service.delete(shared, principal, key, variant_id)
