"""What a batch of the till writes: what happened once, in its order; states net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.composite import Project, Rows
from actors.runtime.family import Change
from actors.till import model as m

_to_json = msgspec.json.Encoder().encode


def _sold(change: Change, rows: Rows) -> None:
    event: m.Sold = change.event
    sale, tenant = event.sale, change.key.tenant_id
    rows["pos_sales"].append(_sale_row(change, event))
    for number, line in enumerate(sale.lines):
        rows["pos_sale_lines"].append(
            (
                change.key.id,
                number,
                tenant,
                line.item_id,
                line.product_id,
                line.name,
                line.sku,
                line.quantity,
                line.unit_price_minor,
                line.discount_minor,
                line.tax_rate_ppm,
                line.tax_minor,
                line.total_minor,
                _to_json(line.parts).decode(),
                line.card_id,
            )
        )
    for number, paid in enumerate(sale.payments):
        rows["pos_payments"].append(
            (
                change.key.id,
                number,
                tenant,
                paid.method.value,
                paid.amount_minor,
                paid.reference,
                paid.card_id,
            )
        )
    _receipt(change, sale, "sale", rows)
    _tell(change, rows, "pos.sale.completed.v1", _sale_told(change, event))


def _sale_row(change: Change, event: m.Sold) -> tuple[Any, ...]:
    sale, context = event.sale, change.context
    return (
        change.key.id,
        change.key.tenant_id,
        sale.location_id,
        sale.register_id,
        sale.shift_id,
        sale.receipt_number,
        sale.status.value,
        sale.currency,
        sum(line.total_minor for line in sale.lines),
        sum(line.tax_minor for line in sale.lines),
        sum(line.discount_minor for line in sale.lines),
        sale.tips_minor,
        event.tendered_minor,
        event.change_minor,
        event.prices_include_tax,
        event.customer_id,
        event.note,
        event.reservation_id,
        context.principal,
        context.now_ms,
        sale.sequence,
    )


def _sale_told(change: Change, event: m.Sold) -> dict[str, Any]:
    sale = event.sale
    return {
        **_document("saleId", change, sale),
        "customerId": event.customer_id,
        "totalMinor": sum(line.total_minor for line in sale.lines),
        "taxMinor": sum(line.tax_minor for line in sale.lines),
        "discountMinor": sum(line.discount_minor for line in sale.lines),
        "tipsMinor": sale.tips_minor,
        "lines": [
            {
                "itemId": line.item_id,
                "productId": line.product_id,
                "quantity": line.quantity,
                "totalMinor": line.total_minor,
            }
            for line in sale.lines
            if line.card_id is None
        ],
    }


def _returned(change: Change, rows: Rows) -> None:
    record: m.ReturnMade = change.event
    tenant = change.key.tenant_id
    rows["pos_returns"].append(_return_row(change, record))
    for number, line in enumerate(record.lines):
        rows["pos_return_lines"].append(
            (
                change.key.id,
                number,
                tenant,
                line.number,
                line.sold.item_id,
                line.sold.name,
                line.sold.sku,
                line.quantity,
                line.restock,
                line.sold.tax_rate_ppm,
                line.tax_minor,
                line.discount_minor,
                line.total_minor,
            )
        )
    for number, refund in enumerate(record.refunds):
        _refunded(change, record, number, refund, rows)
    _receipt(change, record, "return", rows)
    _tell(change, rows, "pos.sale.returned.v1", _return_told(change, record))


def _return_row(change: Change, record: m.ReturnMade) -> tuple[Any, ...]:
    return (
        change.key.id,
        change.key.tenant_id,
        record.sale_id,
        record.location_id,
        record.register_id,
        record.shift_id,
        record.receipt_number,
        record.currency,
        record.total_minor,
        sum(line.tax_minor for line in record.lines),
        record.tips_minor,
        record.reason,
        record.void,
        change.context.principal,
        change.context.now_ms,
    )


def _refunded(
    change: Change, record: m.ReturnMade, number: int, refund: m.Refund, rows: Rows
) -> None:
    place = (change.key.id, number, change.key.tenant_id)
    rows["pos_refunds"].append(
        (
            *place,
            refund.method.value,
            refund.amount_minor,
            refund.payment,
            refund.card_id,
            refund.reference,
        )
    )
    if refund.method is m.Method.CARD:
        # Money that the provider still has to give back; a worker sees to it.
        owed = (refund.reference, refund.amount_minor, record.currency, change.context.now_ms)
        rows["card_refunds"].append((*place, *owed))


def _return_told(change: Change, record: m.ReturnMade) -> dict[str, Any]:
    return {
        **_document("returnId", change, record),
        "saleId": record.sale_id,
        "lines": [
            {
                "itemId": line.sold.item_id,
                "quantity": line.quantity,
                "restock": line.restock,
                "totalMinor": line.total_minor,
            }
            for line in record.lines
        ],
        "totalMinor": record.total_minor,
        "taxMinor": sum(line.tax_minor for line in record.lines),
        "void": record.void,
    }


def _sale(change: Change, rows: Rows) -> None:
    """What returns changed of a sale; a new one is written as it was sold."""
    sale: m.Sale = change.after
    if type(change.event) is m.Sold:
        return
    refunded = sum(payment.refunded_minor for payment in sale.payments)
    row = (change.key.id, change.key.tenant_id, sale.status.value, refunded, sale.sequence)
    rows["pos_sales returned"].append(row)
    for number, line in enumerate(sale.lines):
        if line.returned:
            rows["pos_sale_lines returned"].append((change.key.id, number, line.returned))
    for number, paid in enumerate(sale.payments):
        if paid.refunded_minor:
            rows["pos_payments refunded"].append((change.key.id, number, paid.refunded_minor))


def _register(change: Change, rows: Rows) -> None:
    register: m.Register = change.after
    rows["pos_registers"].append(
        (
            change.key.id,
            change.key.tenant_id,
            register.location_id,
            register.name,
            register.discount_limit_percent,
            register.next_receipt_number,
            register.shifts,
            register.shift.id if register.shift else None,
            register.removed,
            register.sequence,
            change.context.now_ms,
        )
    )
    if register.shift:
        rows["pos_shifts"].append(_shift(change, register.shift, register.location_id))


def _shift_closed(change: Change, rows: Rows) -> None:
    event: m.ShiftClosed = change.event
    register: m.Register = change.before
    shift = register.shift
    if shift is None:
        raise ValueError("no shift was open")
    closing = (
        change.context.now_ms,
        change.context.principal,
        event.counted_minor,
        _to_json(event.counts).decode(),
        event.note,
    )
    rows["pos_shifts"].append(_shift(change, shift, register.location_id, closing))
    _tell(
        change,
        rows,
        "pos.shift.closed.v1",
        {
            "shiftId": shift.id,
            "registerId": change.key.id,
            "locationId": register.location_id,
            "number": shift.number,
            "currency": shift.currency,
            "expectedMinor": shift.expected_minor,
            "countedMinor": event.counted_minor,
        },
    )


def _shift(
    change: Change,
    shift: m.Shift,
    location_id: Any,
    closing: tuple[Any, ...] = (None, None, None, None, None),
) -> tuple[Any, ...]:
    return (
        shift.id,
        change.key.tenant_id,
        change.key.id,
        location_id,
        shift.number,
        shift.opened_by,
        shift.opened_at_ms,
        shift.opening_float_minor,
        shift.currency,
        shift.expected_minor,
        _to_json(shift.totals).decode(),
        *closing,
    )


def _cash_moved(change: Change, rows: Rows) -> None:
    event: m.CashMoved = change.event
    register: m.Register = change.after
    if register.shift is None:
        raise ValueError("no shift is open")
    rows["pos_cash_movements"].append(
        (
            change.key.id,
            register.sequence,
            change.key.tenant_id,
            register.shift.id,
            event.kind.value,
            event.amount_minor,
            event.reason,
            change.context.principal,
            change.context.now_ms,
        )
    )


def _card(change: Change, rows: Rows) -> None:
    card: m.GiftCard = change.after
    rows["gift_cards"].append(
        (
            change.key.id,
            change.key.tenant_id,
            card.currency,
            card.last_four,
            card.initial_minor,
            card.balance_minor,
            card.expires_at_ms,
            card.disabled,
            card.sequence,
            change.context.now_ms,
        )
    )


def _card_moved(change: Change, rows: Rows) -> None:
    event, card = change.event, change.after
    issued = type(event) is m.CardIssued
    rows["gift_card_movements"].append(
        (
            change.key.id,
            card.sequence,
            change.key.tenant_id,
            "issued" if issued else event.kind,
            event.amount_minor if issued else event.delta_minor,
            card.balance_minor,
            event.source_id,
            change.context.now_ms,
        )
    )


def _receipt(change: Change, given: m.Sale | m.ReturnMade, kind: str, rows: Rows) -> None:
    rows["pos_receipts"].append(
        (
            given.register_id,
            given.receipt_number,
            change.key.tenant_id,
            kind,
            change.key.id,
            given.shift_id,
            change.context.now_ms,
        )
    )


def _document(name: str, change: Change, given: m.Sale | m.ReturnMade) -> dict[str, Any]:
    return {
        name: change.key.id,
        "locationId": given.location_id,
        "registerId": given.register_id,
        "shiftId": given.shift_id,
        "receiptNumber": given.receipt_number,
        "currency": given.currency,
        "cashierId": change.context.principal,
    }


def _tell(change: Change, rows: Rows, kind: str, data: Mapping[str, Any]) -> None:
    rows["outbox"].append(
        (
            change.key.tenant_id,
            kind,
            str(change.key.id),
            change.context.now_ms,
            _to_json(data).decode(),
        )
    )


RECORDS: Mapping[type, Project] = {
    m.Sold: _sold,
    m.ReturnMade: _returned,
    m.ShiftClosed: _shift_closed,
    m.CashMoved: _cash_moved,
    m.CardIssued: _card_moved,
    m.CardMoved: _card_moved,
}

STATES: Mapping[str, Project] = {
    m.REGISTER: _register,
    m.SALE: _sale,
    m.RETURN: lambda change, rows: None,
    m.GIFT_CARD: _card,
}
