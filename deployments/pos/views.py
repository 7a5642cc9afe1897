"""The till's states as answers: minor units become amounts, ms since the epoch become times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from actors.till import model as m
from core.moments import of_ms
from core.money import from_minor
from deployments.pos import answers as a
from deployments.pos.sales.pricing import Ticket


def tax_rows(taxes: Mapping[int, tuple[int, int]], currency: str) -> list[a.TaxOut]:
    return [
        a.TaxOut(
            rate=rate_ppm / m.PPM, net=from_minor(net, currency), tax=from_minor(tax, currency)
        )
        for rate_ppm, (net, tax) in sorted(taxes.items())
    ]


def lines_out(lines: Iterable[m.SaleLine], currency: str) -> list[a.LineOut]:
    return [
        a.LineOut(
            number=number,
            item_id=line.item_id,
            product_id=line.product_id,
            name=line.name,
            sku=line.sku,
            quantity=line.quantity,
            unit_price=from_minor(line.unit_price_minor, currency),
            discount=from_minor(line.discount_minor, currency),
            tax_rate=line.tax_rate_ppm / m.PPM,
            tax=from_minor(line.tax_minor, currency),
            total=from_minor(line.total_minor, currency),
            returned=line.returned,
        )
        for number, line in enumerate(lines, 1)
    ]


def taxes_of(lines: Iterable[m.SaleLine]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for line in lines:
        if line.card_id is None:
            net, tax = found.get(line.tax_rate_ppm, (0, 0))
            net += line.total_minor - line.tax_minor
            found[line.tax_rate_ppm] = (net, tax + line.tax_minor)
    return found


def quote_out(ticket: Ticket, shortages: list[a.PartsOut]) -> a.QuoteOut:
    currency = ticket.currency
    return a.QuoteOut(
        currency=currency,
        lines=lines_out(ticket.lines, currency),
        discount=from_minor(sum(line.discount_minor for line in ticket.lines), currency),
        taxes=tax_rows(taxes_of(ticket.lines), currency),
        tax=from_minor(sum(line.tax_minor for line in ticket.lines), currency),
        tips=from_minor(ticket.tips_minor, currency),
        total=from_minor(ticket.due_minor, currency),
        prices_include_tax=ticket.prices_include_tax,
        shortages=shortages,
    )


def sale_out(
    sale_id: UUID,
    sold: m.Sold,
    cashier: str,
    created_at: datetime,
    offline: a.OfflineOut | None = None,
) -> a.SaleOut:
    sale, currency = sold.sale, sold.sale.currency
    return a.SaleOut(
        sale_id=sale_id,
        receipt_number=sale.receipt_number,
        status=sale.status,
        location_id=sale.location_id,
        register_id=sale.register_id,
        shift_id=sale.shift_id,
        currency=currency,
        lines=lines_out(sale.lines, currency),
        discount=from_minor(sum(line.discount_minor for line in sale.lines), currency),
        taxes=tax_rows(taxes_of(sale.lines), currency),
        tax=from_minor(sum(line.tax_minor for line in sale.lines), currency),
        tips=from_minor(sale.tips_minor, currency),
        total=from_minor(sold.tendered_minor - sold.change_minor, currency),
        tendered=from_minor(sold.tendered_minor, currency),
        change=from_minor(sold.change_minor, currency),
        payments=[
            a.PaymentOut(
                number=number,
                method=paid.method,
                amount=from_minor(paid.amount_minor, currency),
                reference=paid.reference,
                refunded=from_minor(paid.refunded_minor, currency),
            )
            for number, paid in enumerate(sale.payments, 1)
        ],
        refunded=from_minor(sum(paid.refunded_minor for paid in sale.payments), currency),
        prices_include_tax=sold.prices_include_tax,
        customer_id=sold.customer_id,
        note=sold.note,
        cashier=cashier,
        created_at=created_at,
        offline=offline,
    )


def return_out(
    return_id: UUID, record: m.ReturnMade, created_at: datetime, credit: a.CreditOut | None = None
) -> a.ReturnOut:
    currency = record.currency
    return a.ReturnOut(
        return_id=return_id,
        sale_id=record.sale_id,
        receipt_number=record.receipt_number,
        location_id=record.location_id,
        register_id=record.register_id,
        shift_id=record.shift_id,
        currency=currency,
        lines=[
            a.ReturnedLineOut(
                number=line.number + 1,
                item_id=line.sold.item_id,
                name=line.sold.name,
                sku=line.sold.sku,
                quantity=line.quantity,
                restock=line.restock,
                tax=from_minor(line.tax_minor, currency),
                total=from_minor(line.total_minor, currency),
            )
            for line in record.lines
        ],
        tax=from_minor(sum(line.tax_minor for line in record.lines), currency),
        tips=from_minor(record.tips_minor, currency),
        total=from_minor(record.total_minor, currency),
        refunds=[
            a.RefundOut(method=refund.method, amount=from_minor(refund.amount_minor, currency))
            for refund in record.refunds
        ],
        reason=record.reason,
        void=record.void,
        created_at=created_at,
        store_credit=credit,
    )


def card_out(card: m.GiftCard, now_ms: int) -> a.GiftCardOut:
    expired = card.expires_at_ms is not None and card.expires_at_ms <= now_ms
    status = "disabled" if card.disabled else "expired" if expired else "active"
    return a.GiftCardOut(
        last_four=card.last_four,
        currency=card.currency,
        initial=from_minor(card.initial_minor, card.currency),
        balance=from_minor(card.balance_minor, card.currency),
        expires_at=None if card.expires_at_ms is None else of_ms(card.expires_at_ms),
        status=status,
    )


def register_out(register_id: UUID, register: m.Register) -> a.RegisterOut:
    return a.RegisterOut(
        register_id=register_id,
        location_id=register.location_id,
        name=register.name,
        discount_limit_percent=register.discount_limit_percent,
        next_receipt_number=register.next_receipt_number,
        shift_id=register.shift.id if register.shift else None,
    )


class Closing(NamedTuple):
    """How a shift ended."""

    closed_by: str
    closed_at: datetime
    counted_minor: int
    counts: tuple[m.Count, ...]
    note: str | None


def report_out(register_id: UUID, shift: m.Shift, closing: Closing | None = None) -> a.ReportOut:
    """X of an open shift, Z of a closed one."""
    totals, currency = shift.totals, shift.currency

    def money(amount_minor: int) -> Decimal:
        return from_minor(amount_minor, currency)

    methods = sorted({*totals.taken, *totals.refunded})
    return a.ReportOut(
        kind="Z" if closing else "X",
        register_id=register_id,
        shift_id=shift.id,
        number=shift.number,
        currency=currency,
        opened_by=shift.opened_by,
        opened_at=of_ms(shift.opened_at_ms),
        closed_by=closing.closed_by if closing else None,
        closed_at=closing.closed_at if closing else None,
        sales=totals.sales,
        sales_total=money(totals.sales_minor),
        returns=totals.returns,
        returns_total=money(totals.returns_minor),
        discounts=money(totals.discounts_minor),
        tips=money(totals.tips_minor),
        gift_cards_sold=money(totals.gift_cards_sold_minor),
        tenders=[
            a.TenderOut(
                method=method,
                payments=totals.payments.get(method, 0),
                taken=money(totals.taken.get(method, 0)),
                refunded=money(totals.refunded.get(method, 0)),
            )
            for method in methods
        ],
        taxes=tax_rows(totals.taxes, currency),
        opening_float=money(shift.opening_float_minor),
        paid_in=money(totals.paid_in_minor),
        paid_out=money(totals.paid_out_minor),
        no_sales=totals.no_sales,
        expected_cash=money(shift.expected_minor),
        earlier_cash=money(totals.earlier_cash_minor),
        counted_cash=money(closing.counted_minor) if closing else None,
        difference=money(closing.counted_minor - shift.expected_minor) if closing else None,
        denominations=[
            {"value": float(money(count.value_minor)), "pieces": count.pieces}
            for count in closing.counts
        ]
        if closing
        else None,
        note=closing.note if closing else None,
    )
