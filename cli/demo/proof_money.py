"""The part of the proof that is about money: receipts, drawers, Z reports, cards. Pure.

Every sum is in minor units, and every comparison is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cli.demo.books import Books, GiftCard, TillBook
from cli.demo.documents import Report, Return, Sale, SaleRow
from cli.demo.proof import Proof, TillTotals


class TillRead(NamedTuple):
    """A register as the API gives it now: its sales, its returns, its closed shift's report."""

    next_receipt_number: int
    sales: Sequence[SaleRow]
    returns: Sequence[Return]
    report: Report


class PaymentRead(NamedTuple):
    """A card payment as the API gives it now; `kept_minor` is what each card paid in the end."""

    status: str
    sale_id: str | None
    kept_minor: Sequence[int] = ()


def prove_till(proof: Proof, books: Books, till: TillBook, read: TillRead) -> None:
    """Checks one register whose shift is closed."""
    z = read.report
    proof.tills.append(
        TillTotals(
            till.name,
            len(till.receipts),
            till.sales,
            till.returns,
            till.sales_minor - till.returns_minor,
            sum(till.tax.values()),
            {name: amount - till.refunded[name] for name, amount in sorted(till.taken.items())},
            till.float_minor,
            till.change_minor,
            till.cash_minor,
            z.counted_minor or 0,
        )
    )
    proof.found(_receipt_faults(till, read), till.name)
    proof.found(_document_faults(books, till, read), till.name)
    proof.found(_report_faults(till, z), till.name)
    if books.reports.get(till.register_id) != z:
        proof.found(["the Z report is not what it was at closing"], till.name)


def _receipt_faults(till: TillBook, read: TillRead) -> Iterator[str]:
    """Numbers run from 1 without a gap or a repeat, and each is one document that somebody was
    told of."""
    written: dict[int, str] = {}
    for number, document_id in (
        *((row.receipt_number, row.id) for row in read.sales),
        *((back.receipt_number, back.id) for back in read.returns),
    ):
        if number in written:
            yield f"receipt {number} is both {written[number]} and {document_id}"
        written[number] = document_id
    most = max(written, default=0)
    for number in range(1, most + 1):
        if number not in written:
            yield f"there is no receipt {number} of {most}"
    if read.next_receipt_number != most + 1:
        yield f"the next receipt would be {read.next_receipt_number}, the last is {most}"
    for number in sorted(written.keys() | till.receipts.keys()):
        told, is_there = till.receipts.get(number), written.get(number)
        if told != is_there:
            yield f"receipt {number} is {is_there or 'missing'}, told was {told or 'nobody'}"


def _document_faults(books: Books, till: TillBook, read: TillRead) -> Iterator[str]:
    """Each document says now what it said when it was acknowledged."""
    refunded: dict[str, int] = {}
    for back in read.returns:
        refunded[back.sale_id] = refunded.get(back.sale_id, 0) + back.total_minor
        if books.returns.get(back.id) != back:
            yield f"return {back.id} is not as it was told"
    for row in read.sales:
        sale = books.sales.get(row.id)
        if sale is None:
            continue
        if (row.total_minor, sale.register_id) != (sale.total_minor, till.register_id):
            yield f"sale {row.id} is {row.total_minor}, told was {sale.total_minor}"
        if row.refunded_minor != refunded.get(row.id, 0):
            yield f"sale {row.id} had {row.refunded_minor} refunded, not {refunded.get(row.id, 0)}"
        yield from _back_faults(
            books, sale, [back for back in read.returns if back.sale_id == row.id]
        )


