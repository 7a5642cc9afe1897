"""Products as lines of CSV: what an export writes, and an import reads back to exactly the same.

A line is a product, or a variant that names its `parentSku`. Cells of several values are JSON,
images URLs with spaces between, a tax class its name. An empty cell is none.

A cell of text that a spreadsheet would take for a formula is written with an apostrophe in front,
and read without it: nothing runs where the file is opened, and nothing is lost on the way back.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec

from core.money import from_minor
from core.quantities import from_steps
from store.catalog.bundles import Component
from store.catalog.products import Product
from store.catalog.variants import Variant

COLUMNS = (
    "sku",
    "parentSku",
    "kind",
    "name",
    "description",
    "category",
    "price",
    "currency",
    "prices",
    "cost",
    "taxClass",
    "barcode",
    "images",
    "imageAlts",
    "options",
    "components",
    "position",
    "backorderLimit",
    "quantityDecimals",
    "unit",
)

# Full-width forms count as the plain ones in spreadsheets of East Asia.
_STARTS = "[=+\\-@\t\r\n＝＋－＠]"  # noqa: RUF001 - these are the ones that are meant
_FORMULA = re.compile(f"'*{_STARTS}")
_MARKED = re.compile(f"'+{_STARTS}")
_AMBIGUOUS = re.compile(r"-?[1-9]\d{0,2},\d{3}")
_WITH_COMMA = re.compile(r"-?(\d+|\d{1,3}(\.\d{3})+),\d+")
_WITH_POINT = re.compile(r"-?\d{1,3}(,\d{3})+\.\d+")
_to_json = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def lines(rows: Iterable[Mapping[str, str]], *, header: bool) -> str:
    """The rows as CSV, on request with the header before them."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([_guarded(row.get(name, "")) for name in COLUMNS] for row in rows)
    return text.getvalue()


def product_row(
    product: Product,
    parts: Iterable[Component],
    skus: Mapping[UUID, str],
    tax_classes: Mapping[UUID, str],
) -> dict[str, str]:
    """A product's cells by column; `skus` are those of the parts, `tax_classes` the names."""
    components = [
        {"sku": skus[part.item_id], "quantity": from_steps(part.quantity, part.decimals)}
        for part in parts
    ]
    return {
        **_shared(product, product.currency, tax_classes),
        "kind": product.kind,
        "name": product.name,
        "description": product.description,
        "category": product.category or "",
        "price": str(from_minor(product.price_minor, product.currency)),
        "currency": product.currency,
        "components": _json(components),
        "backorderLimit": str(from_steps(product.backorder_limit, product.quantity_decimals)),
        "quantityDecimals": str(product.quantity_decimals),
        "unit": product.unit,
    }


def variant_row(
    variant: Variant, product: Product, tax_classes: Mapping[UUID, str]
) -> dict[str, str]:
    """A variant's cells by column."""
    price_minor = variant.price_minor
    return {
        **_shared(variant, product.currency, tax_classes),
        "parentSku": product.sku,
        "kind": "variant",
        "price": "" if price_minor is None else str(from_minor(price_minor, product.currency)),
        "options": _json(variant.options),
        "position": str(variant.position),
    }


def import_row(cells: Mapping[str, str]) -> dict[str, Any]:
    """A row of the import out of cells by column. Raises ValueError with the reason."""
    text = {name: _unguarded(cell) for name, cell in cells.items()}
    row: dict[str, Any] = {
        "sku": text["sku"],
        "prices": _parsed(text, "prices", dict) or {},
        "cost": _decimal(text, "cost"),
        "taxClass": text["taxClass"] or None,
        "barcode": text["barcode"] or None,
        "images": text["images"].split(),
        "imageAlts": _parsed(text, "imageAlts", dict) or {},
    }
    if text["parentSku"]:
        return row | {
            "parentSku": text["parentSku"],
            "price": _decimal(text, "price"),
            "options": _parsed(text, "options", dict) or {},
            "position": _whole(text, "position"),
        }
    row |= {
        "kind": text["kind"] or "simple",
        "name": text["name"],
        "description": text["description"],
        "category": text["category"] or None,
        "price": _decimal(text, "price"),
        "backorderLimit": _decimal(text, "backorderLimit") or 0,
    }
    if text["quantityDecimals"]:
        row["quantityDecimals"] = _whole(text, "quantityDecimals")
    if text["unit"]:
        row["unit"] = text["unit"]
    if text["currency"]:
        row["currency"] = text["currency"]
    if text["components"]:
        row["components"] = _parsed(text, "components", list)
    return row


def _shared(
    item: Product | Variant, currency: str, tax_classes: Mapping[UUID, str]
) -> dict[str, str]:
    cost_minor = item.cost_minor
    prices = {code: from_minor(minor, code) for code, minor in item.prices.items()}
    return {
        "sku": item.sku,
        "prices": _json(prices),
        "cost": "" if cost_minor is None else str(from_minor(cost_minor, currency)),
        "taxClass": tax_classes[item.tax_class_id] if item.tax_class_id else "",
        "barcode": item.barcode or "",
        "images": " ".join(item.images),
        "imageAlts": _json(item.image_alts),
    }


def _json(value: Any) -> str:
    return _to_json(value).decode() if value else ""


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if _MARKED.match(cell) else cell


def _parsed(text: Mapping[str, str], name: str, kind: type) -> Any:
    if not text[name]:
        return None
    try:
        value = json.loads(text[name], parse_float=Decimal)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise ValueError(f"{name} is not the JSON that an export writes: {text[name][:40]!r}")
    return value


def _decimal(text: Mapping[str, str], name: str) -> Decimal | None:
    return read_decimal(text[name], name) if text[name] else None


def read_decimal(text: str, name: str) -> Decimal:
    """A number with a point or a comma before its fraction, and the other one between groups of
    three. Raises ValueError for what is none, and for `1,234`, which may be either."""
    if _AMBIGUOUS.fullmatch(text):
        raise ValueError(f"{name} may be one or a thousand, write it without a comma: {text!r}")
    plain = text
    if _WITH_COMMA.fullmatch(text):
        plain = text.replace(".", "").replace(",", ".")
    elif _WITH_POINT.fullmatch(text):
        plain = text.replace(",", "")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise ValueError(f"{name} is not a number: {text[:40]!r}")
    return value


def _whole(text: Mapping[str, str], name: str) -> int:
    cell = text[name] or "0"
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 10):
        raise ValueError(f"{name} is not a whole number: {cell[:40]!r}")
    return int(cell)
