"""Registers, shifts and their reports as the API answers them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgspec

from actors.till.model import (
    CashMove,
    Count,
    Register,
    Shift,
    Totals,
)
from core.moments import of_ms, to_ms
from core.money import from_minor
from deployments.pos.fields import Row
from deployments.pos.registers.schemas import (
    CashMovementOut,
    CountedOut,
    RegisterOut,
    ReportOut,
    ShiftRow,
    TenderOut,
)
from deployments.pos.sales.shapes import tax_rows


def register_out(register_id: UUID, register: Register) -> RegisterOut:
    return RegisterOut(
        id=register_id,
        location_id=register.location_id,
        name=register.name,
        discount_limit_percent=register.discount_limit_percent,
        next_receipt_number=register.next_receipt_number,
        shift_id=register.shift.id if register.shift else None,
    )


def register_of(row: Row) -> RegisterOut:
    return RegisterOut(
        id=row["id"],
        location_id=row["location_id"],
        name=row["name"],
        discount_limit_percent=row["discount_limit_percent"],
        next_receipt_number=row["next_receipt_number"],
        shift_id=row["shift_id"],
    )


class Closing(NamedTuple):
    """How a shift ended."""

    closed_by: str
    closed_at: datetime
    counted_minor: int
    counts: tuple[Count, ...]
    note: str | None


def report_out(register_id: UUID, shift: Shift, closing: Closing | None = None) -> ReportOut:
    """X of an open shift, Z of a closed one."""
    totals, currency = shift.totals, shift.currency

    def money(amount_minor: int) -> Decimal:
        return from_minor(amount_minor, currency)

    methods = sorted({*totals.taken, *totals.refunded})
    return ReportOut(
        id=shift.id,
        kind="Z" if closing else "X",
        register_id=register_id,
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
        cash_rounding=money(totals.cash_rounding_minor),
        tenders=[
            TenderOut(
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
            CountedOut(value=money(count.value_minor), pieces=count.pieces)
            for count in closing.counts
        ]
        if closing
        else None,
        note=closing.note if closing else None,
    )


def report_of(row: Row) -> ReportOut:
    """The report of a shift from its row in `pos_shifts`."""
    shift = Shift(
        row["id"],
        row["number"],
        row["opened_by"],
        to_ms(row["opened_at"]),
        row["opening_float_minor"],
        row["currency"],
        msgspec.convert(row["totals"], Totals, strict=False),
        row["cash_step_minor"],
    )
    if row["closed_at"] is None:
        return report_out(row["register_id"], shift)
    counts = msgspec.convert(row["counts"], tuple[Count, ...])
    closing = Closing(row["closed_by"], row["closed_at"], row["counted_minor"], counts, row["note"])
    return report_out(row["register_id"], shift, closing)


def shift_row(row: Row) -> ShiftRow:
    """A shift as a list shows it."""
    counted_minor, currency = row["counted_minor"], row["currency"]
    return ShiftRow(
        id=row["id"],
        register_id=row["register_id"],
        number=row["number"],
        opened_by=row["opened_by"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        currency=currency,
        expected_cash=from_minor(row["expected_minor"], currency),
        counted_cash=None if counted_minor is None else from_minor(counted_minor, currency),
    )


def cash_movement_out(row: Row, currency: str) -> CashMovementOut:
    return CashMovementOut(
        kind=CashMove(row["kind"]),
        amount=from_minor(row["amount_minor"], currency),
        reason=row["reason"],
        created_by=row["created_by"],
        occurred_at=row["occurred_at"],
    )
