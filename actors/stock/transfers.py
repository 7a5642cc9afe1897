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
from actors.rules import At, Events, about, quantity_fact, refuse, unchanged
from actors.runtime.family import Change, Context, Decision, Key
from actors.stock import model as m
from actors.stock.levels import (
    item_key,
    joined,
    level,
    line_keys,
    max_on_hand,
    moves,
    shortages,
    slots,
    unfit,
)
from actors.stock.rows import TransferRow

TRANSFER = "transfer"


class TransferStatus(StrEnum):
    IN_TRANSIT = "in_transit"
    RECEIVED = "received"
    CANCELLED = "cancelled"


class Transfer(msgspec.Struct, frozen=True):
    """A transfer as it stands: one item at most once. `received` is how much of each line has come;
    empty where it came as a whole, or not at all."""

    lines: tuple[m.Line, ...]
    from_location_id: UUID
    to_location_id: UUID
    status: TransferStatus
    created_by: str
    created_at_ms: int
    closed_at_ms: int | None = None
    reference: str | None = None
    sequence: int = 1
    received: tuple[int, ...] = ()

    @property
    def outstanding(self) -> tuple[m.Line, ...]:
        """What of each line is still on its way, without those that have come."""
        if self.status is not TransferStatus.IN_TRANSIT:
            return ()
        return tuple(
            m.Line(product_id, quantity - came)
            for (product_id, quantity), came in zip(self.lines, self.came, strict=True)
            if quantity > came
        )

    @property
    def came(self) -> tuple[int, ...]:
        """How much of each line has come."""
        if self.received:
            return self.received
        is_here = self.status is TransferStatus.RECEIVED
        return tuple(quantity if is_here else 0 for _, quantity in self.lines)


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
    measures: m.Measures = ()


class ReceiveTransfer(Command[TransferReply], frozen=True):
    """All that was on its way has arrived."""

    transfer_id: UUID


class ReceiveTransferLines(Command[TransferReply], frozen=True):
    """A part has arrived: all lines, or none. A command of its own, since a host of a build before
    would pass over lines and receive everything."""

    transfer_id: UUID
    lines: tuple[m.Line, ...]


class CancelTransfer(Command[TransferReply], frozen=True):
    """What has not arrived is back where it came from."""

    transfer_id: UUID


class GetTransfer(Command[TransferReply], frozen=True):
    transfer_id: UUID


class Started(msgspec.Struct, frozen=True):
    transfer: Transfer


class Arrived(msgspec.Struct, frozen=True):
    """Of each line of the transfer, how much came now."""

    quantities: tuple[int, ...]
    at_ms: int


class Ended(msgspec.Struct, frozen=True):
    status: TransferStatus
    closed_at_ms: int


def _start(_: Transfer | None, command: StartTransfer, at: At) -> Events | Decision:
    """Refused: same_location, choose_variant, measure_changed, insufficient_stock, stock_limit."""
    if command.from_location_id == command.to_location_id:
        return refuse("same_location")
    lines = joined(command.lines)
    measures = command.measures
    source = slots(at.view, at.context, command.from_location_id, lines, measures)
    target = slots(at.view, at.context, command.to_location_id, lines, measures)
    if refused := unfit(source):
        return Decision(refused, refused=True)
    if short := shortages(source):
        return refuse("insufficient_stock", short)
    if any(
        (slot.stock.on_hand if slot.stock else 0) + slot.quantity
        > max_on_hand(slot.item, slot.decimals)
        for slot in target
    ):
        return refuse("stock_limit")
    reference = command.reference or str(command.transfer_id)
    taken = moves(source, "transferred_out", -1, reference=reference)
    if command.ship:
        given = moves(target, "shipped", 0, 0, 1, reference=reference)
    else:
        given = moves(target, "transferred_in", 1, reference=reference)
    now_ms = at.context.now_ms
    transfer = Transfer(
        lines,
        command.from_location_id,
        command.to_location_id,
        TransferStatus.IN_TRANSIT if command.ship else TransferStatus.RECEIVED,
        at.context.principal,
        now_ms,
        None if command.ship else now_ms,
        command.reference,
    )
    return [(at.key, Started(transfer)), *taken, *given]