def _back_faults(books: Books, sale: Sale, backs: Iterable[Return]) -> Iterator[str]:
    """No more comes back of a line than was sold, and of its money exactly the share."""
    money: dict[int, tuple[int, int]] = {}
    for back in backs:
        if sum(refund.amount_minor for refund in back.refunds) != back.total_minor:
            yield f"return {back.id} refunds {back.refunds} for {back.total_minor}"
        for line in back.lines:
            total, tax = money.get(line.number, (0, 0))
            money[line.number] = (total + line.total_minor, tax + line.tax_minor)
    for number, (total, tax) in money.items():
        sold, units = sale.lines[number - 1], books.units_back[sale.id, number]
        if units > sold.quantity:
            yield f"{units} of line {number} of sale {sale.id} came back, {sold.quantity} were sold"
        due = (sold.share(sold.total_minor, units), sold.share(sold.tax_minor, units))
        if (total, tax) != due:
            yield f"line {number} of sale {sale.id} gave back {(total, tax)}, due was {due}"


def _report_faults(till: TillBook, z: Report) -> Iterator[str]:
    """The Z report's sums are those of the acknowledged receipts, and the cash is there."""
    said_and_booked: Mapping[str, tuple[object, object]] = {
        "kind": (z.kind, "Z"),
        "shift": (z.shift_id, till.shift_id),
        "sales": (z.sales, till.sales),
        "sales total": (z.sales_minor, till.sales_minor),
        "returns": (z.returns, till.returns),
        "returns total": (z.returns_minor, till.returns_minor),
        "discounts": (z.discounts_minor, till.discounts_minor),
        "gift cards sold": (z.gift_cards_sold_minor, till.gift_cards_sold_minor),
        "taken": (_some(z.taken), _some(till.taken)),
        "refunded": (_some(z.refunded), _some(till.refunded)),
        "taxes": (z.taxes, till.taxes),
        "float": (z.float_minor, till.float_minor),
        "paid in": (z.paid_in_minor, till.paid_in_minor),
        "paid out": (z.paid_out_minor, till.paid_out_minor),
        "drawer openings": (z.no_sales, till.no_sales),
        "expected cash": (z.expected_minor, till.cash_minor),
        "counted cash": (z.counted_minor, till.cash_minor),
        "difference": (z.difference_minor, 0),
    }
    for name, (said, booked) in said_and_booked.items():
        if said != booked:
            yield f"the Z report has {name} {said}, the books {booked}"
    turnover = sum(net + tax for net, tax in z.taxes.values())
    if turnover != z.sales_minor - z.returns_minor:
        yield f"net and tax add up to {turnover}, not to the turnover"
    money = sum(z.taken.values()) - sum(z.refunded.values())
    if money != turnover + z.gift_cards_sold_minor:
        yield f"tenders add up to {money}, not to what was sold"


def _some(sums: Mapping[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in sums.items() if amount}


def prove_gift_card(proof: Proof, card: GiftCard, balance_minor: int, last_four: str) -> None:
    """Issued - redeemed + refunded = balance."""
    proof.gift_cards += 1
    proof.gift_cards_minor += balance_minor
    if balance_minor != card.balance_minor or balance_minor < 0:
        fault = (
            f"has {balance_minor}, but {card.issued_minor} issued - {card.redeemed_minor} redeemed "
            f"+ {card.refunded_minor} refunded = {card.balance_minor}"
        )
        proof.found([fault], f"gift card {last_four}")


def prove_card_payment(proof: Proof, payment_id: str, sale: Sale | None, read: PaymentRead) -> None:
    """It ended as exactly one of the sale that was told, each card having paid its part to the
    penny, or no sale and nothing kept of any card."""
    sale_id, due = (sale.id, sale.cards_minor) if sale else (None, [])
    proof.card_payments += 1
    proof.card_sales += sale is not None
    proof.split_sales += len(due) > 1
    proof.cards_minor += sum(read.kept_minor)
    ended = read.status == "completed" if sale_id else read.status in ("declined", "refunded")
    if not ended or read.sale_id != sale_id:
        fault = f"is {read.status} with {read.sale_id or 'no sale'}, told was {sale_id or 'none'}"
        proof.found([fault], f"card payment {payment_id}")
    if list(read.kept_minor) != due:
        fault = f"kept {list(read.kept_minor)} of its cards, due was {due}"
        proof.found([fault], f"card payment {payment_id}")
