"""The rules of the catalogue, without any machinery: what a request makes of a product or a
variant."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from core.errors import FieldError, ValidationFailed
from core.ids import uuid7
from core.money import check_in_use, to_minor
from core.quantities import PIECE, to_steps
from deployments.catalog.files.import_schemas import ProductRow, VariantRow
from deployments.catalog.products.fields import MAX_OPTIONS, MAX_PRICES
from deployments.catalog.products.schemas import (
    NewProduct,
    NewVariant,
    ProductChanges,
    VariantChanges,
)
from gateway.changes import Partial, merged
from store.catalog.products import Product
from store.catalog.variants import Variant

Item = TypeVar("Item", Product, Variant)
Body = ProductChanges | ProductRow | VariantChanges | VariantRow

_SHARED = frozenset({"images", "sku", "barcode", "tax_class_id"})
_PLAIN = _SHARED | {"name", "description", "category", "backorder_limit"}
_PLAIN_OF_VARIANT = _SHARED | {"options", "position"}
# What an event calls a field that stands in another unit here.
_SHOWN_AS = {
    "price_minor": "price",
    "cost_minor": "cost",
    "image_alts": "imageAlts",
    "tax_class_id": "taxClassId",
    "backorder_limit": "backorderLimit",
}
_NEVER_CHANGES = frozenset({"version", "updated_at"})


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, for which business, when, and in which currency if nothing else is said."""

    tenant_id: UUID
    user_id: UUID
    now: datetime
    currency: str


def created(body: NewProduct | ProductRow, author: Author) -> Product:
    """A new product. Raises ValidationFailed on what is wrong about its money or images."""
    currency = body.currency or author.currency
    if currency != author.currency:
        check_in_use(currency)
    product_id = uuid7()
    decimals, unit = _measure(body)
    product = Product(
        id=product_id,
        tenant_id=author.tenant_id,
        created_by=author.user_id,
        name=body.name,
        description=body.description or "",
        price_minor=to_minor(body.price, currency),
        currency=currency,
        category=body.category,
        images=body.images,
        sku=body.sku or made_sku(product_id),
        barcode=body.barcode,
        version=1,
        created_at=author.now,
        updated_at=author.now,
        kind=body.kind or "simple",
        image_alts=body.image_alts,
        tax_class_id=body.tax_class_id,
        backorder_limit=to_steps(body.backorder_limit or 0, decimals, "backorderLimit"),
        quantity_decimals=decimals,
        unit=unit,
        prices=minor_prices(body.prices, currency),
        cost_minor=_minor(body.cost, currency, "cost"),
    )
    return _checked(product, body.model_fields_set)


def _measure(body: NewProduct | ProductRow) -> tuple[int, str]:
    """How many decimals quantities of a new product have, of which unit. Raises ValidationFailed
    where something that is not weighed or measured has decimals."""
    decimals, unit = body.quantity_decimals or 0, body.unit or PIECE
    if decimals and unit == PIECE:
        raise ValidationFailed([FieldError("unit", "must be given: a piece has no decimals")])
    if body.kind == "bundle" and unit != PIECE:
        raise ValidationFailed([FieldError("unit", "of a bundle is a piece")])
    return decimals, unit


def check_measure_kept(product: Product, body: ProductRow) -> None:
    """Raises ValidationFailed on what would count a product's quantities otherwise."""
    for name, field in (("quantity_decimals", "quantityDecimals"), ("unit", "unit")):
        had = getattr(product, name)
        if name in body.model_fields_set and getattr(body, name) != had:
            raise ValidationFailed([FieldError(field, f"stays what it is, {had}")])


def changed(product: Product, body: ProductChanges | ProductRow, now: datetime) -> Product:
    """The product with what `body` gives, one version on; the very same object if nothing
    differs. Raises ValidationFailed on what is wrong about its money or images."""
    given = body.model_fields_set
    values: dict[str, Any] = {name: _emptied(body, name) for name in given & _PLAIN}
    if "backorder_limit" in given:
        limit = body.backorder_limit or 0
        values["backorder_limit"] = to_steps(limit, product.quantity_decimals, "backorderLimit")
    currency = body.currency or product.currency
    if currency != product.currency:
        check_in_use(currency)
    if "price" in given:
        values["price_minor"] = to_minor(body.price, currency)
    elif currency != product.currency:
        raise ValidationFailed([FieldError("price", "must be given with a new currency")])
    values["currency"] = currency
    if "cost" in given:
        values["cost_minor"] = _minor(body.cost, currency, "cost")
    elif currency != product.currency and product.cost_minor is not None:
        raise ValidationFailed([FieldError("cost", "must be given with a new currency")])
    values |= _money_and_alts(product, body, currency)
    return _next(product, values, given, now)


def created_variant(body: NewVariant | VariantRow, product: Product, author: Author) -> Variant:
    """A new variant of `product`. Raises ValidationFailed on what is wrong about its money or
    images."""
    variant_id = uuid7()
    variant = Variant(
        id=variant_id,
        tenant_id=author.tenant_id,
        product_id=product.id,
        options=body.options,
        sku=body.sku or made_sku(variant_id),
        barcode=body.barcode,
        price_minor=_minor(body.price, product.currency, "price"),
        tax_class_id=body.tax_class_id,
        images=body.images,
        image_alts=body.image_alts,
        position=body.position or 0,
        version=1,
        created_at=author.now,
        updated_at=author.now,
        prices=minor_prices(body.prices, product.currency),
        cost_minor=_minor(body.cost, product.currency, "cost"),
    )
    return _checked(variant, body.model_fields_set)


