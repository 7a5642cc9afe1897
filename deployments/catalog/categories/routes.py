"""Categories over HTTP: a tree per business, for everyone to read."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from core.errors import CategoryInUse, Conflict, NotFound
from deployments.catalog.access import Writer
from deployments.catalog.categories import service
from deployments.catalog.categories.schemas import (
    CategoryChanges,
    CategoryNodeOut,
    CategoryOut,
    CategorySizeOut,
    NewCategory,
    TreeQuery,
    VendorQuery,
)
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Anyone, AnyoneCounts, Key
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()

CategoryId = Annotated[UUID, Path(alias="categoryId")]


@router.get("/categories", summary="List categories in use")
async def list_categories(
    _: AnyoneCounts, shared: Shared, query: Annotated[VendorQuery, Query()]
) -> Envelope[list[CategorySizeOut]]:
    """Categories in use with the number of products in each, most first; at most 500."""
    return Envelope(data=await service.in_use(shared, query.vendor_id))


@router.get("/categories/tree", summary="Get the tree of categories")
async def category_tree(
    principal: AnyoneCounts, shared: Shared, query: Annotated[TreeQuery, Query()]
) -> Envelope[list[CategoryNodeOut]]:
    """A business' categories, depth first, siblings by position and then name; at most 5,000."""
    return Envelope(data=await service.tree(shared, principal, query.vendor_id))


@router.get("/categories/{categoryId}", summary="Get a category", responses=responses(NotFound))
async def get_category(_: Anyone, shared: Shared, category_id: CategoryId) -> Envelope[CategoryOut]:
    """One category, of any business."""
    return Envelope(data=await service.get(shared, category_id))


@router.post(
    "/categories",
    summary="Create a category",
    status_code=201,
    responses=responses(NotFound, Conflict),
)
async def create_category(
    principal: Writer, shared: Shared, key: Key, body: NewCategory
) -> Made[CategoryOut]:
    """Creates a category of your business. Writing a product with a path that is not there creates
    it, too."""
    return await service.create(shared, principal, key, body)


@router.put(
    "/categories/{categoryId}",
    summary="Change or move a category",
    responses=responses(NotFound, Conflict),
)
async def change_category(
    principal: Writer, shared: Shared, key: Key, category_id: CategoryId, body: CategoryChanges
) -> Made[CategoryOut]:
    """Renames or moves a category, with all that is below it and the products in them."""
    return await service.change_category(shared, principal, key, category_id, body)


@router.delete(
    "/categories/{categoryId}",
    summary="Delete a category",
    responses=responses(NotFound, CategoryInUse),
)
async def delete_category(
    principal: Writer, shared: Shared, key: Key, category_id: CategoryId
) -> Made[Message]:
    """Deletes an empty category."""
    return await service.delete(shared, principal, key, category_id)
