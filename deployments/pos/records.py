"""The till's rows as answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.till import model as m
from core import moments
from core.money import from_minor
from deployments.pos import answers as a
from deployments.pos import views as v

# A row by the names of its columns; the store's own type stays in its room.
Row = Any
Rows = Sequence[Row]


def report(row: Row) -> a.ReportOut:
    """The report of a shift from its row in `pos_shifts`."""
    shift = m.Shift(
        row["id"],
        row["number"],
        row["opened_by"],
        moments.to_ms(row["opened_at"]),
        row["opening_float_minor"],
        row["currency"],
        msgspec.convert(row["totals"], m.Totals, strict=False),
    )
    if row["closed_at"] is None:
        return v.report_out(row["register_id"], shift)
    counts = msgspec.convert(row["counts"], tuple[m.Count, ...])
    closing = v.Closing(
        row["closed_by"], row["closed_at"], row["counted_minor"], counts, row["note"]
    )
    return v.report_out(row["register_id"], shift, closing)


def sale(row: Row, lines: Rows, payments: Rows) -> a.SaleOut:
    """A sale from its rows."""
    sale = m.Sale(
        row["register_id"],
        row["location_id"],
        row["shift_id"],
        row["receipt_number"],
        row["currency"],
        m.SaleStatus(row["status"]),
        row["tips_minor"],
        tuple(_line(line) for line in lines),
        tuple(
            m.Payment(
                m.Method(paid["method"]),
                paid["amount_minor"],
                paid["reference"],
                paid["card_id"],
                paid["refunded_minor"],
            )
            for paid in payments
        ),
        row["sequence"],
    )
    sold = m.Sold(
        sale,
        row["customer_id"],
        row["note"],
        row["prices_include_tax"],
        row["tendered_minor"],
        row["change_minor"],
        row["reservation_id"],
    )
    return v.sale_out(row["id"], sold, row["created_by"], row["created_at"], _offline(row))


def _offline(row: Row) -> a.OfflineOut | None:
    if row["client_sale_id"] is None:
        return None
    return a.OfflineOut(
        client_sale_id=row["client_sale_id"],
        offline_number=row["offline_number"],
        uploaded_by=row["uploaded_by"],
        uploaded_at=row["uploaded_at"],
    )


def _line(line: Row) -> m.SaleLine:
    return m.SaleLine(
        line["item_id"],
        line["product_id"],
        line["name"],
        line["sku"],
        line["quantity"],
        line["unit_price_minor"],
        line["discount_minor"],
        line["tax_rate_ppm"],
        line["tax_minor"],
        line["total_minor"],
        card_id=line["card_id"],
        returned=line["returned"],
    )


def sale_row(row: Row) -> a.SaleRow:
    currency = row["currency"]
    return a.SaleRow(
        sale_id=row["id"],
        receipt_number=row["receipt_number"],
        status=m.SaleStatus(row["status"]),
        location_id=row["location_id"],
        register_id=row["register_id"],
        shift_id=row["shift_id"],
        currency=currency,
        total=from_minor(row["total_minor"] + row["tips_minor"], currency),
        tips=from_minor(row["tips_minor"], currency),
        refunded=from_minor(row["refunded_minor"], currency),
        customer_id=row["customer_id"],
        cashier=row["created_by"],
        created_at=row["created_at"],
        offline=_offline(row),
    )


def returned(row: Row, lines: Rows, refunds: Rows) -> a.ReturnOut:
    """A return from its rows."""
    currency = row["currency"]
    return a.ReturnOut(
        return_id=row["id"],
        sale_id=row["sale_id"],
        receipt_number=row["receipt_number"],
        location_id=row["location_id"],
        register_id=row["register_id"],
        shift_id=row["shift_id"],
        currency=currency,
        lines=[
            a.ReturnedLineOut(
                number=line["line_number"] + 1,
                item_id=line["item_id"],
                name=line["name"],
                sku=line["sku"],
                quantity=line["quantity"],
                restock=line["restock"],
                tax=from_minor(line["tax_minor"], currency),
                total=from_minor(line["total_minor"], currency),
            )
            for line in lines
        ],
        tax=from_minor(row["tax_minor"], currency),
        tips=from_minor(row["tips_minor"], currency),
        total=from_minor(row["total_minor"], currency),
        refunds=[
            a.RefundOut(
                method=m.Method(one["method"]), amount=from_minor(one["amount_minor"], currency)
            )
            for one in refunds
        ],
        reason=row["reason"],
        void=row["void"],
        created_at=row["created_at"],
    )


def cash_movement(row: Row, currency: str) -> a.CashMovementOut:
    return a.CashMovementOut(
        kind=m.CashMove(row["kind"]),
        amount=from_minor(row["amount_minor"], currency),
        reason=row["reason"],
        created_by=row["created_by"],
        occurred_at=row["occurred_at"],
    )


def register(row: Row) -> a.RegisterOut:
    return a.RegisterOut(
        register_id=row["id"],
        location_id=row["location_id"],
        name=row["name"],
        discount_limit_percent=row["discount_limit_percent"],
        next_receipt_number=row["next_receipt_number"],
        shift_id=row["shift_id"],
    )


def shift_row(row: Row) -> a.ShiftRow:
    """A shift as a list shows it."""
    counted_minor, currency = row["counted_minor"], row["currency"]
    return a.ShiftRow(
        shift_id=row["id"],
        register_id=row["register_id"],
        number=row["number"],
        opened_by=row["opened_by"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        currency=currency,
        expected_cash=from_minor(row["expected_minor"], currency),
        counted_cash=None if counted_minor is None else from_minor(counted_minor, currency),
    )
