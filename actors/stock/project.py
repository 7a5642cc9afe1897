"""What a batch of stock changes writes: net rows for states, one row per movement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from actors.runtime.family import Change, Key, Timer
from actors.stock import model as m

# Asked by exact type: an isinstance of these structs goes through ABCMeta, which is slow.
_TIMED = frozenset({m.Opened, m.Extended})


class StockRows(NamedTuple):
    """Rows by table, each a tuple of that table's columns in the loader's order."""

    levels: list[tuple[Any, ...]]
    reservations: list[tuple[Any, ...]]
    movements: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]


def project(changes: Sequence[Change]) -> StockRows:
    """Rows of all changes of one transaction, in the order in which they happened."""
    rows = StockRows([], [], [], [])
    last: dict[Key, Change] = {}
    for change in changes:
        last[change.key] = change
        if type(change.event) is m.Movement:
            rows.movements.append(_movement(change))
        if change.key.kind == m.STOCK and change.after.low and not _was_low(change):
            rows.events.append(_event(change, "inventory.stock.low.v1"))
    for key, change in last.items():
        if key.kind == m.STOCK:
            rows.levels.append(_level(change))
            rows.events.append(_event(change, "inventory.stock.updated.v1"))
        else:
            rows.reservations.append(_reservation(change))
    return rows


def timers(change: Change) -> Iterable[Timer]:
    """An open hold falls due when its grace is over."""
    if type(change.event) in _TIMED:
        due_ms = change.after.expires_at_ms + m.GRACE_MS
        yield Timer(due_ms, change.key.tenant_id, m.Expire(change.key.id))


def _was_low(change: Change) -> bool:
    return change.before is None or bool(change.before.low)


def _level(change: Change) -> tuple[Any, ...]:
    stock: m.Stock = change.after
    return (
        change.key.id,
        change.key.tenant_id,
        stock.on_hand,
        stock.reserved,
        stock.low_stock_threshold,
        stock.low,
        stock.discontinued,
        stock.sequence,
        change.context.now_ms,
    )


def _reservation(change: Change) -> tuple[Any, ...]:
    held: m.Reservation = change.after
    return (
        change.key.id,
        change.key.tenant_id,
        change.key.shard,
        str(held.status),
        [line.product_id for line in held.lines],
        [line.quantity for line in held.lines],
        held.reference,
        held.created_by,
        held.created_at_ms,
        held.expires_at_ms,
        held.sequence,
    )


def _movement(change: Change) -> tuple[Any, ...]:
    movement: m.Movement = change.event
    stock: m.Stock = change.after
    return (
        change.key.id,
        stock.sequence,
        change.key.tenant_id,
        movement.kind,
        movement.on_hand_delta,
        movement.reserved_delta,
        stock.on_hand,
        stock.reserved,
        movement.reason,
        movement.reference,
        movement.reservation_id,
        change.context.command_id,
        change.context.principal,
        change.context.now_ms,
    )


def _event(change: Change, kind: str) -> tuple[Any, ...]:
    stock: m.Stock = change.after
    data = {
        "productId": str(change.key.id),
        "onHand": stock.on_hand,
        "reserved": stock.reserved,
        "available": stock.available,
        "lowStockThreshold": stock.low_stock_threshold,
        "sequence": stock.sequence,
    }
    return (
        change.key.tenant_id,
        kind,
        str(change.key.id),
        change.context.now_ms,
        msgspec.json.encode(data).decode(),
    )
