"""The file of a shop's invoices, read as what the demo needs: goods, sales and returns. Pure.

The format is that of the Online Retail data set (see `cli/demo/sample/README.md`). Rows that are
neither a sale nor a return of goods become rejects with their line and the reason.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from zlib import crc32

from actors.stock.model import MAX_QUANTITY
from cli.data.product_rows import FileUnreadable, ProductFile, ProductRow, Reject, Repeat, Row
from cli.demo.documents import Units, minor

MAPPING = {"sku": "StockCode", "name": "Description", "price": "UnitPrice"}
BEST_SELLERS = 10
# What a till sells at once.
# No whole number of anything, so that amounts have to be rounded.
PORTION_KG = Decimal("0.355")
MAX_SALE_LINES = 500
MAX_LINE_QUANTITY = 100_000
MAX_REFERENCE_LENGTH = 40
_COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "UnitPrice")
# Of the data set's own description: goods have five digits, and letters for a variant.
_GOODS = re.compile(r"\d{5}[A-Za-z]{0,3}")
_REFERENCE = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_REFERENCE_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Line:
    """A row that sells goods, or takes them back: `quantity` is in units and never negative."""

    number: int
    invoice: str
    is_return: bool
    sku: str
    description: str
    price: Decimal
    quantity: int
    source: tuple[str, ...] = ()


@dataclass(slots=True)
class Invoice:
    """All goods of one invoice, units by SKU."""

    number: str
    is_return: bool
    units: Counter[str] = field(default_factory=Counter)

    @property
    def fits(self) -> bool:
        """Whether it is one sale."""
        few = len(self.units) <= MAX_SALE_LINES
        return few and max(self.units.values()) <= MAX_LINE_QUANTITY


@dataclass(frozen=True, slots=True)
class Retail:
    """What is in a file: its good lines and its rejects, in its order."""

    lines: tuple[Line, ...]
    rejects: tuple[Reject, ...]

    @classmethod
    def read(cls, source: ProductFile, most_invoices: int | None = None) -> Retail:
        """The whole file, or its first so many invoices. Raises FileUnreadable."""
        lines: list[Line] = []
        rejects: list[Reject] = []
        for number, cells in _rows(source, most_invoices):
            try:
                lines.append(_parsed(number, cells, source.header))
            except ValueError as error:
                rejects.append(Reject(number, str(error), cells))
        return cls(tuple(lines), tuple(rejects))

    def invoices(self, skus: Container[str] | None = None) -> list[Invoice]:
        """Invoices in the file's order, of the goods that are for sale (all, if not given)."""
        found: dict[str, Invoice] = {}
        for line in self.lines:
            if skus is None or line.sku in skus:
                invoice = found.setdefault(line.invoice, Invoice(line.invoice, line.is_return))
                invoice.units[line.sku] += line.quantity
        return [invoice for invoice in found.values() if invoice.fits]

    def products(self, opening: Mapping[str, int]) -> Iterator[Row]:
        """What the importer takes: each SKU once, as its first line has it. `opening` is the
        stock to start with, in units by SKU."""
        rows: list[Row] = list(self.rejects)
        seen: set[str] = set()
        for line in self.lines:
            if line.sku in seen:
                rows.append(Repeat(line.number))
                continue
            seen.add(line.sku)
            fields: dict[str, Any] = {
                "sku": line.sku,
                "name": line.description,
                "price": line.price,
            }
            if is_weighed(line.sku):
                fields |= {"unit": "kg", "quantityDecimals": 3}
            stock = in_units(line.sku, opening.get(line.sku, 0))
            rows.append(ProductRow(line.number, fields, stock or None, line.source))
        rows.sort(key=lambda row: row.line)
        yield from rows

    def prices_minor(self, skus: Iterable[str]) -> dict[str, int]:
        """What goods cost, by SKU: as the first line of each has it."""
        first: dict[str, Decimal] = {}
        for line in self.lines:
            first.setdefault(line.sku, line.price)
        return {sku: minor(first[sku]) for sku in skus}

    def renamed(self) -> dict[str, list[str]]:
        """SKUs that the file describes in several ways: the one that counts, then the others."""
        names: dict[str, dict[str, None]] = {}
        for line in self.lines:
            names.setdefault(line.sku, {})[line.description] = None
        return {sku: list(several) for sku, several in names.items() if len(several) > 1}


