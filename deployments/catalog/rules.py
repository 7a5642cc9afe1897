"""The rules of the catalogue, without any machinery: what a request makes of a product, and what
the rows of an import make of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from core.errors import FieldError, ValidationFailed
from core.ids import uuid7
from core.money import from_minor, to_minor
from deployments.catalog.schemas import ImportRow, NewProduct, ProductChanges
from gateway.errors import field_errors
from store.catalog import Product

CREATED = "catalog.product.created.v1"
UPDATED = "catalog.product.updated.v1"
DELETED = "catalog.product.deleted.v1"

_PLAIN = frozenset({"name", "description", "category", "images", "sku", "barcode"})


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, for which business, when, and in which currency if nothing else is said."""

    tenant_id: UUID
    user_id: UUID
    now: datetime
    currency: str


def created(body: NewProduct | ImportRow, author: Author) -> Product:
    """A new product. Raises ValidationFailed on `price` or `currency`."""
    currency = body.currency or author.currency
    product_id = uuid7()
    return Product(
        id=product_id,
        tenant_id=author.tenant_id,
        created_by=author.user_id,
        name=body.name,
        description=body.description,
        price_minor=to_minor(body.price, currency),
        currency=currency,
        category=body.category,
        images=body.images,
        sku=body.sku or f"P-{product_id.hex[-12:].upper()}",
        barcode=body.barcode,
        version=1,
        created_at=author.now,
        updated_at=author.now,
    )


def changed(product: Product, body: ProductChanges | ImportRow, now: datetime) -> Product:
    """The product with what `body` gives, one version on; the very same object if nothing
    differs. Raises ValidationFailed on `price` or `currency`."""
    given = body.model_fields_set
    values: dict[str, Any] = {name: getattr(body, name) for name in given & _PLAIN}
    currency = body.currency or product.currency
    if "price" in given:
        values["price_minor"] = to_minor(body.price, currency)
    elif currency != product.currency:
        raise ValidationFailed([FieldError("price", "must be given with a new currency")])
    values["currency"] = currency
    if all(getattr(product, name) == value for name, value in values.items()):
        return product
    return replace(product, **values, version=product.version + 1, updated_at=now)


def event_data(product: Product, before: Product | None = None) -> dict[str, Any]:
    """What an event says of a product, and which fields differ from `before`."""
    data: dict[str, Any] = {
        "productId": str(product.id),
        "sku": product.sku,
        "name": product.name,
        "category": product.category,
        "price": float(from_minor(product.price_minor, product.currency)),
        "currency": product.currency,
        "version": product.version,
    }
    if before is not None:
        names = {**{name: name for name in _PLAIN}, "price_minor": "price", "currency": "currency"}
        data["changed"] = sorted(
            shown
            for name, shown in names.items()
            if getattr(product, name) != getattr(before, name)
        )
    return data


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: a product `before` and after, the same object if nothing differed;
    no product but `errors` if the row is refused."""

    sku: str | None
    product: Product | None = None
    before: Product | None = None
    errors: tuple[FieldError, ...] = ()

    @property
    def status(self) -> str:
        if self.product is None:
            return "rejected"
        if self.before is None:
            return "created"
        return "unchanged" if self.product is self.before else "updated"


@dataclass(slots=True)
class Shelf:
    """What an import finds: the products that have its SKUs, and which item has each barcode."""

    products: Mapping[str, Product]
    barcodes: Mapping[str, UUID]
    seen: dict[str, int] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    def place(self, number: int, row: ImportRow, author: Author) -> Outcome:
        """Decides on one row, `number` places after the first."""
        earlier = self.seen.setdefault(row.sku, number)
        if earlier != number:
            return _refused(row.sku, "sku", f"is in row {earlier} of this request already")
        before = self.products.get(row.sku)
        if row.barcode:
            owner = self.barcodes.get(row.barcode)
            is_own = owner is None or (before is not None and owner == before.id)
            if not is_own or self.given.setdefault(row.barcode, row.sku) != row.sku:
                return _refused(row.sku, "barcode", "is used by another product")
        try:
            after = changed(before, row, author.now) if before else created(row, author)
        except ValidationFailed as error:
            return Outcome(row.sku, errors=error.errors)
        return Outcome(row.sku, after, before)


def read_rows(rows: Iterable[Mapping[str, Any]]) -> list[ImportRow | Outcome]:
    """Each row, or its refusal where it is no row at all."""
    read: list[ImportRow | Outcome] = []
    for raw in rows:
        try:
            read.append(ImportRow.model_validate(raw))
        except ValidationError as error:
            sku = raw.get("sku")
            errors = tuple(field_errors(error.errors()))
            read.append(Outcome(sku if isinstance(sku, str) else None, errors=errors))
    return read


def _refused(sku: str, name: str, message: str) -> Outcome:
    return Outcome(sku, errors=(FieldError(name, message),))
