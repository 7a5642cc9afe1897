"""Service 3 of the marketplace plan: products, and beyond it categories and bulk import."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from core.errors import Conflict, NotFound
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.catalog.schemas import (
    CategoryQuery,
    CategorySize,
    ImportResult,
    NewProduct,
    ProductChanges,
    ProductImport,
    ProductPage,
    ProductQuery,
    ProductView,
)
from deployments.catalog.service import Catalog
from deployments.inventory.service import discontinue
from deployments.resources import Shared
from gateway.access import PUBLIC_ACCESS, require
from gateway.capability import Capability
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.resources import Resources
from gateway.routing import HoldfastRoute
from gateway.schemas import Envelope, Message
from store.commands import Recorded


async def _catalog(request: Request) -> Catalog:
    resources: Resources = request.app.state.resources
    return Catalog(resources.db, resources.clock)


router = APIRouter(route_class=HoldfastRoute, tags=["catalog"])

ProductId = Annotated[UUID, Path(alias="productId")]
Service = Annotated[Catalog, Depends(_catalog)]
Key = Annotated[RequestKey, Depends(request_key)]
Anyone = Annotated[Principal, Depends(PUBLIC_ACCESS)]
# A service key needs the scope catalog:write: its business' other systems keep the catalogue.
WRITERS = MANAGEMENT | {Role.SERVICE}
Writer = Annotated[Principal, Depends(require(WRITERS))]
# A platform admin acts for no business and may mend or take down any product.
WriterOrAdmin = Annotated[Principal, Depends(require(WRITERS | {Role.ADMIN}, tenant=False))]


@router.get("", summary="List products")
async def list_products(
    _: Anyone, service: Service, query: Annotated[ProductQuery, Query()]
) -> ProductPage:
    """Products of all businesses that are not deleted: filtered, sorted, a page at a time."""
    return await service.page(query)


@router.get("/categories", summary="List categories")
async def list_categories(
    _: Anyone, service: Service, query: Annotated[CategoryQuery, Query()]
) -> Envelope[list[CategorySize]]:
    """Categories in use with the number of products in each, most first; at most 500."""
    return await service.categories(query.vendor_id)


@router.get("/{productId}", summary="Get a product", responses=responses(NotFound))
async def get_product(_: Anyone, service: Service, product_id: ProductId) -> Envelope[ProductView]:
    """One product, whoever sells it."""
    return await service.get(product_id)


@router.post(
    "",
    summary="Create a product",
    status_code=201,
    response_model=Envelope[ProductView],
    responses=responses(Conflict),
)
async def create_product(
    principal: Writer, service: Service, key: Key, body: NewProduct
) -> Response:
    """Creates a product of your business."""
    return _response(await service.create(principal, key, body))


@router.post("/import", summary="Import products", response_model=Envelope[ImportResult])
async def import_products(
    principal: Writer, service: Service, key: Key, body: ProductImport
) -> Response:
    """Creates or changes up to 500 products, told apart by SKU. Each row has its own answer:
    created, updated, unchanged, or rejected with the reasons. Fields that a row leaves out stay
    as they are."""
    return _response(await service.import_rows(principal, key, body))


@router.put(
    "/{productId}",
    summary="Change a product",
    response_model=Envelope[ProductView],
    responses=responses(NotFound, Conflict),
)
async def change_product(
    principal: WriterOrAdmin,
    service: Service,
    key: Key,
    product_id: ProductId,
    body: ProductChanges,
) -> Response:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    product still has it."""
    return _response(await service.change(principal, key, product_id, body))


@router.delete(
    "/{productId}",
    summary="Delete a product",
    response_model=Message,
    responses=responses(NotFound),
)
async def delete_product(
    principal: WriterOrAdmin, service: Service, shared: Shared, key: Key, product_id: ProductId
) -> Response:
    """Takes a product off the shelf: nothing more of it can be reserved, while open holds may
    still be confirmed. Its SKU and barcode are free again; its history stays."""
    recorded = await service.delete(principal, key, product_id)
    # After the row, and again at each repeat: a first try may have ended between the two.
    await discontinue(shared, principal, key.step("discontinue"), product_id)
    return _response(recorded)


def _response(recorded: Recorded) -> Response:
    return Response(recorded.body, recorded.status, media_type="application/json")


capability = Capability("catalog", "/api/products", router)