def changed_variant(
    variant: Variant, body: VariantChanges | VariantRow, product: Product, now: datetime
) -> Variant:
    """The variant with what `body` gives, one version on; the very same object if nothing
    differs. Raises ValidationFailed like `created_variant`."""
    given = body.model_fields_set
    values: dict[str, Any] = {name: _emptied(body, name) for name in given & _PLAIN_OF_VARIANT}
    if "options" in given:
        options = values["options"] = _laid_onto(variant.options, body, "options")
        if not 0 < len(options) <= MAX_OPTIONS:
            raise ValidationFailed([FieldError("options", f"must be 1 to {MAX_OPTIONS} together")])
    for name in given & {"price", "cost"}:
        values[f"{name}_minor"] = _minor(getattr(body, name), product.currency, name)
    values |= _money_and_alts(variant, body, product.currency)
    return _next(variant, values, given, now)


def check_options(options: Mapping[str, str], siblings: Sequence[Variant]) -> None:
    """Raises ValidationFailed on `options` unless they have the names that the siblings have,
    and other values than each of them."""
    for sibling in siblings:
        if set(sibling.options) != set(options):
            names = ", ".join(sorted(sibling.options))
            raise ValidationFailed(
                [FieldError("options", f"must have the names of its siblings: {names}")]
            )
        if sibling.options == options:
            raise ValidationFailed([FieldError("options", "are those of another variant")])


def check_currency_kept(before: Product, after: Product, variants: Sequence[Variant]) -> None:
    """Raises ValidationFailed on `currency` if variants have money in the one that is left."""
    if before.currency != after.currency and any(
        variant.price_minor is not None or variant.cost_minor is not None for variant in variants
    ):
        message = "cannot change while variants have prices or costs of their own"
        raise ValidationFailed([FieldError("currency", message)])


def minor_prices(
    prices: Mapping[str, Decimal], currency: str, before: Container[str] = ()
) -> dict[str, int]:
    """Prices in further currencies in minor units, for an item whose own currency is `currency`;
    those `before` need not be in use any more. Raises ValidationFailed on `prices.<code>`."""
    if currency in prices:
        raise ValidationFailed(
            [FieldError(f"prices.{currency}", "is the product's own currency: give `price`")]
        )
    found = {}
    for code, amount in prices.items():
        try:
            if code not in before:
                check_in_use(code)
            found[code] = to_minor(amount, code, f"prices.{code}")
        except ValidationFailed as error:
            raise ValidationFailed(
                [FieldError(f"prices.{code}", wrong.message) for wrong in error.errors]
            ) from error
    return found


def made_sku(item_id: UUID) -> str:
    return f"P-{item_id.hex[-12:].upper()}"


def _money_and_alts(
    item: Product | Variant,
    body: Body,
    currency: str,
) -> dict[str, Any]:
    """Prices in further currencies, and the texts of the images that are left."""
    given = body.model_fields_set
    values: dict[str, Any] = {}
    if "prices" in given:
        values["prices"] = _prices(item, body, currency)
    elif currency in item.prices:
        values["prices"] = {code: minor for code, minor in item.prices.items() if code != currency}
    images = _emptied(body, "images") if "images" in given else item.images
    kept = {url: alt for url, alt in item.image_alts.items() if url in images}
    if "image_alts" in given:
        values["image_alts"] = _laid_onto(kept, body, "image_alts")
    elif "images" in given:
        values["image_alts"] = kept
    return values


def _prices(item: Product | Variant, body: Body, currency: str) -> dict[str, int]:
    """Prices in further currencies after a change. Raises ValidationFailed."""
    given: Mapping[str, Decimal | None] = body.prices or {}
    named = {code: price for code, price in given.items() if price is not None}
    ended = {code: None for code, price in given.items() if price is None}
    before = {code: minor for code, minor in item.prices.items() if code != currency}
    if not isinstance(body, Partial) or body.prices is None:
        before = {}
    after = merged(before, {**minor_prices(named, currency, item.prices), **ended})
    if len(after) > MAX_PRICES:
        message = f"must have at most {MAX_PRICES} currencies together"
        raise ValidationFailed([FieldError("prices", message)])
    return after


def _emptied(body: Body, name: str) -> Any:
    """The value that a body gives; of what null empties, the empty one."""
    return body.values()[name] if isinstance(body, Partial) else getattr(body, name)


def _laid_onto(before: Mapping[str, Any], body: Body, name: str) -> dict[str, Any]:
    """A map after a change: merged into what is there, or, by a row of a file, replaced."""
    given: Mapping[str, Any] | None = getattr(body, name)
    if isinstance(body, Partial) and given is not None:
        return merged(before, given)
    return dict(given or {})


def _next(item: Item, values: Mapping[str, Any], given: set[str], now: datetime) -> Item:
    if all(getattr(item, name) == value for name, value in values.items()):
        return item
    after = replace(item, **values, version=item.version + 1, updated_at=now)
    return _checked(after, given)


def _checked(item: Item, given: set[str]) -> Item:
    orphans = [url for url in item.image_alts if url not in item.images]
    if orphans:
        field = "imageAlts" if "image_alts" in given else "images"
        raise ValidationFailed([FieldError(field, "must name only URLs that are in images")])
    return item


def _minor(amount: Decimal | None, currency: str, field: str) -> int | None:
    return None if amount is None else to_minor(amount, currency, field)


def differing(before: Product | Variant, after: Product | Variant) -> list[str]:
    """The fields that a change changed, as events call them, in order."""
    names = set(before.__dataclass_fields__) - _NEVER_CHANGES
    return sorted(
        _SHOWN_AS.get(name, name) for name in names if getattr(before, name) != getattr(after, name)
    )
