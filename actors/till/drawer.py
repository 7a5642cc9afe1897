"""The rules of registers and their drawers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from actors.runtime.family import Context, Decision, Key, View
from actors.stock.levels import refuse
from actors.till import messages as t
from actors.till import model as m
from actors.till.evolve import evolve


def register_key(context: Context, register_id: UUID) -> Key:
    return Key(m.REGISTER, context.shard, context.tenant_id, register_id)


def keys(command: Any, context: Context, view: View) -> Iterator[Key]:
    """Of every command that is about one register."""
    yield register_key(context, command.register_id)


def live_register(view: View, context: Context, register_id: UUID) -> m.Register | None:
    """The register, if there is one that was not removed."""
    register: m.Register | None = view.get(register_key(context, register_id))
    return None if register is None or register.removed else register


def put_register(view: View, command: t.PutRegister, context: Context) -> Decision:
    key = register_key(context, command.register_id)
    register = live_register(view, context, command.register_id)
    if register is None and not command.create:
        return refuse("not_found")
    if register is not None and register.shift and command.location_id != register.location_id:
        return refuse("shift_open")
    wanted = m.RegisterSet(command.location_id, command.name, command.discount_limit_percent)
    same = register is not None and wanted == m.RegisterSet(
        register.location_id, register.name, register.discount_limit_percent
    )
    return _done(key, register, [] if same else [wanted])


def remove_register(view: View, command: t.RemoveRegister, context: Context) -> Decision:
    register = live_register(view, context, command.register_id)
    if register is None:
        return refuse("not_found")
    if register.shift:
        return refuse("shift_open")
    return _done(register_key(context, command.register_id), register, [m.RegisterRemoved()])


def open_shift(view: View, command: t.OpenShift, context: Context) -> Decision:
    register = live_register(view, context, command.register_id)
    if register is None:
        return refuse("not_found")
    if register.shift:
        return refuse("shift_open")
    opened = m.ShiftOpened(
        command.shift_id,
        context.principal,
        context.now_ms,
        command.opening_float_minor,
        command.currency,
    )
    return _done(register_key(context, command.register_id), register, [opened])


def move_cash(view: View, command: t.MoveCash, context: Context) -> Decision:
    register = live_register(view, context, command.register_id)
    if register is None:
        return refuse("not_found")
    if register.shift is None:
        return refuse("shift_closed")
    expected = register.shift.expected_minor
    if command.kind is m.CashMove.PAID_OUT and command.amount_minor > expected:
        return refuse("drawer_short", expectedMinor=expected, currency=register.shift.currency)
    if command.kind is m.CashMove.PAID_IN and expected + command.amount_minor > m.MAX_AMOUNT_MINOR:
        return refuse("amount_limit")
    moved = m.CashMoved(command.kind, command.amount_minor, command.reason)
    return _done(register_key(context, command.register_id), register, [moved])


def close_shift(view: View, command: t.CloseShift, context: Context) -> Decision:
    register = live_register(view, context, command.register_id)
    if register is None:
        return refuse("not_found")
    shift = register.shift
    if shift is None:
        return refuse("shift_closed")
    if shift.opened_by != context.principal and not command.by_manager:
        return refuse("not_your_shift")
    closed = m.ShiftClosed(command.counted_minor, command.counts, command.note)
    key = register_key(context, command.register_id)
    reply = t.ShiftResult(key.id, shift, command.counted_minor, context.now_ms)
    return Decision(reply, [(key, closed)], (key,))


def get_register(view: View, command: t.GetRegister, context: Context) -> Decision:
    register = live_register(view, context, command.register_id)
    if register is None:
        return refuse("not_found")
    return Decision(t.RegisterState(command.register_id, register))


def _done(key: Key, register: m.Register | None, events: list[Any]) -> Decision:
    for event in events:
        register = evolve(register, event)
    if register is None:
        raise ValueError("a register is made by its first event")
    return Decision(t.RegisterState(key.id, register), [(key, one) for one in events], (key,))
