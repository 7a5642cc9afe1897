"""What purchasing brings into the family of commerce: rules, rows and events."""

from __future__ import annotations

import msgspec

from actors.composite import Module, Project, Restore, Rows
from actors.outbox import emit
from actors.purchasing import decide
from actors.purchasing import model as p
from actors.purchasing.events import (
    OrderLine,
    PurchaseCancelled,
    PurchaseOrder,
    PurchaseOrdered,
    PurchaseReceived,
)
from actors.purchasing.rows import WRITTEN, PurchaseRow
from actors.runtime.family import Change
from core.events import UNSET

_to_json = msgspec.json.Encoder().encode
_lines = msgspec.json.Decoder(tuple[p.PurchaseLine, ...]).decode


def _emitted(event: type[PurchaseOrder]) -> Project:
    """Emits that something happened to an order."""

    def record(change: Change, rows: Rows) -> None:
        order: p.Purchase = change.after
        lines = tuple(
            OrderLine(
                product_id=line.item_id,
                quantity=line.quantity,
                received=line.received,
                cancelled=line.cancelled,
                quantity_decimals=line.decimals or UNSET,
            )
            for line in order.lines
        )
        made = event(
            purchase_order_id=change.key.id,
            supplier_id=order.terms.supplier_id,
            location_id=order.terms.location_id,
            status=order.status.value,
            lines=lines,
        )
        emit(change, rows, made)

    return record


def _row(change: Change, rows: Rows) -> None:
    order: p.Purchase = change.after
    terms = order.terms
    rows["purchase_orders"].append(
        PurchaseRow(
            id=change.key.id,
            tenant_id=change.key.tenant_id,
            supplier_id=terms.supplier_id,
            location_id=terms.location_id,
            currency=terms.currency,
            reference=terms.reference,
            expected_at=terms.expected_at_ms,
            status=order.status.value,
            lines=_to_json(order.lines).decode(),
            item_ids=[line.item_id for line in order.lines],
            created_by=order.created_by,
            created_at=order.created_at_ms,
            ordered_at=order.ordered_at_ms,
            updated_at=change.context.now_ms,
            sequence=order.sequence,
        )
    )


def _restored(row: PurchaseRow) -> p.Purchase:
    terms = p.Terms(
        supplier_id=row.supplier_id,
        location_id=row.location_id,
        currency=row.currency,
        reference=row.reference,
        expected_at_ms=row.expected_at,
    )
    return p.Purchase(
        terms=terms,
        lines=_lines(row.lines),
        status=p.PurchaseStatus(row.status),
        created_by=row.created_by,
        created_at_ms=row.created_at,
        ordered_at_ms=row.ordered_at,
        sequence=row.sequence,
    )


PURCHASING_MODULE = Module(
    commands=decide.COMMANDS,
    events=decide.EVENTS,
    records={
        p.Placed: _emitted(PurchaseOrdered),
        p.GoodsReceived: _emitted(PurchaseReceived),
        p.RestCancelled: _emitted(PurchaseCancelled),
    },
    states={p.PURCHASE: _row},
    rows=WRITTEN,
    restores={p.PURCHASE: Restore(PurchaseRow, _restored)},
)
