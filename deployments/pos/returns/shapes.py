"""Returns as the API answers them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from actors.till.model import (
    Method,
    ReturnMade,
)
from core.money import from_minor
from core.quantities import PIECE, from_steps
from deployments.pos.fields import Row
from deployments.pos.gift_cards.schemas import CreditOut
from deployments.pos.returns.schemas import RefundOut, ReturnedLineOut, ReturnOut


def return_out(
    return_id: UUID, record: ReturnMade, created_at: datetime, credit: CreditOut | None = None
) -> ReturnOut:
    currency = record.currency
    return ReturnOut(
        id=return_id,
        sale_id=record.sale_id,
        receipt_number=record.receipt_number,
        location_id=record.location_id,
        register_id=record.register_id,
        shift_id=record.shift_id,
        currency=currency,
        lines=[
            ReturnedLineOut(
                number=line.number + 1,
                product_id=line.sold.item_id,
                name=line.sold.name,
                sku=line.sold.sku,
                quantity=from_steps(line.quantity, line.sold.decimals),
                restock=line.restock,
                restocked_as=line.restocked_as,
                tax=from_minor(line.tax_minor, currency),
                total=from_minor(line.total_minor, currency),
                unit=line.sold.measured_by,
            )
            for line in record.lines
        ],
        tax=from_minor(sum(line.tax_minor for line in record.lines), currency),
        tips=from_minor(record.tips_minor, currency),
        total=from_minor(record.total_minor, currency),
        cash_rounding=from_minor(record.rounding_minor, currency),
        refunds=[
            RefundOut(method=refund.method, amount=from_minor(refund.amount_minor, currency))
            for refund in record.refunds
        ],
        reason=record.reason,
        void=record.void,
        created_at=created_at,
        store_credit=credit,
    )


def return_of(row: Row, lines: Sequence[Row], refunds: Sequence[Row]) -> ReturnOut:
    """A return from its rows."""
    currency = row["currency"]
    return ReturnOut(
        id=row["id"],
        sale_id=row["sale_id"],
        receipt_number=row["receipt_number"],
        location_id=row["location_id"],
        register_id=row["register_id"],
        shift_id=row["shift_id"],
        currency=currency,
        lines=[
            ReturnedLineOut(
                number=line["line_number"] + 1,
                product_id=line["item_id"],
                name=line["name"],
                sku=line["sku"],
                quantity=from_steps(line["quantity"], line["quantity_decimals"]),
                restock=line["restock"],
                restocked_as=line["restocked_as"],
                tax=from_minor(line["tax_minor"], currency),
                total=from_minor(line["total_minor"], currency),
                unit=None if line["unit"] == PIECE else line["unit"],
            )
            for line in lines
        ],
        tax=from_minor(row["tax_minor"], currency),
        tips=from_minor(row["tips_minor"], currency),
        total=from_minor(row["total_minor"], currency),
        cash_rounding=from_minor(
            sum(refund["amount_minor"] for refund in refunds) - row["total_minor"], currency
        ),
        refunds=[
            RefundOut(
                method=Method(refund["method"]),
                amount=from_minor(refund["amount_minor"], currency),
            )
            for refund in refunds
        ],
        reason=row["reason"],
        void=row["void"],
        created_at=row["created_at"],
    )
