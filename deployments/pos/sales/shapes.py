"""Baskets and sales as the API answers them: minor units become amounts, ms since the epoch become
times. Both what the owner replies and what rows say go through `sale_out`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from actors.till.messages import SaleMade
from actors.till.model import (
    Method,
    Payment,
    Sale,
    SaleLine,
    SaleStatus,
    Sold,
)
from core import percents
from core.cash import payable
from core.moments import of_ms
from core.money import from_minor
from core.quantities import from_steps
from deployments.pos.fields import Row, TaxOut
from deployments.pos.sales.pricing import Ticket
from deployments.pos.sales.schemas import (
    OfflineOriginOut,
    PaymentOut,
    QuoteOut,
    SaleLineOut,
    SaleOut,
    SaleRow,
    ShortageOut,
)


def quote_out(ticket: Ticket, shortages: list[ShortageOut]) -> QuoteOut:
    currency = ticket.currency
    return QuoteOut(
        currency=currency,
        lines=lines_out(ticket.lines, currency),
        discount=from_minor(sum(line.discount_minor for line in ticket.lines), currency),
        taxes=tax_rows(taxes_of(ticket.lines), currency),
        tax=from_minor(sum(line.tax_minor for line in ticket.lines), currency),
        tips=from_minor(ticket.tips_minor, currency),
        total=from_minor(ticket.due_minor, currency),
        total_in_cash=from_minor(payable(ticket.due_minor, ticket.cash_step_minor), currency),
        prices_include_tax=ticket.prices_include_tax,
        shortages=shortages,
        tax_exemption=ticket.tax_exemption,
    )


def sale_made(made: SaleMade) -> SaleOut:
    """A sale as its owner has just made it."""
    return sale_out(made.sale_id, made.sold, made.cashier, of_ms(made.at_ms))


def sale_of(row: Row, lines: Sequence[Row], payments: Sequence[Row]) -> SaleOut:
    """A sale from its rows."""
    sale = Sale(
        row["register_id"],
        row["location_id"],
        row["shift_id"],
        row["receipt_number"],
        row["currency"],
        SaleStatus(row["status"]),
        row["tips_minor"],
        tuple(_line(line) for line in lines),
        tuple(
            Payment(
                Method(paid["method"]),
                paid["amount_minor"],
                paid["reference"],
                paid["card_id"],
                paid["refunded_minor"],
            )
            for paid in payments
        ),
        row["sequence"],
        rounding_minor=row["rounding_minor"],
    )
    sold = Sold(
        sale,
        row["customer_id"],
        row["note"],
        row["prices_include_tax"],
        row["tendered_minor"],
        row["change_minor"],
        row["reservation_id"],
        tax_exemption=row["tax_exemption"],
    )
    return sale_out(row["id"], sold, row["created_by"], row["created_at"], _offline(row))


def sale_out(
    sale_id: UUID,
    sold: Sold,
    cashier: str,
    created_at: datetime,
    offline: OfflineOriginOut | None = None,
) -> SaleOut:
    sale, currency = sold.sale, sold.sale.currency
    return SaleOut(
        id=sale_id,
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
        total=from_minor(sold.tendered_minor - sold.change_minor - sale.rounding_minor, currency),
        cash_rounding=from_minor(sale.rounding_minor, currency),
        tendered=from_minor(sold.tendered_minor, currency),
        change=from_minor(sold.change_minor, currency),
        payments=[
            PaymentOut(
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
        cashier_id=cashier,
        created_at=created_at,
        offline=offline,
        tax_exemption=sold.tax_exemption,
    )


def sale_row(row: Row) -> SaleRow:
    currency = row["currency"]
    return SaleRow(
        id=row["id"],
        receipt_number=row["receipt_number"],
        status=SaleStatus(row["status"]),
        location_id=row["location_id"],
        register_id=row["register_id"],
        shift_id=row["shift_id"],
        currency=currency,
        total=from_minor(row["total_minor"] + row["tips_minor"], currency),
        tips=from_minor(row["tips_minor"], currency),
        refunded=from_minor(row["refunded_minor"], currency),
        customer_id=row["customer_id"],
        cashier_id=row["created_by"],
        created_at=row["created_at"],
        offline=_offline(row),
    )


def lines_out(lines: Iterable[SaleLine], currency: str) -> list[SaleLineOut]:
    return [
        SaleLineOut(
            number=number,
            product_id=line.item_id,
            parent_id=parent_of(line),
            name=line.name,
            sku=line.sku,
            quantity=from_steps(line.quantity, line.decimals),
            unit_price=from_minor(line.unit_price_minor, currency),
            discount=from_minor(line.discount_minor, currency),
            tax_percent=percents.from_ppm(line.tax_rate_ppm),
            tax=from_minor(line.tax_minor, currency),
            total=from_minor(line.total_minor, currency),
            returned=from_steps(line.returned, line.decimals),
            unit=line.measured_by,
        )
        for number, line in enumerate(lines, 1)
    ]


def parent_of(line: SaleLine) -> UUID | None:
    """Of a variant, the product that it is one of."""
    return None if line.product_id == line.item_id else line.product_id


def taxes_of(lines: Iterable[SaleLine]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for line in lines:
        if line.card_id is None:
            net, tax = found.get(line.tax_rate_ppm, (0, 0))
            net += line.total_minor - line.tax_minor
            found[line.tax_rate_ppm] = (net, tax + line.tax_minor)
    return found


def tax_rows(taxes: Mapping[int, tuple[int, int]], currency: str) -> list[TaxOut]:
    return [
        TaxOut(
            tax_percent=percents.from_ppm(rate_ppm),
            net=from_minor(net, currency),
            tax=from_minor(tax, currency),
        )
        for rate_ppm, (net, tax) in sorted(taxes.items())
    ]


def _offline(row: Row) -> OfflineOriginOut | None:
    if row["client_sale_id"] is None:
        return None
    return OfflineOriginOut(
        client_sale_id=row["client_sale_id"],
        offline_number=row["offline_number"],
        uploaded_by=row["uploaded_by"],
        uploaded_at=row["uploaded_at"],
        clock_ahead_seconds=-(-row["clock_ahead_ms"] // 1000),
    )


def _line(line: Row) -> SaleLine:
    return SaleLine(
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
        decimals=line["quantity_decimals"],
        unit=line["unit"],
    )
