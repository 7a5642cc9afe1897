"""Bodies, queries and answers about products and their variants."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from core.money import from_minor
from core.quantities import from_steps
from deployments.catalog.products.fields import (
    BackorderLimit,
    Category,
    Code,
    Cost,
    Description,
    ImageAlts,
    ImageAltsPart,
    Images,
    Options,
    OptionsPart,
    PartQuantity,
    Position,
    PriceBound,
    Prices,
    PricesPart,
    QuantityDecimals,
    TaxClassId,
    Unit,
)
from gateway.changes import Changes, Emptied
from gateway.fields import Currency, Name, absent
from gateway.quantities import QuantityOut
from gateway.schemas import (
    Amount,
    CamelModel,
    DeletedAt,
    ItemCode,
    QueryModel,
    Sum,
    SyncQuery,
)
from store.catalog.bundles import MAX_COMPONENTS, Component
from store.catalog.products import Product
from store.catalog.search import MAX_OPTION_FILTERS
from store.catalog.variants import Variant

MAX_VARIANTS = 100
Kind = Literal["simple", "bundle"]
Sort = Literal["createdAt", "-createdAt", "price", "-price", "name", "-name", "relevance"]


class _ItemFields(CamelModel):
    """What a product and a variant may both have."""

    barcode: Code | None = Field(default=None, description="Unique in the business")
    images: Images = Field(default_factory=list)
    image_alts: ImageAlts = Field(default_factory=dict)
    prices: Prices = Field(default_factory=dict)
    cost: Cost = None
    tax_class_id: TaxClassId = None


class ProductFields(_ItemFields):
    """What of a product may be left out."""

    description: Description = absent()
    category: Category | None = None
    currency: Currency = absent("ISO 4217; by default the business' own")
    quantity_decimals: QuantityDecimals = absent()
    unit: Unit = absent("`piece` by default; others are said")
    backorder_limit: BackorderLimit = absent()


class VariantFields(_ItemFields):
    """What of a variant may be left out. Without a price it has the product's."""

    price: Amount | None = Field(default=None, description="In the product's currency")
    position: Position = absent()


class NewComponent(CamelModel):
    """So many of a product in each bundle."""

    product_id: UUID
    quantity: PartQuantity


class ComponentOut(CamelModel):
    product_id: UUID
    quantity: QuantityOut


Components = Annotated[
    list[NewComponent],
    Field(
        min_length=1,
        max_length=MAX_COMPONENTS,
        description="The parts of a bundle: shared with others, and no bundles themselves",
    ),
]


class NewVariant(VariantFields):
    """A variant to create."""

    options: Options
    sku: Code = absent("Unique in the business; made if absent")


class _ItemChanges(Changes):
    """What may be changed of a product and of a variant."""

    sku: Code = absent()
    barcode: Code | None = Field(default=None, description="Unique in the business")
    images: Annotated[Images | None, Emptied([])] = None
    image_alts: Annotated[ImageAltsPart | None, Emptied({})] = None
    prices: Annotated[PricesPart | None, Emptied({})] = None
    cost: Cost = None
    tax_class_id: TaxClassId = None


class VariantChanges(_ItemChanges):
    """What to change; what is left out stays."""

    options: OptionsPart = absent()
    price: Amount | None = Field(
        default=None, description="In the parent's currency; null for the parent's own"
    )
    position: Position = absent()


class NewProduct(ProductFields):
    """A product to create. `price` may have as many decimals as its currency has. A bundle has
    `components` and no variants; its kind stays what it is."""

    name: Name
    price: Amount
    sku: Code = absent("Unique in the business; made if absent")
    kind: Kind = absent()
    variants: list[NewVariant] = Field(default_factory=list, max_length=MAX_VARIANTS)
    components: Components = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_kind(self) -> NewProduct:
        if (self.kind == "bundle") != bool(self.components):
            raise ValueError("a bundle, and nothing else, has components")
        if self.kind == "bundle" and self.variants:
            raise ValueError("a bundle has no variants")
        return self


