"""What stock brings into the family of commerce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.composite import Module
from actors.runtime.family import Timer
from actors.stock import changes, counts, parents, project, reservations, transfers
from actors.stock import model as m
from actors.stock.evolve import EVENTS


def _stock(row: Sequence[Any]) -> m.Stock:
    return m.Stock(*row)


def _item(row: Sequence[Any]) -> m.Item:
    discontinued, backorder_limit, location_ids, sequence, parent = row
    return m.Item(discontinued, backorder_limit, tuple(location_ids), sequence, parent)


def _reservation(row: Sequence[Any]) -> m.Reservation:
    products, quantities, status, by, created_ms, expires_ms, reference, location, sequence = row
    return m.Reservation(
        tuple(map(m.Line, products, quantities)),
        m.Status(status),
        by,
        created_ms,
        expires_ms,
        reference,
        location,
        sequence,
    )


def _open_holds(row: Sequence[Any]) -> Any:
    return row[0]


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
        m.Late: project.late,
        m.Repaired: project.repaired,
        m.ThresholdSet: project.crossed,
    },
    restores={
        m.STOCK: _stock,
        m.ITEM: _item,
        m.RESERVATION: _reservation,
        m.OPEN_HOLDS: _open_holds,
        m.MOVED_AFTER: counts.MovedAfter._make,
        m.BOOKS: counts.Books._make,
        transfers.TRANSFER: transfers.restore,
    },
    timers={m.Opened: project.expiry, m.Extended: project.expiry},
    due={m.RESERVATION: _expiry},
    creates=frozenset((m.Opened,)),
)