def is_weighed(sku: str) -> bool:
    """One of eight goods is sold by the kilogram."""
    return crc32(sku.encode()) % 8 == 0


def in_units(sku: str, count: int) -> Units:
    """What the file counts, as the shop sells it: pieces, or portions of what is weighed."""
    return count * PORTION_KG if is_weighed(sku) else count


def units_sold(invoices: Iterable[Invoice]) -> Counter[str]:
    """Units by SKU that the sales take out; returns are not counted against them."""
    sold: Counter[str] = Counter()
    for invoice in invoices:
        if not invoice.is_return:
            sold.update(invoice.units)
    return sold


def plan_stock(sold: Mapping[str, int], rounds: int, flash_units: int | None) -> dict[str, int]:
    """Opening stock by SKU: what `rounds` replays of the sales need whatever their order, and
    for the flash sale as much again as one of them sold, at most `flash_units`."""
    most = MAX_QUANTITY if flash_units is None else flash_units
    return {
        sku: min(rounds * units + min(units, most), MAX_QUANTITY) for sku, units in sold.items()
    }


def best_sellers(sold: Mapping[str, int]) -> list[str]:
    """The SKUs that sold most units, most first."""
    ranked = sorted(sold, key=lambda sku: (-sold[sku], sku))
    return ranked[:BEST_SELLERS]


def _rows(source: ProductFile, most: int | None) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each row that is not blank with its line, counted from 1, until the invoices are enough."""
    if missing := [name for name in _COLUMNS if name not in source.header]:
        raise FileUnreadable(
            f"{source.path} has no column {missing[0]}; see cli/demo/sample/README.md"
        )
    invoice = source.header.index("InvoiceNo")
    invoices: set[str] = set()
    with source.path.open(encoding=source.encoding, newline="") as file:
        reader = csv.reader(file, delimiter=source.delimiter)
        line = 1
        try:
            for cells in reader:
                started, line = line, reader.line_num + 1
                if started == 1 or not any(cells):
                    continue
                invoices.update(cells[invoice : invoice + 1])
                if most is not None and len(invoices) > most:
                    return
                yield started, tuple(cells)
        except csv.Error as error:
            raise FileUnreadable(f"{source.path}, line {line}: {error}") from error


def _parsed(number: int, cells: tuple[str, ...], header: tuple[str, ...]) -> Line:
    """Raises ValueError, whose text says what is wrong with the row."""
    if len(cells) != len(header):
        raise ValueError(f"has {len(cells)} cells; the header has {len(header)}")
    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    invoice, sku, description = row["InvoiceNo"], row["StockCode"], row["Description"]
    if not _REFERENCE.fullmatch(invoice):
        raise ValueError(f"not an invoice number: {invoice[:MAX_REFERENCE_LENGTH]!r}")
    if not _GOODS.fullmatch(sku):
        raise ValueError(f"{sku[:40] or 'no stock code'}: not goods")
    price = _price(row["UnitPrice"])
    if not description:
        raise ValueError("no description")
    is_return = invoice.startswith("C")
    quantity = _quantity(row["Quantity"])
    if quantity == 0:
        raise ValueError("quantity is 0")
    if is_return != (quantity < 0):
        raise ValueError(f"quantity {quantity} on a {'cancellation' if is_return else 'sale'}")
    return Line(number, invoice, is_return, sku, description, price, abs(quantity), cells)


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("nan")
    if not price.is_finite():
        raise ValueError(f"price is not a number: {text[:40]!r}")
    if price <= 0:
        raise ValueError(f"price is {text[:40]}: a correction, not a sale")
    return price


def _quantity(text: str) -> int:
    try:
        quantity = int(text[:20])
    except ValueError:
        raise ValueError(f"quantity is not a whole number: {text[:40]!r}") from None
    if abs(quantity) > MAX_QUANTITY:
        raise ValueError(f"quantity is more than {MAX_QUANTITY}")
    return quantity