class ProductChanges(_ItemChanges):
    """What to change; what is left out stays. A new `currency` needs a `price`, and a `cost` if
    there is one."""

    name: Name = absent()
    description: Annotated[Description | None, Emptied("")] = None
    category: Category | None = None
    price: Amount = absent()
    currency: Currency = absent()
    backorder_limit: BackorderLimit = absent()
    components: Components = absent()


class _ItemOut(CamelModel):
    id: UUID
    price: Sum
    currency: str = Field(description="What `price` is in")
    prices: dict[str, Sum] = Field(description="Prices in further currencies")
    cost: Sum | None = Field(default=None, exclude_if=lambda value: value is None)
    tax_class_id: UUID | None
    images: list[str]
    image_alts: dict[str, str]
    sku: str
    barcode: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class VariantOut(_ItemOut):
    """A variant as everyone may see it; `cost` is there for its business' management alone.
    `taxClassId` is null where that of its parent counts."""

    parent_id: UUID
    options: dict[str, str]
    has_own_price: bool
    position: int
    quantity_decimals: int
    unit: str

    @classmethod
    def of(cls, variant: Variant, product: Product, currency: str | None = None) -> VariantOut:
        price_minor, shown = variant_price(variant, product, currency)
        return cls(
            price=from_minor(price_minor, shown),
            currency=shown,
            prices=_amounts(variant.prices),
            cost=_cost(variant.cost_minor, product.currency),
            parent_id=variant.product_id,
            has_own_price=variant.price_minor is not None,
            quantity_decimals=product.quantity_decimals,
            unit=product.unit,
            **{name: getattr(variant, name) for name in _SHOWN_OF_VARIANT},
        )


class ProductOut(_ItemOut):
    """A product as everyone may see it; `cost` is there for its business' management alone.
    `vendorId` is the business that sells it. With variants, they are what is sold."""

    vendor_id: UUID
    name: str
    description: str
    category: str | None
    kind: Kind
    quantity_decimals: int
    unit: str
    backorder_limit: QuantityOut
    variant_count: int
    deleted_at: DeletedAt = None

    @classmethod
    def of(
        cls, product: Product, variant_count: int = 0, currency: str | None = None
    ) -> ProductOut:
        return cls(**_shown(product, variant_count, currency))


class ProductDetailOut(ProductOut):
    """A product with its variants and, of a bundle, its parts."""

    variants: list[VariantOut]
    components: list[ComponentOut]

    @classmethod
    def whole(
        cls,
        product: Product,
        variants: list[Variant],
        components: tuple[Component, ...],
        currency: str | None = None,
    ) -> ProductDetailOut:
        return cls(
            variants=[VariantOut.of(variant, product, currency) for variant in variants],
            components=[
                ComponentOut(
                    product_id=part.item_id, quantity=from_steps(part.quantity, part.decimals)
                )
                for part in components
            ],
            **_shown(product, len(variants), currency),
        )


_MADE = {
    "vendor_id",
    "price",
    "currency",
    "prices",
    "cost",
    "variant_count",
    "has_own_price",
    "parent_id",
    "deleted_at",
    "backorder_limit",
}
_OF_PARENT = {"quantity_decimals", "unit"}
_SHOWN = tuple(set(ProductOut.model_fields) - _MADE)
_SHOWN_OF_VARIANT = tuple(set(VariantOut.model_fields) - _MADE - _OF_PARENT)


def product_price(product: Product, currency: str | None) -> tuple[int, str]:
    """The price in minor units and its currency: the one that is asked for, where there is a
    price in it, else the product's own."""
    if currency in product.prices:
        return product.prices[currency], currency
    return product.price_minor, product.currency


def variant_price(variant: Variant, product: Product, currency: str | None) -> tuple[int, str]:
    """The same for a variant. The product's price in a currency counts for it unless it has a
    price of its own."""
    if currency in variant.prices:
        return variant.prices[currency], currency
    if variant.price_minor is not None:
        return variant.price_minor, product.currency
    return product_price(product, currency)


def _shown(product: Product, variant_count: int, currency: str | None) -> dict[str, object]:
    price_minor, shown = product_price(product, currency)
    return {
        "vendor_id": product.tenant_id,
        "price": from_minor(price_minor, shown),
        "currency": shown,
        "prices": _amounts(product.prices),
        "cost": _cost(product.cost_minor, product.currency),
        "variant_count": variant_count,
        "backorder_limit": from_steps(product.backorder_limit, product.quantity_decimals),
        **{name: getattr(product, name) for name in _SHOWN},
    }


