"""Products, with facets."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from core.errors import Conflict, MeasureChanged, NotFound, UsedInBundle
from deployments.catalog.access import ProductId, Writer, WriterOrAdmin
from deployments.catalog.products import service
from deployments.catalog.products.schemas import (
    CurrencyQuery,
    FacetsOut,
    NewProduct,
    ProductChanges,
    ProductDetailOut,
    ProductFilters,
    ProductOut,
    ProductQuery,
)
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Anyone, AnyoneCounts, AnyoneLists, Key
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page

router = Router()


@router.get("", summary="List products")
async def list_products(
    principal: AnyoneLists, shared: Shared, query: Annotated[ProductQuery, Query()]
) -> Page[ProductOut]:
    """Products of all businesses that are not deleted: filtered, sorted, a page at a time."""
    return await service.listed(shared, principal, query)


@router.get("/facets", summary="Count what products have in common")
async def product_facets(
    _: AnyoneCounts, shared: Shared, query: Annotated[ProductFilters, Query()]
) -> Envelope[FacetsOut]:
    """Of the products that the same filters would list: how many there are by category, price,
    option and vendor."""
    return Envelope(data=await service.facets(shared, query))


@router.get("/{productId}", summary="Get a product", responses=responses(NotFound))
async def get_product(
    principal: Anyone,
    shared: Shared,
    product_id: ProductId,
    query: Annotated[CurrencyQuery, Query()],
) -> Envelope[ProductDetailOut]:
    """One product with its variants, of any business. Its business' management sees its cost."""
    return Envelope(data=await service.get(shared, principal, product_id, query.currency))


@router.post(
    "",
    summary="Create a product",
    status_code=201,
    responses=responses(NotFound, Conflict, MeasureChanged),
)
async def create_product(
    principal: Writer, shared: Shared, key: Key, body: NewProduct
) -> Made[ProductDetailOut]:
    """Creates a product of your business, at once with its variants, or a bundle with its
    parts."""
    return await service.create(shared, principal, key, body)


@router.put(
    "/{productId}",
    summary="Change a product",
    responses=responses(NotFound, Conflict, MeasureChanged),
)
async def change_product(
    principal: WriterOrAdmin,
    shared: Shared,
    key: Key,
    product_id: ProductId,
    body: ProductChanges,
) -> Made[ProductDetailOut]:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    product still has it."""
    return await service.change_product(shared, principal, key, product_id, body)


@router.delete(
    "/{productId}",
    summary="Delete a product",
    responses=responses(NotFound, UsedInBundle, MeasureChanged),
)
async def delete_product(
    principal: WriterOrAdmin, shared: Shared, key: Key, product_id: ProductId
) -> Made[Message]:
    """Takes a product and its variants off the shelf: nothing more of them can be reserved, while
    open holds may still be confirmed. Their SKUs and barcodes are free again; their history
    stays. What is part of a bundle is not deleted."""
    return await service.delete(shared, principal, key, product_id)
