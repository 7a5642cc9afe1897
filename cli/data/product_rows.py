"""A CSV file of products, read row by row: each row comes out as one to send or as a reject with
its line and the reason. Nothing is ever guessed about a row that does not fit.

One SKU on several lines: the first line wins. Later ones that say the same are passed over; those
that say something else are rejects, "same SKU as line N", and so are all after a reject: nobody
knows which of them is meant.

Every line is in exactly one row. A quote that is never closed spoils its own line alone: reading
goes on with the next.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from actors.stock.model import MAX_QUANTITY
from deployments.catalog.files.csv_format import COLUMNS, import_row, read_decimal

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
# What spreadsheets read, and some write, in front of the header.
_SEPARATOR = re.compile(r"sep=(.)\r?\n?")
_CHUNK_BYTES = 1 << 20


class FileUnreadable(Exception):
    """The file as a whole cannot be imported; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A row to send: `fields` as the API takes them, `stock` units to open with, None for none.
    `line` is where the row starts in the file, counted from 1; `source` its cells."""

    line: int
    fields: Mapping[str, Any]
    stock: int | Decimal | None = None
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
    it `is_exported`, it is one of ours, and the columns are those of an export; if it
    `has_separator`, its first line says what separates cells, before the header. `sha256` is of its
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
    has_separator: bool = False

    def rows(self) -> Iterator[Row]:
        """Every row after the header, in order; blank lines are skipped."""
        first: dict[str, tuple[int, int | None]] = {}
        with _open(self.path, self.encoding) as file:
            records = _Records(file, self.delimiter, len(self.header))
            if self.has_separator:
                records.skip()
            next(records)
            for line, cells, problem in records:
                if problem is not None:
                    yield Reject(line, problem, cells)
                elif any(cell.strip() for cell in cells):
                    yield self._row(line, cells, first)

    def _row(
        self, line: int, cells: tuple[str, ...], first: dict[str, tuple[int, int | None]]
    ) -> Row:
        """`first` is by SKU the line that had it first, and a hash of what that said; None if it
        was rejected."""
        try:
            row = self._parsed(line, cells)
        except ValueError as error:
            first.setdefault(cells[self.mapping["sku"]].strip(), (line, None))
            return Reject(line, str(error), cells)
        fields = repr(row.fields) if self.is_exported else tuple(row.fields.items())
        said = hash((fields, row.stock))
        earlier, earlier_said = first.setdefault(row.fields["sku"], (line, said))
        if earlier == line:
            return row
        if earlier_said == said:
            return Repeat(line)
        why = "with other values" if earlier_said is not None else "which was rejected"
        return Reject(line, f"same SKU as line {earlier}, {why}", cells)

    def _parsed(self, line: int, cells: tuple[str, ...]) -> ProductRow:
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
        fields["price"] = _price(values["price"])
        if "images" in fields:
            fields["images"] = tuple(fields["images"].replace("|", " ").split())
        if self.currency:
            fields["currency"] = self.currency
        return ProductRow(line, fields, stock, cells)


class _Records:
    """Records of a CSV: where each begins, its cells, and what is wrong with it. What does not end,
    or spans lines and has not the header's number of cells, is its first line's mistake alone: the
    lines after it are read anew."""

    def __init__(self, file: TextIO, delimiter: str, width: int) -> None:
        self._file, self._delimiter, self._width = file, delimiter, width
        self._ahead = deque[str]()
        self._line = 1

    def skip(self) -> None:
        """Passes over a line."""
        next(self._file)
        self._line += 1

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...], str | None]]:
        return self

    def __next__(self) -> tuple[int, tuple[str, ...], str | None]:
        taken: list[str] = []
        cells: tuple[str, ...] = ()
        problem = None
        reader = csv.reader(self._more(taken), delimiter=self._delimiter, strict=True)
        try:
            cells = tuple(next(reader))
        except csv.Error as error:
            problem = f"not readable as CSV: {error}"
        else:
            if len(cells) != self._width and any(cell.strip() for cell in cells):
                problem = f"has {len(cells)} cells; the header has {self._width}"
        line = self._line
        if problem is not None and len(taken) > 1:
            self._ahead.extendleft(reversed(taken[1:]))
            cells = ()
            del taken[1:]
        self._line += len(taken)
        return line, cells, problem

    def _more(self, taken: list[str]) -> Iterator[str]:
        while self._ahead or (text := self._file.readline()):
            taken.append(self._ahead.popleft() if self._ahead else text)
            yield taken[-1]


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
            said = _SEPARATOR.fullmatch(top)
            if said is None:
                file.seek(0)
                delimiter = delimiter or max(_DELIMITERS, key=top.count)
            else:
                delimiter = delimiter or said[1]
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
        path,
        sha256,
        lines,
        encoding,
        delimiter,
        header,
        columns,
        currency,
        is_exported,
        said is not None,
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


def _price(text: str) -> Decimal:
    value = read_decimal(text, "price")
    if value < 0:
        raise ValueError(f"price is negative: {text[:40]}")
    return value


def _units(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_QUANTITY):
        raise ValueError(f"stock is not a whole number from 0 to {MAX_QUANTITY}: {text[:40]!r}")
    return int(text)
