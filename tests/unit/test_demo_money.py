"""The demo's proof of receipts, drawers and reports holds for true ones, and no falsified ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from cli.demo.books import Books, TillBook
from cli.demo.documents import Paid, Report, Return, ReturnedLine, Sale, SaleRow, SoldLine
from cli.demo.proof import Proof
from cli.demo.proof_money import (
    PaymentRead,
    TillRead,
    prove_card_payment,
    prove_gift_card,
    prove_till,
)

LINE = SoldLine("mug", 3, 400, 0, 200_000, 200, 1200)


class Case(NamedTuple):
    books: Books
    read: TillRead

    def reads(self, **changes: Any) -> Case:
        return self._replace(read=self.read._replace(**changes))

    def reports(self, **changes: Any) -> Case:
        """The report with changes, as it was at closing too."""
        report = self.read.report._replace(**changes)
        self.books.reports["r1"] = report
        return self.reads(report=report)


def true_case() -> Case:
    """A gift card of 10.00 is sold for cash; mugs for 12.00 are paid by it, by card and in cash;
    one comes back, to the card. 20.00 go in, 5.00 out."""
    books = Books()
    books.opened("mug", 10)
    till = books.tills["r1"] = TillBook("Till 1", "r1", "shift", 10_000)
    cash = (Paid("cash", 1000, None),)
    card = SoldLine("card", 1, 1000, 0, 0, 0, 1000)
    books.issued(Sale("g", "r1", 1, (card,), cash, 0, 1000, 1500, 500), "code")
    paid = (Paid("gift_card", 600, None), Paid("card", 500, "sbx_p1"), Paid("cash", 100, None))
    books.sold(Sale("s", "r1", 2, (LINE,), paid, 200, 1200, 1600, 400), "code")
    refund = (Paid("card", 400, None),)
    back = Return("b", "s", "r1", 3, (ReturnedLine(1, 1, 66, 400),), refund, 66, 400)
    books.returned(back)
    till.moved("paid_in", 2000)
    till.moved("paid_out", 500)
    till.moved("no_sale", 0)
    report = Report(
        kind="Z",
        shift_id="shift",
        sales=2,
        sales_minor=1200,
        returns=1,
        returns_minor=400,
        discounts_minor=0,
        gift_cards_sold_minor=1000,
        taken={"cash": 1100, "card": 500, "gift_card": 600},
        refunded={"card": 400, "cash": 0},
        taxes={200_000: (666, 134)},
        float_minor=10_000,
        paid_in_minor=2000,
        paid_out_minor=500,
        no_sales=1,
        expected_minor=12_600,
        counted_minor=12_600,
        difference_minor=0,
    )
    books.reports["r1"] = report
    rows = (SaleRow("s", 2, 1200, 400), SaleRow("g", 1, 1000, 0))
    return Case(books, TillRead(4, rows, (back,), report))


def proved(case: Case) -> Proof:
    proof = Proof()
    prove_till(proof, case.books, case.books.tills["r1"], case.read)
    return proof


def test_true_books_hold() -> None:
    case = true_case()
    proof = proved(case)
    assert proof.faults == []
    (till,) = proof.tills
    assert (till.receipts, till.turnover_minor, till.tax_minor) == (3, 800, 134)
    assert till.tenders == {"card": 100, "cash": 1100, "gift_card": 600}
    assert (till.expected_minor, till.counted_minor, till.change_minor) == (12_600, 12_600, 900)
    assert case.books.faults == []
    assert case.books.card_payments == {"p1": "s"}
    assert case.books.accounts["mug"].expected == 10 - 3 + 1


def _gap(case: Case) -> Case:
    rows = (case.read.sales[0]._replace(receipt_number=4), case.read.sales[1])
    return case.reads(sales=rows, next_receipt_number=5)


def _nobody_was_told(case: Case) -> Case:
    extra = SaleRow("x", 4, 100, 0)
    return case.reads(sales=(*case.read.sales, extra), next_receipt_number=5)


FALSE: list[tuple[str, Callable[[Case], Case]]] = [
    ("there is no receipt 2 of 4", _gap),
    ("receipt 4 is x, told was nobody", _nobody_was_told),
    ("receipt 1 is missing, told was g", lambda case: case.reads(sales=case.read.sales[:1])),
    ("the next receipt would be 5", lambda case: case.reads(next_receipt_number=5)),
    (
        "receipt 2 is both s and x",
        lambda case: case.reads(sales=(*case.read.sales, SaleRow("x", 2, 1, 0))),
    ),
    (
        "sale s is 1300, told was 1200",
        lambda case: case.reads(sales=(SaleRow("s", 2, 1300, 400), case.read.sales[1])),
    ),
    (
        "sale s had 0 refunded, not 400",
        lambda case: case.reads(sales=(SaleRow("s", 2, 1200, 0), case.read.sales[1])),
    ),
    (
        "return b is not as it was told",
        lambda case: case.reads(returns=(case.read.returns[0]._replace(tax_minor=67),)),
    ),
    ("the Z report has kind X", lambda case: case.reports(kind="X")),
    ("the Z report has sales total 1201", lambda case: case.reports(sales_minor=1201)),
    ("net and tax add up to 800", lambda case: case.reports(sales_minor=1201)),
    (
        "the Z report has taken",
        lambda case: case.reports(taken={"cash": 1101, "card": 500, "gift_card": 600}),
    ),
    ("tenders add up to 1401", lambda case: case.reports(refunded={"card": 799})),
    ("the Z report has taxes", lambda case: case.reports(taxes={200_000: (667, 133)})),
    ("the Z report has expected cash", lambda case: case.reports(expected_minor=12_601)),
    ("the Z report has difference", lambda case: case.reports(difference_minor=-1)),
    ("the Z report has returns 0", lambda case: case.reports(returns=0)),
]


@pytest.mark.parametrize(("fault", "falsify"), FALSE, ids=[fault for fault, _ in FALSE])
def test_falsified_books_do_not_hold(fault: str, falsify: Callable[[Case], Case]) -> None:
    proof = proved(falsify(true_case()))
    assert not proof.holds
    assert any(told.startswith(f"Till 1: {fault}") for told in proof.faults), proof.faults


def test_a_report_that_changed_after_closing_is_told() -> None:
    case = true_case()
    case.books.reports["r1"] = case.read.report._replace(shift_id="other")
    assert proved(case).faults == ["Till 1: the Z report is not what it was at closing"]


def test_more_back_than_sold_and_more_money_than_its_share_are_told() -> None:
    case = true_case()
    (back,) = case.read.returns
    more = back._replace(lines=(ReturnedLine(1, 1, 66, 401),), total_minor=401)
    case.books.units_back["s", 1] = 4
    faults = proved(case.reads(returns=(more,))).faults
    assert "Till 1: 4 of line 1 of sale s came back, 3 were sold" in faults
    assert any("gave back (401, 66), due was (1600, 266)" in fault for fault in faults)
    assert any(fault.startswith("Till 1: return b refunds") for fault in faults)


def test_what_is_acknowledged_twice_is_told() -> None:
    case = true_case()
    sale = case.books.sales["s"]
    case.books.sold(sale, "code")
    case.books.card_payment("p1", None)
    case.books.issued(case.books.sales["g"], "code")
    assert case.books.faults == [
        "Till 1 gave receipt 2 to two",
        "sale s was acknowledged to two",
        "card payment p1 ended twice",
        "Till 1 gave receipt 1 to two",
        "the gift card of sale g was sold before",
        "sale g was acknowledged to two",
    ]


def test_gift_cards_add_up() -> None:
    proof = Proof()
    card = true_case().books.gift_cards["code"]
    prove_gift_card(proof, card, 400, "c0de")
    assert (proof.faults, proof.gift_cards, proof.gift_cards_minor) == ([], 1, 400)
    prove_gift_card(proof, card, 1000, "c0de")
    fault = "has 1000, but 1000 issued - 600 redeemed + 0 refunded = 400"
    assert proof.faults == [f"gift card c0de: {fault}"]


@pytest.mark.parametrize(
    ("told", "status", "sale_id", "fine"),
    [
        ("s", "completed", "s", True),
        (None, "declined", None, True),
        (None, "refunded", None, True),
        ("s", "completed", "x", False),
        ("s", "refunded", None, False),
        (None, "completed", "s", False),
        (None, "pending", None, False),
    ],
)
def test_card_payments_end_as_they_were_told(
    told: str | None, status: str, sale_id: str | None, fine: bool
) -> None:
    proof = Proof()
    sale, kept = (None, []) if told is None else (paid_by_cards(told), [500, 300])
    prove_card_payment(proof, "p", sale, PaymentRead(status, sale_id, kept))
    assert (not proof.faults) == fine
    assert (proof.card_payments, proof.card_sales) == (1, int(told is not None))


def paid_by_cards(sale_id: str) -> Sale:
    paid = (Paid("card", 500, "sbx_p"), Paid("cash", 200, None), Paid("card", 300, "sbx_q"))
    return Sale(sale_id, "r1", 1, (), paid, 0, 1000, 1000, 0)


@pytest.mark.parametrize("kept", [[], [500], [300, 500], [500, 299], [500, 300, 1]])
def test_what_cards_paid_is_counted_to_the_penny(kept: list[int]) -> None:
    proof = Proof()
    prove_card_payment(proof, "p", paid_by_cards("s"), PaymentRead("completed", "s", kept))
    assert proof.faults == [f"card payment p: kept {kept} of its cards, due was [500, 300]"]
    proof = Proof()
    prove_card_payment(proof, "p", paid_by_cards("s"), PaymentRead("completed", "s", [500, 300]))
    assert (proof.faults, proof.split_sales, proof.cards_minor) == ([], 1, 800)
    proof = Proof()
    prove_card_payment(proof, "p", None, PaymentRead("refunded", None, kept))
    assert bool(proof.faults) == bool(kept)
