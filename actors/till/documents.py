"""What sales and returns write: rows, the receipt's number, the event that tells of it."""

from __future__ import annotations

import msgspec

from actors.composite import Rows
from actors.outbox import emit
from actors.runtime.family import Change
from actors.till import model as m
from actors.till.events import ReturnedLine, SaleCompleted, SaleReturned, SoldLine
from actors.till.rows import (
    CardRefundRow,
    PaymentChange,
    PaymentRow,
    ReceiptRow,
    RefundRow,
    ReturnLineRow,
    ReturnRow,
    SaleChange,
    SaleLineChange,
    SaleRow,
)
from core.events import UNSET

_to_json = msgspec.json.Encoder().encode


def sold(change: Change, rows: Rows) -> None:
    event: m.Sold = change.event
    sale, tenant = event.sale, change.key.tenant_id
    row = _sale_row(change, event)
    if event.offline:
        row = _uploaded(row, change, event.offline)
    rows["pos_sales"].append(row)
    for number, line in enumerate(sale.lines):
        # A plain tuple, in the order of `SaleLineRow`: with names a long sale would cost 4 % more.
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
                line.decimals,
                line.unit,
            )
        )
    for number, paid in enumerate(sale.payments):
        rows["pos_payments"].append(
            PaymentRow(
                sale_id=change.key.id,
                number=number,
                tenant_id=tenant,
                method=paid.method.value,
                amount_minor=paid.amount_minor,
                reference=paid.reference,
                card_id=paid.card_id,
            )
        )
    _receipt(change, sale, "sale", rows)
    emit(change, rows, _sale_completed(change, event))


def _sale_row(change: Change, event: m.Sold) -> SaleRow:
    sale = event.sale
    cashier, sold_at_ms = _sold_by(change, event)
    return SaleRow(
        id=change.key.id,
        tenant_id=change.key.tenant_id,
        location_id=sale.location_id,
        register_id=sale.register_id,
        shift_id=sale.shift_id,
        receipt_number=sale.receipt_number,
        status=sale.status.value,
        currency=sale.currency,
        total_minor=sum(line.total_minor for line in sale.lines),
        tax_minor=sum(line.tax_minor for line in sale.lines),
        discount_minor=sum(line.discount_minor for line in sale.lines),
        tips_minor=sale.tips_minor,
        tendered_minor=event.tendered_minor,
        change_minor=event.change_minor,
        prices_include_tax=event.prices_include_tax,
        customer_id=event.customer_id,
        note=event.note,
        reservation_id=event.reservation_id,
        created_by=cashier,
        created_at=sold_at_ms,
        sequence=sale.sequence,
        tax_exemption=event.tax_exemption,
        rounding_minor=sale.rounding_minor,
    )


def _sold_by(change: Change, event: m.Sold) -> tuple[str, int]:
    """Who sold, and when in ms since the epoch."""
    if event.offline is None:
        return change.context.principal, change.context.now_ms
    return event.offline.cashier, event.offline.occurred_at_ms


def _uploaded(row: SaleRow, change: Change, offline: m.Offline) -> SaleRow:
    """The row of a sale that was made offline, and uploaded now."""
    return row._replace(
        client_sale_id=offline.client_sale_id,
        offline_number=offline.number,
        upload_digest=offline.digest,
        uploaded_by=change.context.principal,
        uploaded_at=change.context.now_ms,
        clock_ahead_ms=offline.clock_ahead_ms,
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
            SoldLine(
                line.item_id,
                line.product_id,
                line.quantity,
                line.total_minor,
                line.decimals or UNSET,
            )
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
            ReturnLineRow(
                return_id=change.key.id,
                number=number,
                tenant_id=tenant,
                line_number=line.number,
                item_id=line.sold.item_id,
                name=line.sold.name,
                sku=line.sold.sku,
                quantity=line.quantity,
                restock=line.restock,
                tax_rate_ppm=line.sold.tax_rate_ppm,
                tax_minor=line.tax_minor,
                discount_minor=line.discount_minor,
                total_minor=line.total_minor,
                restocked_as=line.restocked_as,
                quantity_decimals=line.sold.decimals,
                unit=line.sold.unit,
            )
        )
    for number, refund in enumerate(record.refunds):
        _refunded(change, record, number, refund, rows)
    _receipt(change, record, "return", rows)
    emit(change, rows, _sale_returned(change, record))


def _return_row(change: Change, record: m.ReturnMade) -> ReturnRow:
    return ReturnRow(
        id=change.key.id,
        tenant_id=change.key.tenant_id,
        sale_id=record.sale_id,
        location_id=record.location_id,
        register_id=record.register_id,
        shift_id=record.shift_id,
        receipt_number=record.receipt_number,
        currency=record.currency,
        total_minor=record.total_minor,
        tax_minor=sum(line.tax_minor for line in record.lines),
        tips_minor=record.tips_minor,
        reason=record.reason,
        void=record.void,
        created_by=change.context.principal,
        created_at=change.context.now_ms,
    )


def _refunded(
    change: Change, record: m.ReturnMade, number: int, refund: m.Refund, rows: Rows
) -> None:
    rows["pos_refunds"].append(
        RefundRow(
            return_id=change.key.id,
            number=number,
            tenant_id=change.key.tenant_id,
            method=refund.method.value,
            amount_minor=refund.amount_minor,
            payment_number=refund.payment,
            card_id=refund.card_id,
            reference=refund.reference,
        )
    )
    if refund.method is m.Method.CARD:
        # Money that the provider still has to give back; a worker sees to it.
        rows["card_refunds"].append(
            CardRefundRow(
                return_id=change.key.id,
                number=number,
                tenant_id=change.key.tenant_id,
                charge_id=refund.reference,
                amount_minor=refund.amount_minor,
                currency=record.currency,
                created_at=change.context.now_ms,
            )
        )


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
                quantity_decimals=line.sold.decimals or UNSET,
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
    rows["pos_sales returned"].append(
        SaleChange(
            id=change.key.id,
            tenant_id=change.key.tenant_id,
            status=sale.status.value,
            refunded_minor=sum(payment.refunded_minor for payment in sale.payments),
            sequence=sale.sequence,
        )
    )
    for number, line in enumerate(sale.lines):
        if line.returned:
            rows["pos_sale_lines returned"].append(
                SaleLineChange(
                    sale_id=change.key.id,
                    number=number,
                    returned=line.returned,
                )
            )
    for number, paid in enumerate(sale.payments):
        if paid.refunded_minor:
            rows["pos_payments refunded"].append(
                PaymentChange(
                    sale_id=change.key.id,
                    number=number,
                    refunded_minor=paid.refunded_minor,
                )
            )


def _receipt(change: Change, given: m.Sale | m.ReturnMade, kind: str, rows: Rows) -> None:
    rows["pos_receipts"].append(
        ReceiptRow(
            register_id=given.register_id,
            number=given.receipt_number,
            tenant_id=change.key.tenant_id,
            kind=kind,
            subject_id=change.key.id,
            shift_id=given.shift_id,
            given_at=change.context.now_ms,
        )
    )
