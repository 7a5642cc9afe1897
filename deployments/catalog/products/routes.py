"""Products, with facets, import and export."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response

from core.errors import Conflict, NotFound, UsedInBundle
from deployments.catalog.files.exports import NEXT_HEADER, ExportQuery, Exports
from deployments.catalog.files.import_schemas import ImportResult, ProductImport
from deployments.catalog.files.imports import Imports
from deployments.catalog.products import terms
from deployments.catalog.products.schemas import (
    CurrencyQuery,
    Facets,
    NewProduct,
    ProductChanges,
    ProductDetailOut,
    ProductFilters,
    ProductPage,
    ProductQuery,
)
from deployments.catalog.products.service import Catalog
from deployments.catalog.router import (
    Anyone,
    AnyoneCounts,
    AnyoneLists,
    Key,
    ProductId,
    Writer,
    WriterOrAdmin,
    response,
)
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()


async def _catalog(shared: Shared) -> Catalog:
    return Catalog(shared.db, shared.clock)


Service = Annotated[Catalog, Depends(_catalog)]


class CsvResponse(Response):
    media_type = "text/csv"


@router.get("", summary="List products")
async def list_products(
    principal: AnyoneLists, service: Service, query: Annotated[ProductQuery, Query()]
) -> ProductPage:
    """Products of all businesses that are not deleted: filtered, sorted, a page at a time."""
    return await service.page(principal, query)


@router.get("/facets", summary="Count what products have in common")
async def product_facets(
    _: AnyoneCounts, service: Service, query: Annotated[ProductFilters, Query()]
) -> Envelope[Facets]:
    """Of the products that the same filters would list: how many there are by category, price,
    option and vendor."""
    return await service.facets(query)


@router.get(
    "/export",
    summary="Export products",
    response_class=CsvResponse,
    responses={
        200: {
            "headers": {
                NEXT_HEADER: {
                    "description": "What `after` the next page takes; absent with the last",
                    "schema": {"type": "string"},
                }
            }
        }
    },
)
async def export_products(
    principal: Writer, shared: Shared, query: Annotated[ExportQuery, Query()]
) -> Response:
    """Your whole catalogue as CSV, a page at a time; the pages one after the other are a file
    that imports to the same. What a spreadsheet would run is kept from it by an apostrophe."""
    page = await Exports(shared.db, shared.clock).page(principal, query)
    headers = {"Content-Disposition": 'attachment; filename="products.csv"'}
    if page.following is not None:
        headers[NEXT_HEADER] = page.following
    return CsvResponse(page.text.encode(), headers=headers)


@router.get("/{productId}", summary="Get a product", responses=responses(NotFound))
async def get_product(
    principal: Anyone,
    service: Service,
    product_id: ProductId,
    query: Annotated[CurrencyQuery, Query()],
) -> Envelope[ProductDetailOut]:
    """One product with its variants, whoever sells it. Its business' management sees its cost."""
    return await service.get(principal, product_id, query.currency)


@router.post(
    "",
    summary="Create a product",
    status_code=201,
    response_model=Envelope[ProductDetailOut],
    responses=responses(Conflict),
)
async def create_product(
    principal: Writer, service: Service, shared: Shared, key: Key, body: NewProduct
) -> Response:
    """Creates a product of your business, at once with its variants, or a bundle with its
    parts."""
    recorded = await service.create(principal, key, body)
    if body.backorder_limit:
        made = UUID(json.loads(recorded.body)["data"]["id"])
        await terms.set_backorder(shared, principal, key, [made])
    return response(recorded)


@router.post("/import", summary="Import products", response_model=Envelope[ImportResult])
async def import_products(
    principal: Writer, shared: Shared, key: Key, body: ProductImport
) -> Response:
    """Creates or changes up to 500 products and variants, told apart by SKU. Each row has its own
    answer: created, updated, unchanged, or rejected with the reasons. Fields that a row leaves
    out stay as they are."""
    recorded = await Imports(shared.db, shared.clock, shared.bus).import_rows(principal, key, body)
    result = Envelope[ImportResult].model_validate_json(recorded.body).data
    known, new = _limited(body, result)
    await terms.set_backorder(shared, principal, key, known)
    await terms.set_backorder(shared, principal, key, new, new=True)
    return response(recorded)


@router.put(
    "/{productId}",
    summary="Change a product",
    response_model=Envelope[ProductDetailOut],
    responses=responses(NotFound, Conflict),
)
async def change_product(
    principal: WriterOrAdmin,
    service: Service,
    shared: Shared,
    key: Key,
    product_id: ProductId,
    body: ProductChanges,
) -> Response:
    """Replaces what the body gives; what it leaves out stays. With `version`, only if the
    product still has it."""
    recorded = await service.change(principal, key, product_id, body)
    if "backorder_limit" in body.model_fields_set:
        await terms.set_backorder(shared, principal, key, [product_id])
    return response(recorded)


@router.delete(
    "/{productId}",
    summary="Delete a product",
    response_model=Message,
    responses=responses(NotFound, UsedInBundle),
)
async def delete_product(
    principal: WriterOrAdmin, service: Service, shared: Shared, key: Key, product_id: ProductId
) -> Response:
    """Takes a product and its variants off the shelf: nothing more of them can be reserved, while
    open holds may still be confirmed. Their SKUs and barcodes are free again; their history
    stays. What is part of a bundle is not deleted."""
    recorded = await service.delete(principal, key, product_id)
    await terms.discontinue(shared, principal, key, product_id)
    return response(recorded)


def _limited(body: ProductImport, result: ImportResult) -> tuple[list[UUID], list[UUID]]:
    """Items whose backorder limit the stock's owner must hear of: those that were there and whose
    row gives one, and new ones, which have none unless the catalogue says so."""
    known, new = [], []
    for row, outcome in zip(body.rows, result.rows, strict=True):
        if outcome.id is not None and outcome.status == "created":
            new.append(outcome.id)
        elif outcome.id is not None and "backorderLimit" in row:
            known.append(outcome.id)
    return known, new
