"""What purchasing brings into the family of commerce: rules, rows and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.composite import Module, Rows, Rule
from actors.purchasing import decide
from actors.purchasing import model as p
from actors.runtime.family import Change

_to_json = msgspec.json.Encoder().encode
_lines = msgspec.json.Decoder(tuple[p.PurchaseLine, ...]).decode


def _told(kind: str) -> Any:
    """Records that something happened to an order: ids, quantities and no costs."""

    def record(change: Change, rows: Rows) -> None:
        order: p.Purchase = change.after
        data = {
            "purchaseOrderId": str(change.key.id),
            "supplierId": str(order.terms.supplier_id),
            "locationId": str(order.terms.location_id),
            "status": order.status.value,
            "lines": [
                {
                    "productId": str(line.item_id),
                    "quantity": line.quantity,
                    "received": line.received,
                    "cancelled": line.cancelled,
                }
                for line in order.lines
            ],
        }
        rows["outbox"].append(
            (
                change.key.tenant_id,
                f"inventory.purchase_order.{kind}.v1",
                str(change.key.id),
                change.context.now_ms,
                _to_json(data).decode(),
            )
        )

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
    replies=(p.PurchaseReply,),
    events=decide.EVENTS,
    records={
        p.Placed: _told("ordered"),
        p.GoodsReceived: _told("received"),
        p.RestCancelled: _told("cancelled"),
    },
    states={p.PURCHASE: _row},
    restores={p.PURCHASE: _restored},
)
