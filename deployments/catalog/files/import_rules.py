"""What the rows of an import make of a catalogue, without any machinery."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from core.errors import FieldError, ValidationFailed
from core.quantities import to_steps
from deployments.catalog.files.import_schemas import ComponentRow, ProductRow, VariantRow
from deployments.catalog.products.rules import (
    Author,
    changed,
    changed_variant,
    check_currency_kept,
    check_measure_kept,
    check_options,
    created,
    created_variant,
)
from deployments.catalog.products.schemas import MAX_VARIANTS
from gateway.errors import MAX_ROW_ERRORS, field_errors
from store.catalog.bundles import Component
from store.catalog.products import Product
from store.catalog.variants import Variant

Row = ProductRow | VariantRow
# A number of a dozen digits as a spreadsheet shows it: the rest of them is lost.
_ROUNDED = re.compile(r"\d+([.,]\d+)?[Ee]\+\d+")
_TAKEN = "is used by another product or variant"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: an item `before` and after, the same object if nothing differed; no
    item but `errors` if the row is refused. `parts` are a bundle's, if they are new."""

    sku: str | None
    item: Product | Variant | None = None
    before: Product | Variant | None = None
    parts: tuple[Component, ...] | None = None
    errors: tuple[FieldError, ...] = ()

    @property
    def status(self) -> str:
        if self.item is None:
            return "rejected"
        if self.before is None:
            return "created"
        return "unchanged" if self.item is self.before else "updated"


@dataclass(slots=True)
class Shelf:
    """What an import finds, and goes on to put there itself: products and variants by SKU, which
    item has each barcode, the variants of each product, the parts of each bundle, the items that
    are `used` as parts, and those of `new_parents` that are `stocked` themselves. `decimals` are
    those of the quantities of products, and of the products of variants, by id."""

    products: dict[str, Product]
    variants: dict[str, Variant] = field(default_factory=dict)
    barcodes: dict[str, UUID] = field(default_factory=dict)
    siblings: dict[UUID, list[Variant]] = field(default_factory=dict)
    parts: dict[UUID, tuple[Component, ...]] = field(default_factory=dict)
    used: set[UUID] = field(default_factory=set)
    stocked: set[UUID] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)
    decimals: dict[UUID, int] = field(default_factory=dict)

    def new_parents(self, rows: Iterable[Row | Outcome]) -> list[UUID]:
        """Products that are there and would get their first variant. Asked before any row is
        placed."""
        named = {row.parent_sku for row in rows if isinstance(row, VariantRow)}
        found = (self.products[sku] for sku in sorted(named & self.products.keys()))
        return [
            product.id
            for product in found
            if product.kind == "simple" and not self.siblings.get(product.id)
        ]

    def pass_over(self, number: int, refused: Outcome) -> Outcome:
        """A row that is none, whose SKU is taken by it all the same."""
        if refused.sku is not None:
            self.seen.setdefault(refused.sku, number)
        return refused

    def place(self, number: int, row: Row, author: Author) -> Outcome:
        """Decides on one row, `number` places after the first. One that came after another of its
        SKU is refused, whatever became of that: nobody knows which is meant."""
        try:
            earlier = self.seen.setdefault(row.sku, number)
            if earlier != number:
                raise _wrong("sku", f"is in row {earlier} of this request already")
            if isinstance(row, VariantRow):
                return self._place_variant(row, author)
            return self._place_product(row, author)
        except ValidationFailed as error:
            return Outcome(row.sku, errors=error.errors)

    def _place_product(self, row: ProductRow, author: Author) -> Outcome:
        if row.sku in self.variants:
            raise _wrong("sku", _TAKEN)
        before = self.products.get(row.sku)
        self._check_barcode(row, before)
        kind = before.kind if before and "kind" not in row.model_fields_set else row.kind
        if before is not None and kind != before.kind:
            raise _wrong("kind", f"stays what it is, {before.kind}")
        says_parts = before is None or "components" in row.model_fields_set
        if says_parts and (kind == "bundle") != bool(row.components):
            raise _wrong("components", "are what a bundle has, and nothing else")
        if before is None:
            after = created(row, author)
        else:
            check_measure_kept(before, row)
            after = changed(before, row, author.now)
            check_currency_kept(before, after, self.siblings.get(before.id, ()))
        parts = self._parts_of(row) if row.components else None
        if parts is not None and parts == self.parts.get(after.id):
            parts = None
        if parts is not None:
            if after is before:
                after = replace(after, version=after.version + 1, updated_at=author.now)
            self.parts[after.id] = parts
            self.used.update(part.item_id for part in parts)
        self.products[row.sku] = after
        self.decimals[after.id] = after.quantity_decimals
        self._note_barcode(after)
        return Outcome(row.sku, after, before, parts)

    def _place_variant(self, row: VariantRow, author: Author) -> Outcome:
        if row.sku in self.products:
            raise _wrong("sku", _TAKEN)
        parent = self.products.get(row.parent_sku)
        if parent is None:
            raise _wrong("parentSku", "is no product of yours")
        before = self.variants.get(row.sku)
        siblings = self.siblings.setdefault(parent.id, [])
        if before is None:
            if parent.kind == "bundle" or parent.id in self.used:
                raise _wrong("parentSku", "is a bundle, or part of one: it has no variants")
            if parent.id in self.stocked:
                raise _wrong("parentSku", "has stock of its own: bring it to zero first")
            if len(siblings) >= MAX_VARIANTS:
                raise _wrong("parentSku", f"has {MAX_VARIANTS} variants already")
        elif before.product_id != parent.id:
            raise _wrong("sku", "is a variant of another product")
        self._check_barcode(row, before)
        others = [other for other in siblings if before is None or other.id != before.id]
        check_options(row.options, others)
        if before is None:
            after = created_variant(row, parent, author)
        else:
            after = changed_variant(before, row, parent, author.now)
        self.variants[row.sku] = after
        self.siblings[parent.id] = [*others, after]
        self._note_barcode(after)
        return Outcome(row.sku, after, before)

    def _check_barcode(self, row: Row, before: Product | Variant | None) -> None:
        owner = self.barcodes.get(row.barcode) if row.barcode else None
        if owner is not None and (before is None or owner != before.id):
            raise _wrong("barcode", _TAKEN)

    def _note_barcode(self, item: Product | Variant) -> None:
        if item.barcode:
            self.barcodes[item.barcode] = item.id

    def _parts_of(self, row: ProductRow) -> tuple[Component, ...]:
        parts: dict[UUID, Component] = {}
        for index, component in enumerate(row.components):
            found = self._part(component)
            if found is None or found[0] in parts:
                message = "is in the bundle already" if found else "is no item that may be a part"
                raise _wrong(f"components[{index}].sku", message)
            item_id, decimals = found
            steps = to_steps(component.quantity, decimals, f"components[{index}].quantity")
            parts[item_id] = Component(item_id, steps, decimals)
        return tuple(parts.values())

    def _part(self, component: ComponentRow) -> tuple[UUID, int] | None:
        """An item, and how many decimals its quantities have."""
        variant = self.variants.get(component.sku)
        if variant is not None:
            return variant.id, self.decimals[variant.product_id]
        product = self.products.get(component.sku)
        if product is None or product.kind == "bundle" or self.siblings.get(product.id):
            return None
        return product.id, product.quantity_decimals