def _amounts(prices: dict[str, int]) -> dict[str, Decimal]:
    return {currency: from_minor(minor, currency) for currency, minor in sorted(prices.items())}


def _cost(cost_minor: int | None, currency: str) -> Decimal | None:
    return None if cost_minor is None else from_minor(cost_minor, currency)


class CurrencyQuery(QueryModel):
    currency: Currency | None = Field(
        default=None, description="Show prices in it, where there are any"
    )


OptionFilter = Annotated[str, StringConstraints(max_length=101, pattern=r"^[^\s:][^:]*:\S.*$")]


class ProductFilters(QueryModel):
    """Which products. Prices compare as the numbers shown, so with prices in several currencies
    name the `currency` too."""

    category: Category | None = Field(
        default=None, description="A name or path, with all that is below it"
    )
    min_price: PriceBound | None = None
    max_price: PriceBound | None = None
    currency: Currency | None = Field(
        default=None, description="Only what has a price in it; prices are then shown in it"
    )
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Words to look for, all of which a product has: in its name, SKU or barcode,"
        " in its category or an option of its variants, as a whole or a beginning; or as a whole in"
        " its description. Case, accents and what separates words make no difference; where few"
        " products are found, nor does one wrong letter",
    )
    sku: ItemCode | None = None
    barcode: ItemCode | None = None
    option: list[OptionFilter] = Field(
        default_factory=list,
        max_length=MAX_OPTION_FILTERS,
        description="`name:value`; several must be true of one variant",
    )
    in_stock: bool | None = Field(
        default=None,
        description="Only what some location has, or what none has: more on hand than reserved, of"
        " the product, a variant of it, or all parts of a bundle at one location; `total` then"
        " counts 10,000 at most",
    )
    vendor_id: UUID | None = Field(default=None, description="Only this business' products")

    @field_validator("option")
    @classmethod
    def _each_name_once(cls, value: list[str]) -> list[str]:
        names = [option.partition(":")[0] for option in value]
        if len(set(names)) < len(names):
            raise ValueError("must name each option once")
        return value


class ProductQuery(ProductFilters, SyncQuery):
    """Which products, in what order, and which page of them. `updatedSince` follows one's own
    business, `vendorId`; a product has changed also where one of its variants has."""

    sort: Sort | None = Field(
        default=None,
        description="By default `relevance` with `q`, else `-createdAt`. By `relevance` the best"
        " come first: whole words before beginnings, names and codes before the rest, and 3,000 are"
        " ranked of what more than 10,000 products have. `name` is as people sort: by letters,"
        " numbers by value, case and accents last",
    )

    @field_validator("sort")
    @classmethod
    def _relevance_of_words(cls, sort: Sort | None, info: ValidationInfo) -> Sort | None:
        if sort == "relevance" and info.data.get("q") is None:
            raise ValueError("is by relevance only where `q` says what is looked for")
        return sort

    @property
    def order(self) -> str:
        return self.sort or ("-createdAt" if self.q is None else "relevance")

    @property
    def beside_changes(self) -> list[str]:
        """What was asked that does not go with `updatedSince`, by its names in Python."""
        beside = {"updated_since", "vendor_id", "currency", "limit", "cursor", "page"}
        return sorted(self.model_fields_set - beside)


class FacetValueOut(CamelModel):
    value: str
    products: int


class PriceFacetOut(CamelModel):
    """Products from `minPrice` up to, and without, `maxPrice`; null is without bound."""

    min_price: int | None
    max_price: int | None
    products: int


class FacetsOut(CamelModel):
    """How many of the products found have what; most first, 50 of each at most. Counted are
    10,000 products at most."""

    counted: int
    categories: list[FacetValueOut]
    prices: list[PriceFacetOut]
    options: dict[str, list[FacetValueOut]]
    vendors: list[FacetValueOut]
    in_stock: list[FacetValueOut] = Field(description="`true` and `false`")
