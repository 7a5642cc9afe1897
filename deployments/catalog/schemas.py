"""Bodies, queries and answers of the catalogue."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from core.money import MAX_AMOUNT_MINOR, from_minor
from deployments.catalog.category_rules import MAX_NAME, tidy_path
from gateway.schemas import Amount, CamelModel, Page, PageQuery, QueryModel
from store.catalog import Product
from store.catalog_categories import MAX_DEPTH, SEPARATOR

MAX_IMPORT_ROWS = 500
MAX_IMAGES = 20
MAX_PATH = 512

# Trimmed after the length was checked, so that the published bounds are exactly the real ones.
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"\S"),
    AfterValidator(str.strip),
]
Description = Annotated[str, StringConstraints(max_length=10_000)]


def _path(text: str) -> str:
    path = tidy_path(text)
    names = path.split(SEPARATOR)
    if not all(names):
        raise ValueError("must have a name on each side of every >")
    if len(names) > MAX_DEPTH:
        raise ValueError(f"must have at most {MAX_DEPTH} levels")
    if len(path) > MAX_PATH or max(map(len, names)) > MAX_NAME:
        raise ValueError(f"must have names of at most {MAX_NAME} characters")
    return path


Category = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_PATH, pattern=r"\S"),
    AfterValidator(_path),
    Field(description="A name at the top, or a path of up to 5 names: `Toys > Cars`"),
]
# Words with single spaces between: what looks the same is the same.
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^\S+( \S+)*$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
ImageUrl = Annotated[
    str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s/?#]+([/?#]\S*)?$")
]
PriceBound = Annotated[
    Decimal,
    Field(ge=0, le=MAX_AMOUNT_MINOR),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_AMOUNT_MINOR}),
]
Sort = Literal["createdAt", "-createdAt", "price", "-price", "name", "-name"]


class _OptionalFields(CamelModel):
    """What may be left out. Whether it was is told by `model_fields_set`: defaults come from
    factories so that the published schema has none, and takes no null where none is meant."""

    description: Description = Field(default_factory=str)
    category: Category | None = None
    images: list[ImageUrl] = Field(default_factory=list, max_length=MAX_IMAGES)
    barcode: Code | None = Field(default=None, description="Unique in the business")
    currency: Currency = Field(
        default_factory=str, description="ISO 4217; by default the business' own"
    )


class NewProduct(_OptionalFields):
    """A product to create. `price` may have as many decimals as its currency has."""

    name: Name
    price: Amount
    sku: Code = Field(default_factory=str, description="Unique in the business; made if absent")


class ProductChanges(_OptionalFields):
    """What to replace; what is left out stays. A new `currency` needs a `price`."""

    name: Name = Field(default_factory=str)
    price: Amount = Field(default_factory=Decimal)
    sku: Code = Field(default_factory=str)
    version: int | None = Field(
        default=None,
        ge=1,
        le=2**31 - 1,
        description="If given, the change is made only if the product still has this version",
    )


class ImportRow(_OptionalFields):
    """One row of an import: the product with this SKU is created or changed."""

    sku: Code
    name: Name
    price: Amount


class ProductImport(CamelModel):
    """Rows are judged one by one, so that a bad one does not keep the others out."""

    rows: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=MAX_IMPORT_ROWS,
        description="Each with `sku`, `name`, `price`, and optionally `description`, `category`,"
        " `images`, `barcode`, `currency`, as a new product has them",
    )


class RowError(CamelModel):
    field: str
    message: str


class RowResult(CamelModel):
    """What became of the row at the same place."""

    sku: str | None
    status: Literal["created", "updated", "unchanged", "rejected"]
    id: UUID | None
    errors: list[RowError]


class ImportResult(CamelModel):
    created: int
    updated: int
    unchanged: int
    rejected: int
    rows: list[RowResult]


class ProductView(CamelModel):
    """A product as everyone may see it. `vendorId` is the business that sells it."""

    id: UUID
    vendor_id: UUID
    name: str
    description: str
    price: Amount
    currency: str
    category: str | None
    images: list[str]
    sku: str
    barcode: str | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, product: Product) -> ProductView:
        return cls(
            vendor_id=product.tenant_id,
            price=from_minor(product.price_minor, product.currency),
            **{name: getattr(product, name) for name in _SHOWN},
        )


_SHOWN = tuple(set(ProductView.model_fields) - {"vendor_id", "price"})

ProductPage = Page[ProductView]


class CategorySize(CamelModel):
    category: str
    products: int


class CategoryQuery(QueryModel):
    vendor_id: UUID | None = Field(default=None, description="Only this business' products")


class ProductQuery(PageQuery):
    """Which products. Prices compare as the numbers shown, so with prices in several currencies
    name the `currency` too."""

    category: Category | None = Field(
        default=None, description="A name or path, with all that is below it"
    )
    min_price: PriceBound | None = None
    max_price: PriceBound | None = None
    currency: Currency | None = None
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Words that name, SKU or category hold, each at least as the beginning of a"
        " word; at most 10,000 products are found",
    )
    sku: str | None = Field(default=None, min_length=1, max_length=64)
    barcode: str | None = Field(default=None, min_length=1, max_length=64)
    vendor_id: UUID | None = Field(default=None, description="Only this business' products")
    sort: Sort = "-createdAt"
