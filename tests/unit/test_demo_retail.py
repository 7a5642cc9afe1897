"""The demo's reading of a dirty file of invoices, and the stock that it plans for it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from cli.data.product_rows import FileUnreadable, ProductRow, Reject, Repeat, open_products
from cli.demo.retail import MAPPING, Invoice, Retail, best_sellers, plan_stock, units_sold
from cli.demo.run import SAMPLE

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def read(folder: Path, *rows: str, most_invoices: int | None = None) -> Retail:
    path = folder / "invoices.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    return Retail.read(open_products(path, MAPPING), most_invoices)


def row(
    invoice: str = "536365",
    sku: str = "85123A",
    name: str = "A LANTERN",
    quantity: str = "6",
    price: str = "2.55",
) -> str:
    return f"{invoice},{sku},{name},{quantity},12/1/10 8:26,{price},17850,United Kingdom"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(sku="POST"), "POST: not goods"),
        (row(sku="D"), "D: not goods"),
        (row(sku="M"), "M: not goods"),
        (row(sku="C2"), "C2: not goods"),
        (row(sku="BANK CHARGES"), "BANK CHARGES: not goods"),
        (row(sku=""), "no stock code: not goods"),
        (row(price="0"), "price is 0: a correction, not a sale"),
        (row(price="-1.5"), "price is -1.5: a correction, not a sale"),
        (row(price="NaN"), "price is not a number: 'NaN'"),
        (row(price="cheap"), "price is not a number: 'cheap'"),
        (row(name=""), "no description"),
        (row(quantity="0"), "quantity is 0"),
        (row(quantity="1.5"), "quantity is not a whole number: '1.5'"),
        (row(quantity="9999999"), "quantity is more than 1000000"),
        (row(quantity="-2"), "quantity -2 on a sale"),
        (row(invoice="C536365"), "quantity 6 on a cancellation"),
        (row(invoice="no good"), "not an invoice number: 'no good'"),
        ("536365,85123A", "has 2 cells; the header has 8"),
    ],
)
def test_a_row_that_moves_no_goods_is_told_with_line_and_reason(
    tmp_path: Path, bad: str, reason: str
) -> None:
    retail = read(tmp_path, row(), "", bad, row(sku="71053"))
    assert [(reject.line, reject.reason) for reject in retail.rejects] == [(4, reason)]
    assert [line.number for line in retail.lines] == [2, 5]


def test_each_sku_is_a_product_once_as_its_first_good_line_has_it(tmp_path: Path) -> None:
    retail = read(
        tmp_path,
        row(name="", price="0"),
        row(name="RED DOT", price="2.10"),
        row(name="RED SPOT", price="3"),
        row("C1", sku="71053", quantity="-1"),
    )
    assert list(retail.products({"85123A": 24})) == [
        Reject(2, "price is 0: a correction, not a sale", retail.rejects[0].source),
        ProductRow(
            3,
            {"sku": "85123A", "name": "RED DOT", "price": Decimal("2.10")},
            24,
            retail.lines[0].source,
        ),
        Repeat(4),
        ProductRow(
            5,
            {"sku": "71053", "name": "A LANTERN", "price": Decimal("2.55")},
            None,
            retail.lines[2].source,
        ),
    ]
    assert retail.prices_minor({"85123A"}) == {"85123A": 210}
    assert retail.renamed() == {"85123A": ["RED DOT", "RED SPOT"]}


def test_an_invoice_is_all_of_its_lines_in_the_order_of_the_file(tmp_path: Path) -> None:
    retail = read(
        tmp_path,
        row("2"),
        row("2", sku="71053", quantity="1"),
        row("C1", quantity="-3"),
        row("2", quantity="4"),
    )
    assert retail.invoices() == [
        Invoice("2", False, Counter({"85123A": 10, "71053": 1})),
        Invoice("C1", True, Counter({"85123A": 3})),
    ]
    assert retail.invoices({"71053"}) == [Invoice("2", False, Counter({"71053": 1}))]
    assert units_sold(retail.invoices()) == {"85123A": 10, "71053": 1}


def test_only_the_first_invoices_if_asked(tmp_path: Path) -> None:
    rows = (row("1"), row("2"), row("1", sku="71053"), row("3"), row("1", sku="22633"))
    retail = read(tmp_path, *rows, most_invoices=2)
    assert [line.number for line in retail.lines] == [2, 3, 4]


def test_an_invoice_that_is_too_long_for_a_till_is_left_out(tmp_path: Path) -> None:
    rows = [row("1", sku=f"{number:05}") for number in range(501)]
    retail = read(tmp_path, *rows, row("2"))
    assert [invoice.number for invoice in retail.invoices()] == ["2"]


def test_a_file_of_something_else_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("StockCode,Description,UnitPrice\n1,2,3\n")
    with pytest.raises(FileUnreadable, match="no column InvoiceNo"):
        Retail.read(open_products(path, MAPPING))


def test_stock_suffices_for_every_round_and_leaves_something_to_fight_over() -> None:
    sold = {"a": 10, "b": 600, "c": 3}
    assert plan_stock(sold, 1, None) == {"a": 20, "b": 1200, "c": 6}
    assert plan_stock(sold, 5, 20) == {"a": 60, "b": 3020, "c": 18}
    assert best_sellers(sold) == ["b", "a", "c"]
    assert len(best_sellers({str(number): number for number in range(50)})) == 10


def test_the_sample_is_what_its_readme_says() -> None:
    retail = Retail.read(open_products(SAMPLE, MAPPING))
    assert len(retail.lines) + len(retail.rejects) == 999
    assert [(reject.line, reject.reason) for reject in retail.rejects] == [
        (47, "POST: not goods"),
        (143, "D: not goods"),
        (388, "POST: not goods"),
        (624, "price is 0: a correction, not a sale"),
    ]
    invoices = retail.invoices()
    assert sum(invoice.is_return for invoice in invoices) == 3
    assert len(invoices) == 66 - 2  # one of the two without goods is a discount, one a correction
    assert best_sellers(units_sold(invoices))[:3] == ["17021", "21137", "21731"]
    assert "22632" in retail.renamed()
