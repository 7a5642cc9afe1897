"""What purchasing brings into the family of commerce: rules, rows and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.composite import Module, Project, Rows, Rule
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
from actors.runtime.family import Change

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
        (
            change.key.id,
            change.key.tenant_id,
            terms.supplier_id,
            terms.location_id,
            terms.currency,
            terms.reference,
            terms.expected_at_ms,
            order.status.value,
            _to_json(order.lines).decode(),
            [line.item_id for line in order.lines],
            order.created_by,
            order.created_at_ms,
            order.ordered_at_ms,
            change.context.now_ms,
            order.sequence,
        )
    )


def _restored(row: Sequence[Any]) -> p.Purchase:
    supplier, location, currency, reference, expected, status, lines, by, made, ordered, n = row
    terms = p.Terms(supplier, location, currency, reference, expected)
    return p.Purchase(terms, _lines(lines), p.PurchaseStatus(status), by, made, ordered, n)


PURCHASING_MODULE = Module(
    commands={
        p.PutPurchase: Rule(decide.key_alone, decide.put),
        p.PlacePurchase: Rule(decide.keys, decide.place),
        p.ReceivePurchase: Rule(decide.keys, decide.receive),
        p.CancelPurchase: Rule(decide.keys, decide.cancel),
        p.GetPurchase: Rule(decide.key_alone, decide.get),
    },
    events=decide.EVENTS,
    records={
        p.Placed: _emitted(PurchaseOrdered),
        p.GoodsReceived: _emitted(PurchaseReceived),
        p.RestCancelled: _emitted(PurchaseCancelled),
    },
    states={p.PURCHASE: _row},
    restores={p.PURCHASE: _restored},
)
