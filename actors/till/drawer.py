"""The rules of registers and their drawers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from actors.composite import Rule
from actors.rules import At, Events, about, refuse, unchanged
from actors.runtime.family import Context, Decision, Key, View
from actors.till import messages as t
from actors.till import model as m


def register_key(context: Context, register_id: UUID) -> Key:
    return Key(m.REGISTER, context.shard, context.tenant_id, register_id)


def live_register(view: View, context: Context, register_id: UUID) -> m.Register | None:
    """The register, if there is one that was not removed."""
    register: m.Register | None = view.get(register_key(context, register_id))
    return None if register is None or register.removed else register


def _put(register: m.Register | None, command: t.PutRegister, at: At) -> Events | Decision:
    """Refused: not_found, shift_open."""
    wanted = m.RegisterSet(command.location_id, command.name, command.discount_limit_percent)
    if register is None:
        return [(at.key, wanted)] if command.create else refuse("not_found")
    wanted = replace(wanted, **{name: getattr(register, name) for name in command.keep})
    if register.shift and wanted.location_id != register.location_id:
        return refuse("shift_open")
    present = m.RegisterSet(register.location_id, register.name, register.discount_limit_percent)
    return [] if wanted == present else [(at.key, wanted)]


def _remove(register: m.Register, command: t.RemoveRegister, at: At) -> Events | Decision:
    """Refused: shift_open."""
    return refuse("shift_open") if register.shift else [(at.key, m.RegisterRemoved())]


def _open_shift(register: m.Register, command: t.OpenShift, at: At) -> Events | Decision:
    """Refused: shift_open."""
    if register.shift:
        return refuse("shift_open")
    opened = m.ShiftOpened(
        command.shift_id,
        at.context.principal,
        at.context.now_ms,
        command.opening_float_minor,
        command.currency,
        command.cash_step_minor,
    )
    return [(at.key, opened)]


def _move_cash(register: m.Register, command: t.MoveCash, at: At) -> Events | Decision:
    """Refused: shift_closed, not_your_shift, drawer_short, amount_limit."""
    if register.shift is None:
        return refuse("shift_closed")
    if command.own_only and register.shift.opened_by != at.context.principal:
        return refuse("not_your_shift")
    expected = register.shift.expected_minor
    if command.kind is m.CashMove.PAID_OUT and command.amount_minor > expected:
        return refuse("drawer_short", expectedMinor=expected, currency=register.shift.currency)
    if command.kind is m.CashMove.PAID_IN and expected + command.amount_minor > m.MAX_AMOUNT_MINOR:
        return refuse("amount_limit")
    return [(at.key, m.CashMoved(command.kind, command.amount_minor, command.reason))]


def _close_shift(register: m.Register, command: t.CloseShift, at: At) -> Decision:
    """Refused: shift_closed, not_your_shift. The reply is the shift as it was."""
    shift = register.shift
    if shift is None:
        return refuse("shift_closed")
    if shift.opened_by != at.context.principal and not command.by_manager:
        return refuse("not_your_shift")
    closed = m.ShiftClosed(command.counted_minor, command.counts, command.note)
    reply = t.ShiftResult(at.key.id, shift, command.counted_minor, at.context.now_ms)
    return Decision(reply, [(at.key, closed)], (at.key,))


def _state(register: m.Register, command: Any, at: At) -> t.RegisterState:
    return t.RegisterState(at.key.id, register)


def _rule(decide: Callable[[Any, Any, At], Events | Decision], *, may_be_new: bool = False) -> Rule:
    """One that is removed is as if it had never been."""
    return about(
        m.REGISTER,
        key="register_id",
        decide=decide,
        reply=_state,
        is_there=lambda register: not register.removed,
        may_be_new=may_be_new,
    )


COMMANDS: dict[type, Rule] = {
    t.PutRegister: _rule(_put, may_be_new=True),
    t.RemoveRegister: _rule(_remove),
    t.OpenShift: _rule(_open_shift),
    t.MoveCash: _rule(_move_cash),
    t.CloseShift: _rule(_close_shift),
    t.GetRegister: _rule(unchanged),
}
