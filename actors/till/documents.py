"""What sales and returns write: rows, the receipt's number, the event that tells of it."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.composite import Rows
from actors.outbox import emit
from actors.runtime.family import Change
from actors.till import model as m
from actors.till.events import ReturnedLine, SaleCompleted, SaleReturned, SoldLine

_to_json = msgspec.json.Encoder().encode


def sold(change: Change, rows: Rows) -> None:
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
    emit(change, rows, _sale_completed(change, event))


def _sale_row(change: Change, event: m.Sold) -> tuple[Any, ...]:
    sale = event.sale
    cashier, sold_at_ms = _sold_by(change, event)
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
        cashier,
        sold_at_ms,
        sale.sequence,
        *_uploaded(change, event.offline),
    )


def _sold_by(change: Change, event: m.Sold) -> tuple[str, int]:
    """Who sold, and when in ms since the epoch."""
    if event.offline is None:
        return change.context.principal, change.context.now_ms
    return event.offline.cashier, event.offline.occurred_at_ms


def _uploaded(change: Change, offline: m.Offline | None) -> tuple[Any, ...]:
    if offline is None:
        return (None,) * 5
    return (
        offline.client_sale_id,
        offline.number,
        offline.digest,
        change.context.principal,
        change.context.now_ms,
    )


def _sale_completed(change: Change, event: m.Sold) -> SaleCompleted:
    sale = event.sale
    cashier, sold_at_ms = _sold_by(change, event)
    return SaleCompleted(
        sale_id=change.key.id,
        location_id=sale.location_id,
        register_id=sale.register_id,
        shift_id=sale.shift_id,
        receipt_number=sale.receipt_number,
        currency=sale.currency,
        cashier_id=cashier,
        sold_at_ms=sold_at_ms,
        offline=event.offline is not None,
        customer_id=event.customer_id,
        total_minor=sum(line.total_minor for line in sale.lines),
        tax_minor=sum(line.tax_minor for line in sale.lines),
        discount_minor=sum(line.discount_minor for line in sale.lines),
        tips_minor=sale.tips_minor,
        lines=tuple(
            SoldLine(line.item_id, line.product_id, line.quantity, line.total_minor)
            for line in sale.lines
            if line.card_id is None
        ),
    )


def returned(change: Change, rows: Rows) -> None:
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
    emit(change, rows, _sale_returned(change, record))


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


def _sale_returned(change: Change, record: m.ReturnMade) -> SaleReturned:
    return SaleReturned(
        return_id=change.key.id,
        sale_id=record.sale_id,
        location_id=record.location_id,
        register_id=record.register_id,
        shift_id=record.shift_id,
        receipt_number=record.receipt_number,
        currency=record.currency,
        cashier_id=change.context.principal,
        lines=tuple(
            ReturnedLine(
                item_id=line.sold.item_id,
                quantity=line.quantity,
                restock=line.restock,
                total_minor=line.total_minor,
            )
            for line in record.lines
        ),
        total_minor=record.total_minor,
        tax_minor=sum(line.tax_minor for line in record.lines),
        void=record.void,
    )


def sale(change: Change, rows: Rows) -> None:
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
