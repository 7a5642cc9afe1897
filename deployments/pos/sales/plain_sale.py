"""The plainest form of a sale, as it is read and answered without pydantic, which takes twice as
long for it as all the rest of a sale takes in a replica.

A body of this form is one that `schemas.NewSale` reads alike, and means the same; all others are
left to it. The answer is that of `shapes.sale_out`, byte for byte. A differential test holds the
two together.
"""

from __future__ import annotations

from typing import Any

from actors.till.messages import SaleMade
from actors.till.model import SaleLine
from core import percents
from core.moments import of_ms
from core.money import exponent
from core.quantities import shown_steps
from deployments.kit.plain import Plain, plain_out
from deployments.pos.fields import TaxOut
from deployments.pos.payments import NewPayment
from deployments.pos.sales.schemas import (
    ROUNDING,
    BasketLine,
    NewSale,
    PaymentOut,
    SaleLineOut,
    SaleOut,
)
from deployments.pos.sales.shapes import parent_of, taxes_of


def _is_plain(body: NewSale) -> bool:
    for line in body.lines:
        if (line.sku, line.barcode, line.product_id).count(None) != 2:
            return False
    return all(payment.method in ("cash", "external") for payment in body.payments)


plain_sale = Plain(
    NewSale,
    "register_id",
    lines=Plain(BasketLine, "sku", "barcode", "product_id", "quantity"),
    payments=Plain(NewPayment, "method", "amount"),
    holds=_is_plain,
).read

# Built by position: the order is that of the models.
_SaleOut: Any = plain_out(SaleOut)
_LineOut: Any = plain_out(SaleLineOut)
_TaxOut: Any = plain_out(TaxOut)
_PaymentOut: Any = plain_out(PaymentOut)


def plain_out_of(made: SaleMade) -> Any:
    """`shapes.sale_out(...)`, as msgspec writes it. A quotient of whole numbers is the double that
    is nearest to the exact amount, as that of its Decimal is."""
    sold = made.sold
    sale = sold.sale
    unit = 10 ** exponent(sale.currency)
    return _SaleOut(
        made.sale_id,
        sale.receipt_number,
        sale.status,
        sale.location_id,
        sale.register_id,
        sale.shift_id,
        sale.currency,
        [_line_out(number, line, unit) for number, line in enumerate(sale.lines, 1)],
        sum([line.discount_minor for line in sale.lines]) / unit,
        [
            _TaxOut(percents.from_ppm(rate_ppm), net / unit, tax / unit)
            for rate_ppm, (net, tax) in sorted(taxes_of(sale.lines).items())
        ],
        sum([line.tax_minor for line in sale.lines]) / unit,
        sale.tips_minor / unit,
        (sold.tendered_minor - sold.change_minor - sale.rounding_minor) / unit,
        sale.rounding_minor / unit,
        sold.tendered_minor / unit,
        sold.change_minor / unit,
        [
            _PaymentOut(
                number,
                paid.method,
                paid.amount_minor / unit,
                paid.reference,
                paid.refunded_minor / unit,
            )
            for number, paid in enumerate(sale.payments, 1)
        ],
        sum([paid.refunded_minor for paid in sale.payments]) / unit,
        sold.prices_include_tax,
        ROUNDING,
        sold.customer_id,
        sold.note,
        made.cashier,
        of_ms(made.at_ms),
        (),
        None,
        sold.tax_exemption,
    )


def _line_out(number: int, line: SaleLine, unit: int) -> Any:
    return _LineOut(
        number,
        line.item_id,
        parent_of(line),
        line.name,
        line.sku,
        shown_steps(line.quantity, line.decimals),
        line.unit_price_minor / unit,
        line.discount_minor / unit,
        percents.from_ppm(line.tax_rate_ppm),
        line.tax_minor / unit,
        line.total_minor / unit,
        shown_steps(line.returned, line.decimals),
        line.measured_by,
    )
