"""A CSV file of products, read row by row: each row comes out as one to send or as a reject with
its line and the reason. Nothing is ever guessed about a row that does not fit.

One SKU on several lines: the first line that can be taken wins. Later ones that say the same
are passed over; those that say something else are rejects, "same SKU as line N".
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

from actors.stock.model import MAX_QUANTITY
from deployments.catalog.files.csv_format import COLUMNS, import_row

REQUIRED = ("sku", "name", "price")
FIELDS = (*REQUIRED, "description", "category", "barcode", "images", "stock")

MAX_LINES = 2_000_000
MAX_ROW_BYTES = 64 * 1024
MAX_EXPORTED_BYTES = 1 << 20

_ENCODINGS = ("utf-8", "cp1252", "latin-1")
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = ",;\t|"
_CHUNK_BYTES = 1 << 20


class FileUnreadable(Exception):
    """The file as a whole cannot be imported; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A row to send: `fields` as the API takes them, `stock` units to open with, None for none.
    `line` is where the row starts in the file, counted from 1; `source` its cells."""

    line: int
    fields: Mapping[str, Any]
    stock: int | None = None
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken, and why."""

    line: int
    reason: str
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """A row that says nothing new: the same as an earlier line."""

    line: int


Row = ProductRow | Reject | Repeat


@dataclass(frozen=True, slots=True)
class ProductFile:
    """A file whose columns are mapped to product fields. `mapping` is field to column index; if
    it `is_exported`, it is one of ours, and the columns are those of an export. `sha256` is of its
    bytes, hexadecimal; `lines` is how many it has, header included."""

    path: Path
    sha256: str
    lines: int
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    mapping: Mapping[str, int]
    currency: str | None = None
    is_exported: bool = False

    def rows(self) -> Iterator[Row]:
        """Every row after the header, in order; blank lines are skipped."""
        first: dict[str, tuple[int, int]] = {}
        with _open(self.path, self.encoding) as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            next(reader)
            while True:
                line = reader.line_num + 1
                try:
                    cells = tuple(next(reader))
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Reject(line, f"not readable as CSV: {error}")
                    continue
                if any(cell.strip() for cell in cells):
                    yield self._row(line, cells, first)

    def _row(self, line: int, cells: tuple[str, ...], first: dict[str, tuple[int, int]]) -> Row:
        try:
            row = self._parsed(line, cells)
        except ValueError as error:
            return Reject(line, str(error), cells)
        fields = repr(row.fields) if self.is_exported else tuple(row.fields.items())
        said = hash((fields, row.stock))
        earlier, earlier_said = first.setdefault(row.fields["sku"], (line, said))
        if earlier == line:
            return row
        if earlier_said == said:
            return Repeat(line)
        return Reject(line, f"same SKU as line {earlier}, with other values", cells)

    def _parsed(self, line: int, cells: tuple[str, ...]) -> ProductRow:
        if len(cells) != len(self.header):
            raise ValueError(f"has {len(cells)} cells; the header has {len(self.header)}")
        most = (MAX_EXPORTED_BYTES if self.is_exported else MAX_ROW_BYTES) // 4
        if sum(len(cell) for cell in cells) > most:
            raise ValueError(f"is larger than {most} characters")
        if self.is_exported:
            named = {column: cells[index] for column, index in self.mapping.items()}
            return ProductRow(line, import_row(named), None, cells)
        values = {field: cells[index].strip() for field, index in self.mapping.items()}
        for field in REQUIRED:
            if not values[field]:
                raise ValueError(f"{field} is empty")
        stock = _units(values.pop("stock", ""))
        fields: dict[str, Any] = {name: value for name, value in values.items() if value}
        fields["price"] = _decimal(values["price"])
        if "images" in fields:
            fields["images"] = tuple(fields["images"].replace("|", " ").split())
        if self.currency:
            fields["currency"] = self.currency
        return ProductRow(line, fields, stock, cells)


def open_products(
    path: Path,
    mapping: Mapping[str, str] | None,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    currency: str | None = None,
) -> ProductFile:
    """Looks the file over once: its encoding and delimiter where not given, its columns, hash
    and length. `mapping` is product field to column name; None for a file that was exported.

    Raises FileUnreadable for a file or a mapping that cannot work.
    """
    try:
        encoding = encoding or _encoding(path)
        sha256, lines = _measure(path)
        with _open(path, encoding) as file:
            top = file.readline(_CHUNK_BYTES)
            delimiter = delimiter or max(_DELIMITERS, key=top.count)
            file.seek(0)
            header = tuple(c.strip() for c in next(csv.reader(file, delimiter=delimiter), []))
    except (OSError, UnicodeError, LookupError, csv.Error, TypeError) as error:
        raise FileUnreadable(f"{path}: {error}") from error
    if lines > MAX_LINES:
        raise FileUnreadable(f"{path} has {lines} lines; at most {MAX_LINES} are taken. Split it.")
    is_exported = mapping is None
    if is_exported and set(header) != set(COLUMNS):
        raise FileUnreadable(f"{path} is not what `holdfast export` writes: say --map")
    columns = _columns(header, mapping or {column: column for column in COLUMNS})
    return ProductFile(
        path, sha256, lines, encoding, delimiter, header, columns, currency, is_exported
    )


def parse_mapping(text: str) -> dict[str, str]:
    """`name=Description,sku=StockCode` as field to column. Raises FileUnreadable if malformed,
    of an unknown field, or without one of REQUIRED."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    mapping = {field.strip(): column.strip() for field, _, column in pairs}
    if any(not equals or not column.strip() for _, equals, column in pairs):
        raise FileUnreadable("--map takes field=Column pairs, separated by commas")
    if unknown := sorted(set(mapping) - set(FIELDS)):
        raise FileUnreadable(f"unknown field {unknown[0]!r} in --map; one of {', '.join(FIELDS)}")
    if missing := [field for field in REQUIRED if field not in mapping]:
        raise FileUnreadable(f"--map must say which column holds {', '.join(missing)}")
    return mapping


def _columns(header: tuple[str, ...], mapping: Mapping[str, str]) -> dict[str, int]:
    for column in mapping.values():
        if header.count(column) != 1:
            known = ", ".join(filter(None, header)) or "none"
            found = "is there twice" if column in header else "is not there"
            raise FileUnreadable(f"column {column!r} {found}; the header has: {known}")
    return {field: header.index(column) for field, column in mapping.items()}


def _open(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, newline="")


def _encoding(path: Path) -> str:
    """A byte order mark's encoding, else the first of _ENCODINGS that reads the whole file."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _BOMS.items():
        if start.startswith(mark):
            return encoding
    for encoding in _ENCODINGS[:-1]:
        try:
            with _open(path, encoding) as file:
                while file.read(_CHUNK_BYTES):
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    return _ENCODINGS[-1]


def _measure(path: Path) -> tuple[str, int]:
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return digest.hexdigest(), lines + (last != b"\n")


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise ValueError(f"price is not a number: {text[:40]!r}")
    if value < 0:
        raise ValueError(f"price is negative: {text[:40]}")
    return value


def _units(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_QUANTITY):
        raise ValueError(f"stock is not a whole number from 0 to {MAX_QUANTITY}: {text[:40]!r}")
    return int(text)