def _receive(known: Transfer, command: ReceiveTransfer, at: At) -> Events | Decision:
    """Refused: transfer_closed."""
    if known.status is not TransferStatus.IN_TRANSIT:
        return [] if known.status is TransferStatus.RECEIVED else refuse("transfer_closed")
    return _arrive(known, known.outstanding, at)


def _receive_lines(known: Transfer, command: ReceiveTransferLines, at: At) -> Events | Decision:
    """Refused: transfer_closed, not_in_transfer, more_than_shipped."""
    if known.status is not TransferStatus.IN_TRANSIT:
        return refuse("transfer_closed")
    sent = {product_id for product_id, _ in known.lines}
    outstanding = dict(known.outstanding)
    lines = joined(command.lines)
    for product_id, quantity in lines:
        if product_id not in sent:
            return refuse("not_in_transfer", productId=str(product_id))
        if quantity > (left := outstanding.get(product_id, 0)):
            item = at.view.get(item_key(at.context, product_id))
            fact = quantity_fact("outstanding", left, item.decimals or 0 if item else 0)
            return refuse("more_than_shipped", productId=str(product_id), **fact)
    return _arrive(known, lines, at)


def _arrive(known: Transfer, lines: tuple[m.Line, ...], at: At) -> Events:
    came = dict(lines)
    target = slots(at.view, at.context, known.to_location_id, lines)
    arrived = moves(target, "transferred_in", 1, 0, -1, reference=_reference(known, at))
    quantities = tuple(came.get(product_id, 0) for product_id, _ in known.lines)
    return [(at.key, Arrived(quantities, at.context.now_ms)), *arrived]


def _cancel(known: Transfer, command: CancelTransfer, at: At) -> Events | Decision:
    """Refused: transfer_closed."""
    if known.status is not TransferStatus.IN_TRANSIT:
        return [] if known.status is TransferStatus.CANCELLED else refuse("transfer_closed")
    source = slots(at.view, at.context, known.from_location_id, known.outstanding)
    target = slots(at.view, at.context, known.to_location_id, known.outstanding)
    reference = _reference(known, at)
    back = moves(source, "transfer_cancelled", 1, reference=reference)
    gone = moves(target, "transfer_cancelled", 0, 0, -1, reference=reference)
    return [(at.key, Ended(TransferStatus.CANCELLED, at.context.now_ms)), *back, *gone]


def _reference(known: Transfer, at: At) -> str:
    return known.reference or str(at.key.id)


def _told(known: Transfer, command: Any, at: At) -> TransferReply:
    levels = tuple(
        level(slot.key, slot.stock, slot.item)
        for place in (known.from_location_id, known.to_location_id)
        for slot in slots(at.view, at.context, place, known.lines)
    )
    return TransferReply(at.key.id, known, levels)


def _goods(transfer: Transfer | StartTransfer, context: Context) -> Iterator[Key]:
    """The levels at both ends."""
    yield from line_keys(context, transfer.from_location_id, transfer.lines)
    yield from line_keys(context, transfer.to_location_id, transfer.lines)


def _rule(decide: Callable[[Any, Any, At], Events | Decision], **more: Any) -> Rule:
    return about(TRANSFER, key="transfer_id", decide=decide, reply=_told, moves=m.STOCK, **more)


COMMANDS: dict[type, Rule] = {
    StartTransfer: _rule(_start, also=_goods, may_be_new=True),
    ReceiveTransfer: _rule(_receive, then=_goods),
    ReceiveTransferLines: _rule(_receive_lines, then=_goods),
    CancelTransfer: _rule(_cancel, then=_goods),
    GetTransfer: _rule(unchanged, then=_goods),
}


def _arrived(known: Transfer, event: Arrived) -> Transfer:
    received = tuple(map(int.__add__, known.came, event.quantities))
    after = replace(known, received=received, sequence=known.sequence + 1)
    if after.outstanding:
        return after
    return replace(after, status=TransferStatus.RECEIVED, closed_at_ms=event.at_ms)


EVENTS: dict[type, Callable[[Any, Any], Transfer]] = {
    Started: lambda _, event: event.transfer,
    Arrived: _arrived,
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
        received=tuple(row.received),
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
            received=list(transfer.received),
        )
    )
