"""What the simulated database answers when a host loads an aggregate: a row by kind of key, in
the shape of the store's own statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from actors.purchasing import model as purchasing
from actors.runtime.family import Key
from actors.stock import model as stock
from actors.stock.levels import location_of
from actors.stock.transfers import TRANSFER
from actors.till import model as till
from tests.sim.tables import Row, Tables

_to_json = msgspec.json.Encoder().encode
_LEVEL = (
    "on_hand",
    "reserved",
    "incoming",
    "low_stock_threshold",
    "low",
    "floor",
    "counted_at",
    "sequence",
)
_RESERVATION = (
    "product_ids",
    "quantities",
    "status",
    "created_by",
    "created_at",
    "expires_at",
    "reference",
    "location_id",
    "sequence",
)
_REGISTER = (
    "location_id",
    "name",
    "discount_limit_percent",
    "next_receipt_number",
    "shifts",
    "removed",
    "sequence",
)
_SHIFT = (
    "id",
    "number",
    "opened_by",
    "opened_at",
    "opening_float_minor",
    "currency",
    "totals",
)
_SALE = (
    "register_id",
    "location_id",
    "shift_id",
    "receipt_number",
    "currency",
    "status",
    "tips_minor",
)
_LINE = (
    "item_id",
    "product_id",
    "name",
    "sku",
    "quantity",
    "unit_price_minor",
    "discount_minor",
    "tax_rate_ppm",
    "tax_minor",
    "total_minor",
    "parts",
    "card_id",
    "returned",
)
_PAYMENT = ("method", "amount_minor", "reference", "card_id", "refunded_minor")
_CARD = (
    "currency",
    "last_four",
    "initial_minor",
    "balance_minor",
    "expires_at",
    "disabled",
    "sequence",
)
_TRANSFER = (
    "product_ids",
    "quantities",
    "from_location_id",
    "to_location_id",
    "status",
    "created_by",
    "created_at",
    "closed_at",
    "reference",
    "sequence",
)
_PURCHASE = (
    "supplier_id",
    "location_id",
    "currency",
    "reference",
    "expected_at",
    "status",
    "lines",
    "created_by",
    "created_at",
    "ordered_at",
    "sequence",
)

Read = Callable[[Tables, Key], tuple[Any, ...] | None]


def _picked(row: Row, columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


def _by_id(table: str, columns: Sequence[str]) -> Read:
    def read(tables: Tables, key: Key) -> tuple[Any, ...] | None:
        row = tables[table].get((key.id,))
        return None if row is None else _picked(row, columns)

    return read


def _level(tables: Tables, key: Key) -> tuple[Any, ...] | None:
    row = tables["stock_levels"].get((key.id, location_of(key)))
    return None if row is None else _picked(row, _LEVEL)


def _item(tables: Tables, key: Key) -> tuple[Any, ...] | None:
    row = tables["stock_items"].get((key.id,))
    if row is None:
        return None
    stocked = sorted(place for product, place in tables["stock_levels"] if product == key.id)
    return row["discontinued"], row["backorder_limit"], stocked, row["sequence"], row["parent"]


def _moved_after(tables: Tables, key: Key) -> tuple[Any, ...]:
    place, at_ms = key.detail  # type: ignore[misc]
    moved = sum(
        row["on_hand_delta"]
        for row in tables.of("stock_movements", product_id=key.id, location_id=place)
        if row["occurred_at"] > at_ms
    )
    level = tables["stock_levels"].get((key.id, place))
    return (level["sequence"], level["on_hand"], moved) if level else (0, 0, moved)


def _register(tables: Tables, key: Key) -> tuple[Any, ...] | None:
    row = tables["pos_registers"].get((key.id,))
    if row is None:
        return None
    shift = tables["pos_shifts"].get((row["shift_id"],))
    opened = _picked(shift, _SHIFT) if shift else (None,) * len(_SHIFT)
    return (*_picked(row, _REGISTER), *opened)


def _sale(tables: Tables, key: Key) -> tuple[Any, ...] | None:
    row = tables["pos_sales"].get((key.id,))
    if row is None:
        return None
    lines = [
        _picked(line | {"parts": msgspec.Raw(line["parts"].encode())}, _LINE)
        for line in tables.of("pos_sale_lines", sale_id=key.id)
    ]
    payments = [_picked(paid, _PAYMENT) for paid in tables.of("pos_payments", sale_id=key.id)]
    rest = (row["sequence"], row["upload_digest"])
    return (*_picked(row, _SALE), _to_json(lines), _to_json(payments), *rest)


READS: Mapping[str, Read] = {
    stock.STOCK: _level,
    stock.ITEM: _item,
    stock.RESERVATION: _by_id("reservations", _RESERVATION),
    stock.MOVED_AFTER: _moved_after,
    TRANSFER: _by_id("stock_transfers", _TRANSFER),
    purchasing.PURCHASE: _by_id("purchase_orders", _PURCHASE),
    till.REGISTER: _register,
    till.SALE: _sale,
    till.GIFT_CARD: _by_id("gift_cards", _CARD),
}
