"""What a batch of the till writes: what happened once, in its order; states net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.composite import Project, Rows
from actors.outbox import emit
from actors.runtime.family import Change
from actors.till import documents
from actors.till import model as m
from actors.till.events import ShiftClosed

_to_json = msgspec.json.Encoder().encode


def _register(change: Change, rows: Rows) -> None:
    register: m.Register = change.after
    rows["pos_registers"].append(
        (
            change.key.id,
            change.key.tenant_id,
            register.location_id,
            register.name,
            register.discount_limit_percent,
            register.next_receipt_number,
            register.shifts,
            register.shift.id if register.shift else None,
            register.removed,
            register.sequence,
            change.context.now_ms,
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
    closing = (
        change.context.now_ms,
        change.context.principal,
        event.counted_minor,
        _to_json(event.counts).decode(),
        event.note,
    )
    rows["pos_shifts"].append(_shift(change, shift, register.location_id, closing))
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


def _shift(
    change: Change,
    shift: m.Shift,
    location_id: Any,
    closing: tuple[Any, ...] = (None, None, None, None, None),
) -> tuple[Any, ...]:
    return (
        shift.id,
        change.key.tenant_id,
        change.key.id,
        location_id,
        shift.number,
        shift.opened_by,
        shift.opened_at_ms,
        shift.opening_float_minor,
        shift.currency,
        shift.expected_minor,
        _to_json(shift.totals).decode(),
        *closing,
    )


def _cash_moved(change: Change, rows: Rows) -> None:
    event: m.CashMoved = change.event
    register: m.Register = change.after
    if register.shift is None:
        raise ValueError("no shift is open")
    rows["pos_cash_movements"].append(
        (
            change.key.id,
            register.sequence,
            change.key.tenant_id,
            register.shift.id,
            event.kind.value,
            event.amount_minor,
            event.reason,
            change.context.principal,
            change.context.now_ms,
        )
    )


def _card(change: Change, rows: Rows) -> None:
    card: m.GiftCard = change.after
    rows["gift_cards"].append(
        (
            change.key.id,
            change.key.tenant_id,
            card.currency,
            card.last_four,
            card.initial_minor,
            card.balance_minor,
            card.expires_at_ms,
            card.disabled,
            card.sequence,
            change.context.now_ms,
        )
    )


def _card_moved(change: Change, rows: Rows) -> None:
    event, card = change.event, change.after
    issued = type(event) is m.CardIssued
    rows["gift_card_movements"].append(
        (
            change.key.id,
            card.sequence,
            change.key.tenant_id,
            "issued" if issued else event.kind,
            event.amount_minor if issued else event.delta_minor,
            card.balance_minor,
            event.source_id,
            change.context.now_ms,
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
