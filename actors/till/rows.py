"""Rows of the till as the store writes and reads them: the fields are the columns, in their order.
Money is in minor units, times are in ms since the epoch, UTC."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class RegisterRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    location_id: UUID
    name: str
    discount_limit_percent: int
    next_receipt_number: int
    shifts: int
    shift_id: UUID | None
    removed: bool
    sequence: int
    updated_at: int


class RegisterRead(NamedTuple):
    """A register with its open shift, of which everything is null where there is none."""

    location_id: UUID
    name: str
    discount_limit_percent: int
    next_receipt_number: int
    shifts: int
    removed: bool
    sequence: int
    shift_id: UUID | None
    shift_number: int
    shift_opened_by: str
    shift_opened_at: int
    shift_opening_float_minor: int
    shift_currency: str
    shift_totals: str
    shift_cash_step_minor: int


class ShiftRow(NamedTuple):
    """`totals` and `counts` are JSON."""

    id: UUID
    tenant_id: UUID
    register_id: UUID
    location_id: UUID
    number: int
    opened_by: str
    opened_at: int
    opening_float_minor: int
    currency: str
    expected_minor: int
    totals: str
    closed_at: int | None = None
    closed_by: str | None = None
    counted_minor: int | None = None
    counts: str | None = None
    note: str | None = None
    cash_step_minor: int = 1


class CashMovementRow(NamedTuple):
    register_id: UUID
    sequence: int
    tenant_id: UUID
    shift_id: UUID
    kind: str
    amount_minor: int
    reason: str | None
    created_by: str
    occurred_at: int


class ReceiptRow(NamedTuple):
    register_id: UUID
    number: int
    tenant_id: UUID
    kind: str
    subject_id: UUID
    shift_id: UUID
    given_at: int


class SaleRow(NamedTuple):
    """A sale as it was made; those from `client_sale_id` to `uploaded_at` are of one that was made
    offline."""

    id: UUID
    tenant_id: UUID
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    receipt_number: int
    status: str
    currency: str
    total_minor: int
    tax_minor: int
    discount_minor: int
    tips_minor: int
    tendered_minor: int
    change_minor: int
    prices_include_tax: bool
    customer_id: UUID | None
    note: str | None
    reservation_id: UUID | None
    created_by: str
    created_at: int
    sequence: int
    client_sale_id: UUID | None = None
    offline_number: str | None = None
    upload_digest: bytes | None = None
    uploaded_by: str | None = None
    uploaded_at: int | None = None
    tax_exemption: str | None = None
    rounding_minor: int = 0
    clock_ahead_ms: int = 0


class SaleRead(NamedTuple):
    """What a return is held against. `lines` and `payments` are JSON, in the order of the fields of
    `SaleLine` and `Payment`."""

    register_id: UUID
    location_id: UUID
    shift_id: UUID
    receipt_number: int
    currency: str
    status: str
    tips_minor: int
    sequence: int
    upload_digest: bytes | None
    rounding_minor: int
    lines: str
    payments: str


class SaleChange(NamedTuple):
    """What returns change of a sale."""

    id: UUID
    tenant_id: UUID
    status: str
    refunded_minor: int
    sequence: int


class SaleLineRow(NamedTuple):
    """`parts` are JSON."""

    sale_id: UUID
    number: int
    tenant_id: UUID
    item_id: UUID
    product_id: UUID
    name: str
    sku: str
    quantity: int
    unit_price_minor: int
    discount_minor: int
    tax_rate_ppm: int
    tax_minor: int
    total_minor: int
    parts: str
    card_id: UUID | None
    quantity_decimals: int
    unit: str


class SaleLineChange(NamedTuple):
    sale_id: UUID
    number: int
    returned: int


class PaymentRow(NamedTuple):
    sale_id: UUID
    number: int
    tenant_id: UUID
    method: str
    amount_minor: int
    reference: str | None
    card_id: UUID | None


class PaymentChange(NamedTuple):
    sale_id: UUID
    number: int
    refunded_minor: int


class ReturnRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    sale_id: UUID | None
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    receipt_number: int
    currency: str
    total_minor: int
    tax_minor: int
    tips_minor: int
    reason: str | None
    void: bool
    created_by: str
    created_at: int


class ReturnLineRow(NamedTuple):
    return_id: UUID
    number: int
    tenant_id: UUID
    line_number: int
    item_id: UUID
    name: str
    sku: str
    quantity: int
    restock: bool
    tax_rate_ppm: int
    tax_minor: int
    discount_minor: int
    total_minor: int
    restocked_as: UUID | None = None
    quantity_decimals: int = 0
    unit: str = "piece"


class RefundRow(NamedTuple):
    return_id: UUID
    number: int
    tenant_id: UUID
    method: str
    amount_minor: int
    payment_number: int | None
    card_id: UUID | None
    reference: str | None


class CardRefundRow(NamedTuple):
    """Money that the provider still has to give back; a worker sees to it."""

    return_id: UUID
    number: int
    tenant_id: UUID
    charge_id: str | None
    amount_minor: int
    currency: str
    created_at: int


class GiftCardRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    currency: str
    last_four: str
    initial_minor: int
    balance_minor: int
    expires_at: int | None
    disabled: bool
    sequence: int
    updated_at: int


class GiftCardMovementRow(NamedTuple):
    card_id: UUID
    sequence: int
    tenant_id: UUID
    kind: str
    delta_minor: int
    balance_minor: int
    source_id: UUID
    occurred_at: int


WRITTEN: dict[str, type] = {
    "pos_registers": RegisterRow,
    "pos_shifts": ShiftRow,
    "pos_cash_movements": CashMovementRow,
    "pos_receipts": ReceiptRow,
    "pos_sales": SaleRow,
    "pos_sale_lines": SaleLineRow,
    "pos_payments": PaymentRow,
    "pos_sales returned": SaleChange,
    "pos_sale_lines returned": SaleLineChange,
    "pos_payments refunded": PaymentChange,
    "pos_returns": ReturnRow,
    "pos_return_lines": ReturnLineRow,
    "pos_refunds": RefundRow,
    "card_refunds": CardRefundRow,
    "gift_cards": GiftCardRow,
    "gift_card_movements": GiftCardMovementRow,
}
