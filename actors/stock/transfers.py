"""Transfers of goods between locations: at once, or shipped first and received later. Pure.

All lines move, or none; both ledgers are written in one commit. Goods on their way count as
`incoming` at the destination.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from actors.composite import Rows, Rule
from actors.messages import Command, Reply
from actors.runtime.family import Change, Context, Decision, Key, View
from actors.stock import model as m
from actors.stock.levels import (
    Events,
    joined,
    level,
    levels_after,
    line_keys,
    moves,
    parent,
    refuse,
    shortages,
    slots,
)
from actors.stock.rows import TransferRow

TRANSFER = "transfer"


class TransferStatus(StrEnum):
    IN_TRANSIT = "in_transit"
    RECEIVED = "received"
    CANCELLED = "cancelled"


class Transfer(msgspec.Struct, frozen=True):
    """A transfer as it stands: one item at most once."""

    lines: tuple[m.Line, ...]
    from_location_id: UUID
    to_location_id: UUID
    status: TransferStatus
    created_by: str
    created_at_ms: int
    closed_at_ms: int | None = None
    reference: str | None = None
    sequence: int = 1


class TransferReply(Reply, frozen=True):
    """A transfer, and the levels of its goods: at the source, then at the destination."""

    transfer_id: UUID
    transfer: Transfer
    levels: tuple[m.Level, ...]


class StartTransfer(Command[TransferReply], frozen=True):
    """`transfer_id` is new. The goods arrive at once, or with `ship` when they are received."""

    transfer_id: UUID
    lines: tuple[m.Line, ...]
    from_location_id: UUID
    to_location_id: UUID
    ship: bool = False
    reference: str | None = None


class ReceiveTransfer(Command[TransferReply], frozen=True):
    """The goods have arrived."""

    transfer_id: UUID


class CancelTransfer(Command[TransferReply], frozen=True):
    """The goods are back where they came from."""

    transfer_id: UUID


class GetTransfer(Command[TransferReply], frozen=True):
    transfer_id: UUID


class Started(msgspec.Struct, frozen=True):
    transfer: Transfer


class Ended(msgspec.Struct, frozen=True):
    status: TransferStatus
    closed_at_ms: int


def transfer_key(context: Context, transfer_id: UUID) -> Key:
    return Key(TRANSFER, context.shard, context.tenant_id, transfer_id)


def _start(view: View, command: StartTransfer, context: Context) -> Decision:
    if command.from_location_id == command.to_location_id:
        return refuse("same_location")
    lines = joined(command.lines)
    source = slots(view, context, command.from_location_id, lines)
    target = slots(view, context, command.to_location_id, lines)
    if refused := parent(source):
        return Decision(refused, refused=True)
    if short := shortages(source):
        return refuse("insufficient_stock", short)
    if any(
        (slot.stock.on_hand if slot.stock else 0) + slot.quantity > m.MAX_ON_HAND for slot in target
    ):
        return refuse("stock_limit")
    reference = command.reference or str(command.transfer_id)
    taken = moves(source, "transferred_out", -1, reference=reference)
    if command.ship:
        given = moves(target, "shipped", 0, 0, 1, reference=reference)
    else:
        given = moves(target, "transferred_in", 1, reference=reference)
    transfer = Transfer(
        lines,
        command.from_location_id,
        command.to_location_id,
        TransferStatus.IN_TRANSIT if command.ship else TransferStatus.RECEIVED,
        context.principal,
        context.now_ms,
        None if command.ship else context.now_ms,
        command.reference,
    )
    key = transfer_key(context, command.transfer_id)
    levels = (*levels_after(source, taken), *levels_after(target, given))
    events = [(key, Started(transfer)), *taken, *given]
    touched = (key, *(slot.key for slot in (*source, *target)))
    return Decision(TransferReply(key.id, transfer, levels), events, touched)


def _receive(view: View, command: ReceiveTransfer, context: Context) -> Decision:
    return _end(view, command.transfer_id, TransferStatus.RECEIVED, context)


def _cancel(view: View, command: CancelTransfer, context: Context) -> Decision:
    return _end(view, command.transfer_id, TransferStatus.CANCELLED, context)


def _end(view: View, transfer_id: UUID, status: TransferStatus, context: Context) -> Decision:
    key = transfer_key(context, transfer_id)
    known: Transfer | None = view.get(key)
    if known is None:
        return refuse("not_found")
    if known.status is status:
        return _told(view, key, known, context)
    if known.status is not TransferStatus.IN_TRANSIT:
        return refuse("transfer_closed")
    source = slots(view, context, known.from_location_id, known.lines)
    target = slots(view, context, known.to_location_id, known.lines)
    reference = known.reference or str(transfer_id)
    if status is TransferStatus.RECEIVED:
        back: Events = []
        arrived = moves(target, "transferred_in", 1, 0, -1, reference=reference)
        before = tuple(level(slot.key, slot.stock, slot.item) for slot in source)
    else:
        back = moves(source, "transfer_cancelled", 1, reference=reference)
        arrived = moves(target, "transfer_cancelled", 0, 0, -1, reference=reference)
        before = levels_after(source, back)
    ended = Ended(status, context.now_ms)
    events = [(key, ended), *back, *arrived]
    reply = TransferReply(
        transfer_id, EVENTS[Ended](known, ended), (*before, *levels_after(target, arrived))
    )
    touched = (key, *(event_key for event_key, _ in (*back, *arrived)))
    return Decision(reply, events, touched)


def _get(view: View, command: GetTransfer, context: Context) -> Decision:
    key = transfer_key(context, command.transfer_id)
    known: Transfer | None = view.get(key)
    return refuse("not_found") if known is None else _told(view, key, known, context)


def _told(view: View, key: Key, transfer: Transfer, context: Context) -> Decision:
    places = (transfer.from_location_id, transfer.to_location_id)
    levels = tuple(
        level(slot.key, slot.stock, slot.item)
        for place in places
        for slot in slots(view, context, place, transfer.lines)
    )
    return Decision(TransferReply(key.id, transfer, levels), touched=(key,))


def _start_keys(command: StartTransfer, context: Context, view: View) -> Iterator[Key]:
    yield transfer_key(context, command.transfer_id)
    yield from line_keys(context, command.from_location_id, command.lines)
    yield from line_keys(context, command.to_location_id, command.lines)


def _keys(command: Any, context: Context, view: View) -> Iterator[Key]:
    key = transfer_key(context, command.transfer_id)
    yield key
    known: Transfer | None = view.get(key)
    if known is not None:
        yield from line_keys(context, known.from_location_id, known.lines)
        yield from line_keys(context, known.to_location_id, known.lines)


COMMANDS: dict[type, Rule] = {
    StartTransfer: Rule(_start_keys, _start),
    ReceiveTransfer: Rule(_keys, _receive),
    CancelTransfer: Rule(_keys, _cancel),
    GetTransfer: Rule(_keys, _get),
}

EVENTS: dict[type, Callable[[Any, Any], Transfer]] = {
    Started: lambda _, event: event.transfer,
    Ended: lambda known, event: replace(
        known,
        status=event.status,
        closed_at_ms=event.closed_at_ms,
        sequence=known.sequence + 1,
    ),
}


def restore(row: TransferRow) -> Transfer:
    """A transfer as it was read."""
    return Transfer(
        lines=tuple(map(m.Line, row.product_ids, row.quantities)),
        from_location_id=row.from_location_id,
        to_location_id=row.to_location_id,
        status=TransferStatus(row.status),
        created_by=row.created_by,
        created_at_ms=row.created_at,
        closed_at_ms=row.closed_at,
        reference=row.reference,
        sequence=row.sequence,
    )


def project(change: Change, rows: Rows) -> None:
    """The transfer as a batch leaves it."""
    transfer: Transfer = change.after
    rows["stock_transfers"].append(
        TransferRow(
            id=change.key.id,
            tenant_id=change.key.tenant_id,
            from_location_id=transfer.from_location_id,
            to_location_id=transfer.to_location_id,
            status=transfer.status.value,
            product_ids=[product_id for product_id, _ in transfer.lines],
            quantities=[quantity for _, quantity in transfer.lines],
            reference=transfer.reference,
            created_by=transfer.created_by,
            created_at=transfer.created_at_ms,
            closed_at=transfer.closed_at_ms,
            sequence=transfer.sequence,
        )
    )
