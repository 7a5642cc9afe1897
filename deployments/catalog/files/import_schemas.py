"""Bodies and answers of the import of products."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from deployments.catalog.products.fields import Code, Options, PartQuantity
from deployments.catalog.products.schemas import Kind, ProductFields, VariantFields
from gateway.fields import Name, absent
from gateway.schemas import Amount, CamelModel
from store.catalog.bundles import MAX_COMPONENTS

MAX_IMPORT_ROWS = 500


class ComponentRow(CamelModel):
    """A part of a bundle, by SKU."""

    sku: Code
    quantity: PartQuantity


class ProductRow(ProductFields):
    """One row of an import: the product with this SKU is created or changed. A new bundle has
    `components`, whose SKUs are there already or in rows before it."""

    sku: Code
    name: Name
    price: Amount
    kind: Kind = absent()
    components: list[ComponentRow] = Field(default_factory=list, max_length=MAX_COMPONENTS)


class VariantRow(VariantFields):
    """One row of an import: the variant with this SKU is created or changed. The product that
    `parentSku` names is there already or in a row before it."""

    sku: Code
    parent_sku: Code
    options: Options


class ProductImport(CamelModel):
    """Rows are judged one by one, so that a bad one does not keep the others out."""

    rows: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_IMPORT_ROWS,
        description="Products, each with `sku`, `name`, `price`, and whatever else a new product"
        " may have (a bundle's `components` by `sku` and `quantity`); and variants, each with"
        " `sku`, `parentSku`, `options`, and whatever else a new variant may have. `taxClass` takes"
        " a tax class by its name, or by its id as `taxClassId` does",
    )


class RowErrorOut(CamelModel):
    field: str
    message: str


class ImportedRowOut(CamelModel):
    """What became of the row at the same place. `id` is the product's or the variant's."""

    sku: str | None
    status: Literal["created", "updated", "unchanged", "rejected"]
    id: UUID | None
    errors: list[RowErrorOut]


class ImportOut(CamelModel):
    created: int
    updated: int
    unchanged: int
    rejected: int
    rows: list[ImportedRowOut]
