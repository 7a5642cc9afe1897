"""How events change registers, sales, returns and gift cards. None is what is not there yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from actors.till import model as m

S = TypeVar("S", m.Register, m.Sale, m.GiftCard)


def _next(state: S, **changes: Any) -> S:
    return msgspec.structs.replace(state, sequence=state.sequence + 1, **changes)


def _register_set(register: m.Register | None, event: m.RegisterSet) -> m.Register:
    if register is None:
        return m.Register(event.location_id, event.name, event.discount_limit_percent, sequence=1)
    return _next(
        register,
        location_id=event.location_id,
        name=event.name,
        discount_limit_percent=event.discount_limit_percent,
    )


def _shift_opened(register: m.Register, event: m.ShiftOpened) -> m.Register:
    shift = m.Shift(
        event.shift_id,
        register.shifts + 1,
        event.opened_by,
        event.opened_at_ms,
        event.opening_float_minor,
        event.currency,
        cash_step_minor=event.cash_step_minor,
    )
    return _next(register, shifts=shift.number, shift=shift)


_MOVED: Mapping[m.CashMove, Callable[[int], m.Totals]] = {
    m.CashMove.PAID_IN: lambda amount: m.Totals(paid_in_minor=amount),
    m.CashMove.PAID_OUT: lambda amount: m.Totals(paid_out_minor=amount),
    m.CashMove.NO_SALE: lambda _: m.Totals(no_sales=1),
}


def _cash_moved(register: m.Register, event: m.CashMoved) -> m.Register:
    return _next(register, shift=_with(register.shift, _MOVED[event.kind](event.amount_minor)))


def _receipt_issued(register: m.Register, event: m.ReceiptIssued) -> m.Register:
    return _next(
        register,
        next_receipt_number=register.next_receipt_number + 1,
        shift=_with(register.shift, event.totals),
    )


def _with(shift: m.Shift | None, totals: m.Totals) -> m.Shift:
    if shift is None:
        raise ValueError("no shift is open")
    return msgspec.structs.replace(shift, totals=shift.totals.plus(totals))


def _taken_back(sale: m.Sale, event: m.TakenBack) -> m.Sale:
    lines, payments = list(sale.lines), list(sale.payments)
    for back in event.lines:
        line = lines[back.number]
        lines[back.number] = msgspec.structs.replace(line, returned=line.returned + back.quantity)
    for refund in event.refunds:
        if refund.payment is None:
            raise ValueError("a refund of a sale is held against one of its payments")
        paid = payments[refund.payment]
        payments[refund.payment] = msgspec.structs.replace(
            paid, refunded_minor=paid.refunded_minor + refund.amount_minor
        )
    status = m.SaleStatus.PARTLY_RETURNED
    if event.void:
        status = m.SaleStatus.VOIDED
    elif all(line.returned == line.quantity for line in lines):
        status = m.SaleStatus.RETURNED
    return _next(sale, lines=tuple(lines), payments=tuple(payments), status=status)


def _card_issued(_: None, event: m.CardIssued) -> m.GiftCard:
    return m.GiftCard(
        event.currency,
        event.last_four,
        event.amount_minor,
        event.amount_minor,
        event.expires_at_ms,
        sequence=1,
    )


def _card_moved(card: m.GiftCard, event: m.CardMoved) -> m.GiftCard:
    return _next(card, balance_minor=card.balance_minor + event.delta_minor)


EVOLUTIONS: Mapping[type, Callable[[Any, Any], Any]] = {
    m.RegisterSet: _register_set,
    m.RegisterRemoved: lambda register, _: _next(register, removed=True),
    m.ShiftOpened: _shift_opened,
    m.CashMoved: _cash_moved,
    m.ShiftClosed: lambda register, _: _next(register, shift=None),
    m.ReceiptIssued: _receipt_issued,
    m.Sold: lambda _, event: event.sale,
    m.TakenBack: _taken_back,
    m.ReturnMade: lambda _, event: event,
    m.CardIssued: _card_issued,
    m.CardMoved: _card_moved,
    m.CardDisabled: lambda card, _: _next(card, disabled=True),
}


def evolve(state: Any, event: Any) -> Any:
    """The state after the event."""
    return EVOLUTIONS[type(event)](state, event)
