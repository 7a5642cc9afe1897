"""What the simulated database answers when a host loads an aggregate: a row by kind of key, in
the shape of the store's own statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors.families import commerce
from actors.purchasing import model as purchasing
from actors.runtime.family import Key
from actors.stock import model as stock
from actors.stock.levels import location_of
from actors.stock.transfers import TRANSFER
from actors.till import model as till
from tests.sim.tables import Row, Tables

_to_json = msgspec.json.Encoder().encode

Read = Callable[[Tables, Key], Row | None]
_SHIFT = "shift_"


def answer(tables: Tables, key: Key) -> tuple[Any, ...] | None:
    """The columns that the store reads, in their order."""
    row = _READS[key.kind](tables, key)
    if row is None:
        return None
    return tuple(row[column] for column in commerce.restores[key.kind].row._fields)


def _by_id(table: str) -> Read:
    return lambda tables, key: tables[table].get((key.id,))


def _level(tables: Tables, key: Key) -> Row | None:
    row = tables["stock_levels"].get((key.id, location_of(key)))
    item = tables["stock_items"].get((key.id,)) or {"quantity_decimals": None}
    return row and {**row, "quantity_decimals": item["quantity_decimals"]}


def _item(tables: Tables, key: Key) -> Row | None:
    row = tables["stock_items"].get((key.id,))
    if row is None:
        return None
    stocked = sorted(place for product, place in tables["stock_levels"] if product == key.id)
    return {**row, "location_ids": stocked}


def _moved_after(tables: Tables, key: Key) -> Row:
    place, at_ms = key.detail  # type: ignore[misc]
    moved = sum(
        row["on_hand_delta"]
        for row in tables.of("stock_movements", product_id=key.id, location_id=place)
        if row["occurred_at"] > at_ms
    )
    level = tables["stock_levels"].get((key.id, place), {"sequence": 0, "on_hand": 0})
    return {**level, "moved": moved}


def _register(tables: Tables, key: Key) -> Row | None:
    row = tables["pos_registers"].get((key.id,))
    if row is None:
        return None
    shift = tables["pos_shifts"].get((row["shift_id"],), {})
    columns = commerce.restores[till.REGISTER].row._fields
    of_shift = [column for column in columns if column.startswith(_SHIFT)]
    return {**row, **{column: shift.get(column.removeprefix(_SHIFT)) for column in of_shift}}


def _sale(tables: Tables, key: Key) -> Row | None:
    row = tables["pos_sales"].get((key.id,))
    if row is None:
        return None
    lines = [
        _picked(
            line
            | {
                "parts": msgspec.Raw(line["parts"].encode()),
                "decimals": line["quantity_decimals"],
            },
            till.SaleLine,
        )
        for line in tables.of("pos_sale_lines", sale_id=key.id)
    ]
    payments = [_picked(paid, till.Payment) for paid in tables.of("pos_payments", sale_id=key.id)]
    return {**row, "lines": _to_json(lines), "payments": _to_json(payments)}


def _picked(row: Row, kind: type[msgspec.Struct]) -> list[Any]:
    return [row[field] for field in kind.__struct_fields__]


_READS: Mapping[str, Read] = {
    stock.STOCK: _level,
    stock.ITEM: _item,
    stock.RESERVATION: _by_id("reservations"),
    stock.MOVED_AFTER: _moved_after,
    TRANSFER: _by_id("stock_transfers"),
    purchasing.PURCHASE: _by_id("purchase_orders"),
    till.REGISTER: _register,
    till.SALE: _sale,
    till.GIFT_CARD: _by_id("gift_cards"),
}
