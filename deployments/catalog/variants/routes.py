"""Variants over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from core.errors import Conflict, NotFound, UsedInBundle
from deployments.catalog.products import terms
from deployments.catalog.products.schemas import (
    CurrencyQuery,
    NewVariant,
    VariantChanges,
    VariantOut,
)
from deployments.catalog.router import Anyone, Key, ProductId, VariantId, WriterOrAdmin, response
from deployments.catalog.variants.parents import ProductHasStock
from deployments.catalog.variants.service import Variants
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()


async def _variants(shared: Shared) -> Variants:
    return Variants(shared.db, shared.clock, shared.bus)


Service = Annotated[Variants, Depends(_variants)]


@router.get(
    "/{productId}/variants", summary="List a product's variants", responses=responses(NotFound)
)
async def list_variants(
    principal: Anyone,
    service: Service,
    product_id: ProductId,
    query: Annotated[CurrencyQuery, Query()],
) -> Envelope[list[VariantOut]]:
    """By position and then age; at most 100."""
    return await service.of_product(principal, product_id, query.currency)


@router.get("/variants/{variantId}", summary="Get a variant", responses=responses(NotFound))
async def get_variant(
    principal: Anyone,
    service: Service,
    variant_id: VariantId,
    query: Annotated[CurrencyQuery, Query()],
) -> Envelope[VariantOut]:
    """One variant, whoever sells it."""
    return await service.get(principal, variant_id, query.currency)


@router.post(
    "/{productId}/variants",
    summary="Create a variant",
    status_code=201,
    response_model=Envelope[VariantOut],
    responses=responses(NotFound, Conflict, UsedInBundle, ProductHasStock),
)
async def create_variant(
    principal: WriterOrAdmin,
    service: Service,
    shared: Shared,
    key: Key,
    product_id: ProductId,
    body: NewVariant,
) -> Response:
    """Adds a variant to a product. From its first variant on, a product is not stocked or sold
    itself; it gets none while it has stock of its own, holds, or goods on their way."""
    recorded = await service.create(principal, key, product_id, body)
    await terms.set_backorder(shared, principal, key, [product_id], new=True)
    return response(recorded)


@router.put(
    "/variants/{variantId}",
    summary="Change a variant",
    response_model=Envelope[VariantOut],
    responses=responses(NotFound, Conflict),
)
async def change_variant(
    principal: WriterOrAdmin,
    service: Service,
    key: Key,
    variant_id: VariantId,
    body: VariantChanges,
) -> Response:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    variant still has it."""
    return response(await service.change(principal, key, variant_id, body))


@router.delete(
    "/variants/{variantId}",
    summary="Delete a variant",
    response_model=Message,
    responses=responses(NotFound, UsedInBundle),
)
async def delete_variant(
    principal: WriterOrAdmin, service: Service, shared: Shared, key: Key, variant_id: VariantId
) -> Response:
    """Takes a variant off the shelf, as a product is."""
    recorded = await service.delete(principal, key, variant_id)
    await terms.discontinue(shared, principal, key, variant_id)
    return response(recorded)
