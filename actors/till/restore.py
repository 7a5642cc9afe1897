"""The states of the till, from the rows that the store read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.composite import Restore
from actors.till import model as m
from actors.till.rows import GiftCardRow, RegisterRead, SaleRead

_totals = msgspec.json.Decoder(m.Totals).decode
_lines = msgspec.json.Decoder(tuple[m.SaleLine, ...]).decode
_payments = msgspec.json.Decoder(tuple[m.Payment, ...]).decode


def _register(row: RegisterRead) -> m.Register:
    return m.Register(
        location_id=row.location_id,
        name=row.name,
        discount_limit_percent=row.discount_limit_percent,
        next_receipt_number=row.next_receipt_number,
        shifts=row.shifts,
        shift=_shift(row),
        removed=row.removed,
        sequence=row.sequence,
    )


def _shift(row: RegisterRead) -> m.Shift | None:
    if row.shift_id is None:
        return None
    return m.Shift(
        id=row.shift_id,
        number=row.shift_number,
        opened_by=row.shift_opened_by,
        opened_at_ms=row.shift_opened_at,
        opening_float_minor=row.shift_opening_float_minor,
        currency=row.shift_currency,
        totals=_totals(row.shift_totals),
        cash_step_minor=row.shift_cash_step_minor,
    )


def _sale(row: SaleRead) -> m.Sale:
    return m.Sale(
        register_id=row.register_id,
        location_id=row.location_id,
        shift_id=row.shift_id,
        receipt_number=row.receipt_number,
        currency=row.currency,
        status=m.SaleStatus(row.status),
        tips_minor=row.tips_minor,
        lines=_lines(row.lines),
        payments=_payments(row.payments),
        sequence=row.sequence,
        digest=row.upload_digest,
        rounding_minor=row.rounding_minor,
    )


def _gift_card(row: GiftCardRow) -> m.GiftCard:
    return m.GiftCard(
        currency=row.currency,
        last_four=row.last_four,
        initial_minor=row.initial_minor,
        balance_minor=row.balance_minor,
        expires_at_ms=row.expires_at,
        disabled=row.disabled,
        sequence=row.sequence,
    )


RESTORES: Mapping[str, Restore] = {
    m.REGISTER: Restore(RegisterRead, _register),
    m.SALE: Restore(SaleRead, _sale),
    m.GIFT_CARD: Restore(GiftCardRow, _gift_card),
}
