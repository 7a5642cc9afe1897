"""Categories over HTTP: a tree per business, for everyone to read."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from core.errors import CategoryInUse, Conflict, NotFound
from deployments.catalog.categories.schemas import (
    CategoryChanges,
    CategoryNode,
    CategoryOut,
    NewCategory,
    TreeQuery,
)
from deployments.catalog.categories.service import Categories
from deployments.catalog.products.schemas import CategorySize, VendorQuery
from deployments.catalog.products.service import Catalog
from deployments.catalog.router import AnyoneCounts, CategoryId, Key, Writer, response
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()


async def _categories(shared: Shared) -> Categories:
    return Categories(shared.db, shared.clock)


Service = Annotated[Categories, Depends(_categories)]


@router.get("/categories", summary="List categories in use")
async def list_categories(
    _: AnyoneCounts, shared: Shared, query: Annotated[VendorQuery, Query()]
) -> Envelope[list[CategorySize]]:
    """Categories in use with the number of products in each, most first; at most 500."""
    return await Catalog(shared.db, shared.clock).categories(query.vendor_id)


@router.get("/categories/tree", summary="Get the tree of categories")
async def category_tree(
    principal: AnyoneCounts, service: Service, query: Annotated[TreeQuery, Query()]
) -> Envelope[list[CategoryNode]]:
    """A business' categories, depth first, siblings by position and then name; at most 5,000."""
    return await service.tree(principal, query.vendor_id)


@router.post(
    "/categories",
    summary="Create a category",
    status_code=201,
    response_model=Envelope[CategoryOut],
    responses=responses(Conflict),
)
async def create_category(
    principal: Writer, service: Service, key: Key, body: NewCategory
) -> Response:
    """Creates a category of your business. Whoever writes a product with a path that is not there
    creates it, too."""
    return response(await service.create(principal, key, body))


@router.put(
    "/categories/{categoryId}",
    summary="Change or move a category",
    response_model=Envelope[CategoryOut],
    responses=responses(NotFound, Conflict),
)
async def change_category(
    principal: Writer, service: Service, key: Key, category_id: CategoryId, body: CategoryChanges
) -> Response:
    """Renames or moves a category, with all that is below it and the products in them."""
    return response(await service.change(principal, key, category_id, body))


@router.delete(
    "/categories/{categoryId}",
    summary="Delete a category",
    response_model=Message,
    responses=responses(NotFound, CategoryInUse),
)
async def delete_category(
    principal: Writer, service: Service, key: Key, category_id: CategoryId
) -> Response:
    """Deletes an empty category."""
    return response(await service.delete(principal, key, category_id))
