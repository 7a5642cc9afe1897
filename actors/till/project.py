"""What a batch of the till writes: what happened once, in its order; states net."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from actors.composite import Project, Rows
from actors.outbox import emit
from actors.runtime.family import Change
from actors.till import documents
from actors.till import model as m
from actors.till.events import ShiftClosed
from actors.till.rows import (
    CashMovementRow,
    GiftCardMovementRow,
    GiftCardRow,
    RegisterRow,
    ShiftRow,
)

_to_json = msgspec.json.Encoder().encode


def _register(change: Change, rows: Rows) -> None:
    register: m.Register = change.after
    rows["pos_registers"].append(
        RegisterRow(
            id=change.key.id,
            tenant_id=change.key.tenant_id,
            location_id=register.location_id,
            name=register.name,
            discount_limit_percent=register.discount_limit_percent,
            next_receipt_number=register.next_receipt_number,
            shifts=register.shifts,
            shift_id=register.shift.id if register.shift else None,
            removed=register.removed,
            sequence=register.sequence,
            updated_at=change.context.now_ms,
        )
    )
    if register.shift:
        rows["pos_shifts"].append(_shift(change, register.shift, register.location_id))


def _shift_closed(change: Change, rows: Rows) -> None:
    event: m.ShiftClosed = change.event
    register: m.Register = change.before
    shift = register.shift
    if shift is None:
        raise ValueError("no shift was open")
    row = _shift(change, shift, register.location_id)._replace(
        closed_at=change.context.now_ms,
        closed_by=change.context.principal,
        counted_minor=event.counted_minor,
        counts=_to_json(event.counts).decode(),
        note=event.note,
    )
    rows["pos_shifts"].append(row)
    closed = ShiftClosed(
        shift_id=shift.id,
        register_id=change.key.id,
        location_id=register.location_id,
        number=shift.number,
        currency=shift.currency,
        expected_minor=shift.expected_minor,
        counted_minor=event.counted_minor,
    )
    emit(change, rows, closed)


def _shift(change: Change, shift: m.Shift, location_id: UUID) -> ShiftRow:
    return ShiftRow(
        id=shift.id,
        tenant_id=change.key.tenant_id,
        register_id=change.key.id,
        location_id=location_id,
        number=shift.number,
        opened_by=shift.opened_by,
        opened_at=shift.opened_at_ms,
        opening_float_minor=shift.opening_float_minor,
        currency=shift.currency,
        expected_minor=shift.expected_minor,
        totals=_to_json(shift.totals).decode(),
        cash_step_minor=shift.cash_step_minor,
    )


def _cash_moved(change: Change, rows: Rows) -> None:
    event: m.CashMoved = change.event
    register: m.Register = change.after
    if register.shift is None:
        raise ValueError("no shift is open")
    rows["pos_cash_movements"].append(
        CashMovementRow(
            register_id=change.key.id,
            sequence=register.sequence,
            tenant_id=change.key.tenant_id,
            shift_id=register.shift.id,
            kind=event.kind.value,
            amount_minor=event.amount_minor,
            reason=event.reason,
            created_by=change.context.principal,
            occurred_at=change.context.now_ms,
        )
    )


def _card(change: Change, rows: Rows) -> None:
    card: m.GiftCard = change.after
    rows["gift_cards"].append(
        GiftCardRow(
            id=change.key.id,
            tenant_id=change.key.tenant_id,
            currency=card.currency,
            last_four=card.last_four,
            initial_minor=card.initial_minor,
            balance_minor=card.balance_minor,
            expires_at=card.expires_at_ms,
            disabled=card.disabled,
            sequence=card.sequence,
            updated_at=change.context.now_ms,
        )
    )


def _card_moved(change: Change, rows: Rows) -> None:
    event, card = change.event, change.after
    issued = type(event) is m.CardIssued
    rows["gift_card_movements"].append(
        GiftCardMovementRow(
            card_id=change.key.id,
            sequence=card.sequence,
            tenant_id=change.key.tenant_id,
            kind="issued" if issued else event.kind,
            delta_minor=event.amount_minor if issued else event.delta_minor,
            balance_minor=card.balance_minor,
            source_id=event.source_id,
            occurred_at=change.context.now_ms,
        )
    )


RECORDS: Mapping[type, Project] = {
    m.Sold: documents.sold,
    m.ReturnMade: documents.returned,
    m.ShiftClosed: _shift_closed,
    m.CashMoved: _cash_moved,
    m.CardIssued: _card_moved,
    m.CardMoved: _card_moved,
}

STATES: Mapping[str, Project] = {
    m.REGISTER: _register,
    m.SALE: documents.sale,
    m.RETURN: lambda change, rows: None,
    m.GIFT_CARD: _card,
}
