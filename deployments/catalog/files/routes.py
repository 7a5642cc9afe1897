"""The catalogue as a file: import and export."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from core.errors import MeasureChanged, NotFound
from deployments.catalog.access import Writer
from deployments.catalog.files import exports, imports
from deployments.catalog.files.exports import NEXT_HEADER, ExportQuery
from deployments.catalog.files.import_schemas import ImportOut, ProductImport
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key
from gateway.errors import responses

router = Router()


class CsvResponse(Response):
    media_type = "text/csv"


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
    part = await exports.page(shared, principal, query)
    headers = {"Content-Disposition": 'attachment; filename="products.csv"'}
    if part.following is not None:
        headers[NEXT_HEADER] = part.following
    return CsvResponse(part.text.encode(), headers=headers)


@router.post("/import", summary="Import products", responses=responses(NotFound, MeasureChanged))
async def import_products(
    principal: Writer, shared: Shared, key: Key, body: ProductImport
) -> Made[ImportOut]:
    """Creates or changes up to 500 products and variants, told apart by SKU. Each row has its own
    answer: created, updated, unchanged, or rejected with the reasons. Fields that a row leaves
    out stay as they are."""
    return await imports.import_rows(shared, principal, key, body)
