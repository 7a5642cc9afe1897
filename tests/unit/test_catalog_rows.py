"""CSV files as people really have them: every row is taken, passed over or rejected by line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cli.data.product_rows import (
    FileUnreadable,
    ProductFile,
    ProductRow,
    Reject,
    Repeat,
    open_products,
    parse_mapping,
)

MAPPING = parse_mapping("sku=Code,name=Name,price=Price")


def opened(tmp_path: Path, content: bytes | str, **options: str) -> ProductFile:
    path = tmp_path / "products.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    mapping = parse_mapping(options.pop("mapping", "sku=Code,name=Name,price=Price"))
    return open_products(path, mapping, **options)  # type: ignore[arg-type]


def test_rows_keep_their_lines_and_exact_prices(tmp_path: Path) -> None:
    file = opened(tmp_path, 'Code,Name,Price\n\nA,"two\nlines",2.50\nB, b ,0\n', currency="GBP")
    first, second = file.rows()
    assert first == ProductRow(
        3,
        {"sku": "A", "name": "two\nlines", "price": Decimal("2.50"), "currency": "GBP"},
        None,
        ("A", "two\nlines", "2.50"),
    )
    assert isinstance(second, ProductRow)
    assert (second.line, second.fields["name"], file.lines) == (5, "b", 5)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,,1", "name is empty"),
        (" ,n,1", "sku is empty"),
        ("A,n,", "price is empty"),
        ("A,n,x", "price is not a number: 'x'"),
        ("A,n,NaN", "price is not a number: 'NaN'"),
        ("A,n,1e99", "price is not a number: '1e99'"),
        ("A,n,-0.01", "price is negative: -0.01"),
        ("A,n", "has 2 cells; the header has 3"),
        ("A,n,1,2", "has 4 cells; the header has 3"),
        ('A,"n"x,1', "not readable as CSV"),
        ('A,"never closed,1', "not readable as CSV"),
        (f"A,{'n' * 20_000},1", "is larger than"),
        (f"A,{'n' * 200_000},1", "not readable as CSV"),
        ('A,n,"1,234"', "price may be one or a thousand"),
        ('A,n,"1,2,3"', "price is not a number"),
    ],
)
def test_a_row_that_cannot_be_taken_is_rejected_with_its_line(
    tmp_path: Path, line: str, reason: str
) -> None:
    good, bad, *_ = opened(tmp_path, f"Code,Name,Price\nG,good,1\n{line}\n").rows()
    assert isinstance(good, ProductRow)
    assert isinstance(bad, Reject)
    assert bad.line == 3
    assert bad.reason.startswith(reason)


def test_rows_after_a_bad_one_are_taken(tmp_path: Path) -> None:
    rows = list(opened(tmp_path, f"Code,Name,Price\nA,{'n' * 200_000},1\nB,n,1\n").rows())
    assert isinstance(rows[-1], ProductRow)
    assert rows[-1].fields["sku"] == "B"


def test_the_first_line_of_a_sku_counts(tmp_path: Path) -> None:
    lines = "A,n,1", "A,n,1.0", "A,other,1", "B,n,1", "A,n,2"
    rows = list(opened(tmp_path, "Code,Name,Price\n" + "\n".join(lines)).rows())
    assert [type(r) for r in rows] == [ProductRow, Repeat, Reject, ProductRow, Reject]
    reasons = [r.reason for r in rows if isinstance(r, Reject)]
    assert reasons == ["same SKU as line 2, with other values"] * 2


def test_a_bad_first_line_of_a_sku_and_its_duplicate_are_both_reported(tmp_path: Path) -> None:
    bad, again, _ = opened(tmp_path, "Code,Name,Price\nA,,1\nA,n,1\nB,n,1\n").rows()
    assert isinstance(bad, Reject)
    assert isinstance(again, Reject)
    assert (bad.reason, again.reason) == ("name is empty", "same SKU as line 2, which was rejected")


@pytest.mark.parametrize("spoilt", ['X,"never closed,1', 'X,"half" closed,1', 'X,"a",1,"b'])
def test_every_line_is_in_exactly_one_row(tmp_path: Path, spoilt: str) -> None:
    good = [f'G{n},"n ""{n}""",1' for n in range(59)]
    text = "\n".join(["Code,Name,Price", *good[:20], spoilt, *good[20:]])
    rows = list(opened(tmp_path, text).rows())
    assert [row.line for row in rows] == list(range(2, 62))
    assert [row.line for row in rows if isinstance(row, Reject)] == [22]


