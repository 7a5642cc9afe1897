"""What is emitted of products and their variants. What goods cost is not said: events go to
others."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

import msgspec

from core.events import Event
from core.money import from_minor
from store.catalog import products, variants


class Product(Event):
    """A product as the change left it; `price` is in units of `currency`, `sort` (on the wire
    `kind`) is simple or bundle."""

    product_id: UUID
    sku: str
    name: str
    category: str | None
    price: float
    currency: str
    sort: str = msgspec.field(name="kind")
    version: int

    @classmethod
    def of(cls, product: products.Product, **more: Any) -> Self:
        return cls(
            product_id=product.id,
            sku=product.sku,
            name=product.name,
            category=product.category,
            price=float(from_minor(product.price_minor, product.currency)),
            currency=product.currency,
            sort=product.kind,
            version=product.version,
            **more,
        )


class ProductCreated(Product, kind="catalog.product.created.v1"):
    """A product is new."""


class ProductUpdated(Product, kind="catalog.product.updated.v1"):
    """A product changed; `changed` names the fields, in order."""

    changed: tuple[str, ...]


class ProductDeleted(Product, kind="catalog.product.deleted.v1"):
    """A product left the shelf, with its variants."""


class Variant(Event):
    """A variant as the change left it; `options` are its values by the options' names."""

    variant_id: UUID
    product_id: UUID
    sku: str
    options: dict[str, str]
    version: int

    @classmethod
    def of(cls, variant: variants.Variant, **more: Any) -> Self:
        return cls(
            variant_id=variant.id,
            product_id=variant.product_id,
            sku=variant.sku,
            options=variant.options,
            version=variant.version,
            **more,
        )


class VariantCreated(Variant, kind="catalog.variant.created.v1"):
    """A variant is new."""


class VariantUpdated(Variant, kind="catalog.variant.updated.v1"):
    """A variant changed; `changed` names the fields, in order."""

    changed: tuple[str, ...]


class VariantDeleted(Variant, kind="catalog.variant.deleted.v1"):
    """A variant left the shelf by itself."""
