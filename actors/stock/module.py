"""What stock brings into the family of commerce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.composite import Module, Restore
from actors.runtime.family import Timer
from actors.stock import changes, counts, parents, project, reservations, transfers
from actors.stock import model as m
from actors.stock.evolve import EVENTS
from actors.stock.rows import (
    WRITTEN,
    ItemRead,
    LevelRead,
    OpenHolds,
    ReservationRow,
    TransferRow,
)


def _stock(row: LevelRead) -> m.Stock:
    return m.Stock(
        on_hand=row.on_hand,
        reserved=row.reserved,
        incoming=row.incoming,
        low_stock_threshold=row.low_stock_threshold,
        low=row.low,
        min_available=row.floor,
        counted_at_ms=row.counted_at,
        sequence=row.sequence,
        decimals=row.quantity_decimals or 0,
    )


def _item(row: ItemRead) -> m.Item:
    return m.Item(
        discontinued=row.discontinued,
        backorder_limit=row.backorder_limit,
        location_ids=tuple(row.location_ids),
        sequence=row.sequence,
        parent=row.parent,
        decimals=row.quantity_decimals,
    )


def _reservation(row: ReservationRow) -> m.Reservation:
    return m.Reservation(
        lines=tuple(map(m.Line, row.product_ids, row.quantities)),
        status=m.Status(row.status),
        created_by=row.created_by,
        created_at_ms=row.created_at,
        expires_at_ms=row.expires_at,
        reference=row.reference,
        location_id=row.location_id,
        sequence=row.sequence,
    )


def _as_read(row: Any) -> Any:
    """Rules look at the row itself."""
    return row


def _expiry(row: Sequence[Any]) -> Timer:
    expires_at_ms, tenant_id, reservation_id = row
    return Timer(expires_at_ms + m.GRACE_MS, tenant_id, m.Expire(reservation_id))


STOCK_MODULE = Module(
    commands=changes.COMMANDS
    | counts.COMMANDS
    | parents.COMMANDS
    | reservations.COMMANDS
    | transfers.COMMANDS,
    events=EVENTS | transfers.EVENTS,
    states={
        m.STOCK: project.level,
        m.ITEM: project.item,
        m.RESERVATION: project.reservation,
        transfers.TRANSFER: transfers.project,
    },
    records={
        m.Movement: project.moved,
        m.Counted: project.counted,
        m.Backdated: project.backdated,
        m.Repaired: project.repaired,
        m.ThresholdSet: project.crossed,
    },
    rows=WRITTEN,
    restores={
        m.STOCK: Restore(LevelRead, _stock),
        m.ITEM: Restore(ItemRead, _item),
        m.RESERVATION: Restore(ReservationRow, _reservation),
        m.OPEN_HOLDS: Restore(OpenHolds, lambda row: row.ids),
        m.MOVED_AFTER: Restore(counts.MovedAfter, _as_read),
        m.BOOKS: Restore(counts.Books, _as_read),
        transfers.TRANSFER: Restore(TransferRow, transfers.restore),
    },
    timers={m.Opened: project.expiry, m.Extended: project.expiry},
    due={m.RESERVATION: _expiry},
    creates=frozenset((m.Opened,)),
)