class TaxClasses:
    """A business' live tax classes, as rows name them: by name, whatever its case, or by id."""

    def __init__(self, names: Mapping[UUID, str]) -> None:
        by_id = {str(class_id): class_id for class_id in names}
        self._ids = by_id | {name.lower(): class_id for class_id, name in names.items()}
        self._live = frozenset(names)

    def read(self, raw: Mapping[str, Any]) -> Row:
        """A row of the import, whose `taxClass` becomes `taxClassId`. Raises ValidationError, and
        ValidationFailed on what is no class of the business."""
        kind = VariantRow if "parentSku" in raw else ProductRow
        if "taxClass" in raw:
            raw = self._resolved(dict(raw))
        row = kind.model_validate(raw)
        if row.tax_class_id is not None and row.tax_class_id not in self._live:
            raise _wrong("taxClassId", "is no tax class of yours")
        for name, code in (("sku", row.sku), ("barcode", row.barcode)):
            if code is not None and _ROUNDED.fullmatch(code):
                raise _wrong(name, "was rounded by a spreadsheet: format its column as text")
        return row

    def _resolved(self, raw: dict[str, Any]) -> dict[str, Any]:
        named = raw.pop("taxClass")
        if "taxClassId" in raw:
            raise _wrong("taxClass", "is said twice: by taxClassId too")
        if named is None:
            return raw | {"taxClassId": None}
        found = self._ids.get(named.strip().lower()) if isinstance(named, str) else None
        if found is None:
            raise _wrong("taxClass", f"is no tax class of yours: {str(named)[:100]!r}")
        return raw | {"taxClassId": found}


def read_rows(rows: Iterable[Mapping[str, Any]], tax_classes: TaxClasses) -> list[Row | Outcome]:
    """Each row, or its refusal where it is no row at all."""
    read: list[Row | Outcome] = []
    for raw in rows:
        try:
            read.append(tax_classes.read(raw))
            continue
        except ValidationError as error:
            errors = tuple(field_errors(error.errors(include_input=False), MAX_ROW_ERRORS))
        except ValidationFailed as error:
            errors = error.errors
        sku = raw.get("sku")
        read.append(Outcome(sku if isinstance(sku, str) else None, errors=errors))
    return read


def skus_in(rows: Iterable[Row | Outcome]) -> set[str]:
    """Every SKU that the rows mention."""
    found: set[str] = set()
    for row in rows:
        if isinstance(row, ProductRow):
            found |= {row.sku, *(component.sku for component in row.components)}
        elif isinstance(row, VariantRow):
            found |= {row.sku, row.parent_sku}
    return found


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed([FieldError(name, message)])
