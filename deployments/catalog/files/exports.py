"""The export of products: a business' whole catalogue, a page of CSV at a time."""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import UUID

from pydantic import Field

from core.errors import FieldError, ValidationFailed
from core.principal import Principal
from deployments.catalog.files.csv_format import lines, product_row, variant_row
from deployments.kit.resources import Resources
from gateway.access import tenant_of
from gateway.schemas import QueryModel
from store.business import taxes
from store.catalog import bundles as catalog_bundles
from store.catalog import products as catalog
from store.catalog import variants as catalog_variants
from store.catalog.products import Product
from store.catalog.search import ExportPlace, export_page
from store.kit.engine import Scope

NEXT_HEADER = "X-Holdfast-Next"
MAX_PRODUCTS = 200

_CURSOR = re.compile(r"([01])\.([0-9]{1,17})\.([0-9a-f]{32})")


class ExportQuery(QueryModel):
    """Which part of the catalogue."""

    after: str | None = Field(
        default=None,
        max_length=60,
        description=f"What `{NEXT_HEADER}` said with the page before; absent for the first, which"
        " alone has the header line",
    )
    limit: int = Field(default=100, ge=1, le=MAX_PRODUCTS, description="Products, with variants")


class ExportPage(NamedTuple):
    """CSV, and where the next page begins; None if this was the last."""

    text: str
    following: str | None


async def page(shared: Resources, principal: Principal, query: ExportQuery) -> ExportPage:
    """Products oldest first, each with its variants; bundles after all that they are made of.
    Raises ValidationFailed on `after` for what no page said."""
    tenant, place = tenant_of(principal), _place(query.after)
    async with shared.db.transaction(Scope(tenant)) as tx:
        products = await export_page(tx, tenant, place, query.limit)
        ids = [product.id for product in products]
        variants = await catalog_variants.of_products(tx, ids)
        bundles = [product.id for product in products if product.kind == "bundle"]
        parts = await catalog_bundles.components_of(tx, bundles)
        mentioned = {part.item_id for components in parts.values() for part in components}
        skus = await catalog.skus_of(tx, mentioned)
        used = {product.tax_class_id for product in products}
        used |= {variant.tax_class_id for of_one in variants.values() for variant in of_one}
        classes = await taxes.names(tx, used - {None})
    rows = []
    for product in products:
        rows.append(product_row(product, parts.get(product.id, ()), skus, classes))
        own = variants.get(product.id, ())
        rows += [variant_row(variant, product, classes) for variant in own]
    is_last = len(products) < query.limit
    return ExportPage(
        lines(rows, header=query.after is None), None if is_last else _cursor(products[-1])
    )


def _cursor(product: Product) -> str:
    place = ExportPlace.of(product)
    return f"{int(place.is_bundle)}.{place.created_at_us}.{place.id.hex}"


def _place(cursor: str | None) -> ExportPlace | None:
    if cursor is None:
        return None
    parts = _CURSOR.fullmatch(cursor)
    if parts is None:
        raise ValidationFailed([FieldError("after", f"is nothing that {NEXT_HEADER} said")])
    return ExportPlace(parts[1] == "1", int(parts[2]), UUID(parts[3]))
