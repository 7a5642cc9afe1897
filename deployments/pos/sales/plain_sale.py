"""The plainest form of a sale, as it is read and answered without pydantic, which takes twice as
long for it as all the rest of a sale takes in a replica.

A body of this form is one that `schemas.SaleBody` reads alike, and means the same; all others are
left to it. The answer is that of `views.sale_out`, byte for byte. A differential test holds the
two together.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, cast
from uuid import UUID

import msgspec

from actors.till import model as m
from actors.till.messages import SaleMade
from core.moments import of_ms
from core.money import MAX_AMOUNT_MINOR, exponent
from deployments.pos import schemas as s
from deployments.pos import views
from deployments.pos.sales.pricing import ROUNDING

_AMOUNT = re.compile(rb"(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?")
_ItemCode = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _Line(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A `schemas.BasketLine`. Without a quantity it is 0, which nobody can ask for."""

    sku: _ItemCode | None = None
    barcode: _ItemCode | None = None
    product_id: UUID | None = None
    variant_id: UUID | None = None
    quantity: Annotated[int, msgspec.Meta(ge=1, le=s.MAX_LINE_QUANTITY)] = 0

    discount = gift_card = None
    named = s.Units.named


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """A payment, with the number as it was written: no double between."""

    method: Literal["cash", "external"]
    amount: msgspec.Raw


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    register_id: UUID
    lines: Annotated[list[_Line], msgspec.Meta(min_length=1, max_length=m.MAX_SALE_LINES)]
    payments: Annotated[list[_Written], msgspec.Meta(max_length=m.MAX_PAYMENTS)]


class _Payment(msgspec.Struct):
    """A `schemas.PaymentBody`."""

    method: str
    amount: Decimal

    reference = code = token = None


class _Sale(msgspec.Struct):
    """A `schemas.SaleBody`: what a plain one has not is as it is there when it is left out."""

    register_id: UUID
    lines: list[_Line]
    payments: list[_Payment]

    location_id = discount = customer_id = note = reservation_id = expected_total = None
    tips = Decimal(0)


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


def plain_sale(raw: bytes) -> s.SaleBody | None:
    """What stands for a SaleBody, from a body of the plainest form; None for every other body."""
    if b"\\" in raw or not raw.isascii():
        return None  # An escape may hide a name; and codes are put into one form of Unicode.
    try:
        body = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    payments = [_payment(written) for written in body.payments]
    if None in payments or not _is_unambiguous(raw, body):
        return None
    for line in body.lines:
        line.quantity = line.quantity or 1
    return cast(s.SaleBody, _Sale(body.register_id, body.lines, cast(list[_Payment], payments)))


def _payment(written: _Written) -> _Payment | None:
    text = bytes(written.amount)
    if not _AMOUNT.fullmatch(text):
        return None
    amount = Decimal(text.decode())
    return _Payment(written.method, amount) if 0 < amount <= MAX_AMOUNT_MINOR else None


def _is_unambiguous(raw: bytes, body: _Body) -> bool:
    """Whether each line names one item, and no object has a name twice, of which msgspec takes
    the last. A text that reads like a name only makes a body less plain."""
    count, lines, payments = raw.count, len(body.lines), len(body.payments)
    names = count(b'"productId"') + count(b'"sku"') + count(b'"barcode"') + count(b'"variantId"')
    return (
        names == lines == sum([_names(line) == 1 for line in body.lines])
        and count(b'"quantity"') == sum([line.quantity != 0 for line in body.lines])
        and count(b'"method"') == count(b'"amount"') == payments
        and count(b'"registerId"') == count(b'"lines"') == count(b'"payments"') == 1
    )


def _names(line: _Line) -> int:
    return 4 - (line.sku, line.barcode, line.product_id, line.variant_id).count(None)


class _LineOut(msgspec.Struct, rename="camel"):
    number: int
    item_id: UUID
    product_id: UUID
    name: str
    sku: str
    quantity: int
    unit_price: float
    discount: float
    tax_rate: float
    tax: float
    total: float
    returned: int


class _TaxOut(msgspec.Struct):
    rate: float
    net: float
    tax: float


class _PaymentOut(msgspec.Struct):
    number: int
    method: m.Method
    amount: float
    reference: str | None
    refunded: float


class _SaleOut(msgspec.Struct, rename="camel"):
    sale_id: UUID
    receipt_number: int
    status: m.SaleStatus
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    lines: list[_LineOut]
    discount: float
    taxes: list[_TaxOut]
    tax: float
    tips: float
    total: float
    tendered: float
    change: float
    payments: list[_PaymentOut]
    refunded: float
    prices_include_tax: bool
    rounding: str
    customer_id: UUID | None
    note: str | None
    cashier: str
    created_at: datetime
    gift_cards: tuple[()]
    offline: None


class _Answer(msgspec.Struct):
    success: bool
    data: _SaleOut


def answer_of(made: SaleMade) -> bytes:
    """`Envelope(data=views.sale_out(...))` as JSON. A quotient of whole numbers is the double that
    is nearest to the exact amount, as that of its Decimal is."""
    sold = made.sold
    sale = sold.sale
    unit = 10 ** exponent(sale.currency)
    out = _SaleOut(
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
            _TaxOut(rate_ppm / m.PPM, net / unit, tax / unit)
            for rate_ppm, (net, tax) in sorted(views.taxes_of(sale.lines).items())
        ],
        sum([line.tax_minor for line in sale.lines]) / unit,
        sale.tips_minor / unit,
        (sold.tendered_minor - sold.change_minor) / unit,
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
    )
    return _encode(_Answer(True, out))


def _line_out(number: int, line: m.SaleLine, unit: int) -> _LineOut:
    return _LineOut(
        number,
        line.item_id,
        line.product_id,
        line.name,
        line.sku,
        line.quantity,
        line.unit_price_minor / unit,
        line.discount_minor / unit,
        line.tax_rate_ppm / m.PPM,
        line.tax_minor / unit,
        line.total_minor / unit,
        line.returned,
    )