def test_a_cell_of_several_lines_is_one_row(tmp_path: Path) -> None:
    two = 'Code,Name,Price\nA,"x\ny",1\nB,"x\ny"\nC,n,1\n'
    first, *bad, last = opened(tmp_path, two).rows()
    assert [row.line for row in (first, *bad, last)] == [2, 4, 5, 6]
    assert all(isinstance(row, Reject) for row in bad)


@pytest.mark.parametrize(
    ("said", "price"),
    [("4,25", "4.25"), ("1.234,50", "1234.50"), ("1,234.50", "1234.50"), ("4.25", "4.25")],
)
def test_a_fraction_after_a_comma(tmp_path: Path, said: str, price: str) -> None:
    (row,) = opened(tmp_path, f"sep=;\r\nCode;Name;Price\r\nA;b, c;{said}\r\n").rows()
    assert isinstance(row, ProductRow)
    assert (row.line, row.fields["price"], row.fields["name"]) == (3, Decimal(price), "b, c")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("Code,Name,Price\nA,Caf\u00e9,1".encode(), "Caf\u00e9"),
        ("Code,Name,Price\nA,Caf\u00e9,1".encode("utf-8-sig"), "Caf\u00e9"),
        ("Code,Name,Price\nA,Caf\u00e9 \u20ac,1".encode("cp1252"), "Caf\u00e9 \u20ac"),
        (b"Code,Name,Price\nA,Caf\xe9 \x81,1", "Caf\u00e9 \x81"),
        ("Code;Name;Price\nA;Caf\u00e9, noir;1".encode(), "Caf\u00e9, noir"),
        ("Code\tName\tPrice\nA\tCaf\u00e9\t1".encode("utf-16"), "Caf\u00e9"),
    ],
)
def test_encoding_and_delimiter_are_found_out(tmp_path: Path, content: bytes, name: str) -> None:
    (row,) = opened(tmp_path, content).rows()
    assert isinstance(row, ProductRow)
    assert row.fields["name"] == name


def test_optional_columns(tmp_path: Path) -> None:
    mapping = "sku=C,name=N,price=P,stock=S,images=I,category=G,barcode=B,description=D"
    text = "C,N,P,S,I,G,B,D\nA,n,1,12,https://x/1|https://x/2,,400,\nB,n,1,1.5,,,,\n"
    row, bad = opened(tmp_path, text, mapping=mapping).rows()
    assert isinstance(row, ProductRow)
    assert row.stock == 12
    assert row.fields["images"] == ("https://x/1", "https://x/2")
    assert set(row.fields) == {"sku", "name", "price", "images", "barcode"}
    assert isinstance(bad, Reject)
    assert bad.reason.startswith("stock is not a whole number")


@pytest.mark.parametrize(
    ("content", "mapping", "told"),
    [
        ("Code,Name\nA,b", "sku=Code,name=Name,price=Price", "'Price' is not there"),
        ("Code,Code,Name,Price\n", "sku=Code,name=Name,price=Price", "'Code' is there twice"),
        ("", "sku=Code,name=Name,price=Price", "the header has: none"),
        ("Code,Name,Price", "sku=Code,name=Name", "price"),
        ("Code,Name,Price", "sku=Code,name=Name,price=Price,size=X", "unknown field 'size'"),
        ("Code,Name,Price", "sku", "pairs"),
    ],
)
def test_a_file_that_cannot_work_is_refused_whole(
    tmp_path: Path, content: str, mapping: str, told: str
) -> None:
    with pytest.raises(FileUnreadable, match=told):
        opened(tmp_path, content, mapping=mapping)
    with pytest.raises(FileUnreadable):
        open_products(tmp_path / "absent.csv", MAPPING)
    with pytest.raises(FileUnreadable, match="delimiter"):
        opened(tmp_path, content, delimiter=";;")
    with pytest.raises(FileUnreadable, match="nonsense"):
        opened(tmp_path, content, encoding="nonsense")
