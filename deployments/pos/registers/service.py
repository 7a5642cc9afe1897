"""What is done at a register, by commands to its owner."""

from __future__ import annotations

from uuid import UUID

from actors.till.messages import (
    CloseShift,
    GetRegister,
    MoveCash,
    OpenShift,
    PutRegister,
    RegisterState,
    RemoveRegister,
)
from actors.till.model import MAX_AMOUNT_MINOR, CashMove, Count, Register, Shift
from core.errors import FieldError, ValidationFailed
from core.ids import uuid7
from core.moments import of_ms
from core.money import from_minor, to_minor
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.business.places import PLACES, location_of
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Resources
from deployments.pos.errors import NoShift, NotYourShift
from deployments.pos.registers.schemas import (
    CashOut,
    NewCashMovement,
    NewClosing,
    NewNoSale,
    NewRegister,
    NewShift,
    RegisterChanges,
    RegisterOut,
    ReportOut,
)
from deployments.pos.registers.shapes import Closing, register_out, report_out
from deployments.pos.sales.tickets import terms_at
from gateway.access import tenant_of
from gateway.schemas import Message

# Of PutRegister, in its order.
_TERMS = ("location_id", "name", "discount_limit_percent")


async def register(shared: Resources, principal: Principal, register_id: UUID) -> Register:
    """As its owner has it now. Raises NotFound."""
    return (await desk.ask(shared, principal, GetRegister(register_id))).register


async def create_register(
    shared: Resources, principal: Principal, key: RequestKey, body: NewRegister
) -> Ordered[RegisterOut]:
    """Raises NotFound for a location that is not there."""

    async def draft() -> PutRegister:
        place = location_of(principal, body.location_id)
        await PLACES.of(shared).check(tenant_of(principal), place)
        return PutRegister(uuid7(), place, body.name, body.discount_limit_percent, create=True)

    put = await desk.send(shared, principal, key, draft)
    return put.to(lambda reply: register_out(reply.register_id, reply.register))


async def change_register(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    register_id: UUID,
    body: RegisterChanges,
) -> Ordered[RegisterOut]:
    """What the body leaves out is the owner's to keep, as it is by then. Raises NotFound, also for
    a location that is not there; ShiftIsOpen."""

    async def draft() -> PutRegister:
        values = body.values()
        if "location_id" in values:
            await PLACES.of(shared).check(tenant_of(principal), values["location_id"])
        present = await register(shared, principal, register_id)
        keep = tuple(name for name in _TERMS if name not in values)
        place, name, limit = (values.get(name, getattr(present, name)) for name in _TERMS)
        return PutRegister(register_id, place, name, limit, keep=keep)

    put = await desk.send(shared, principal, key, draft)
    return put.to(lambda reply: register_out(reply.register_id, reply.register))


async def remove_register(
    shared: Resources, principal: Principal, key: RequestKey, register_id: UUID
) -> Ordered[Message]:
    """Raises NotFound, ShiftIsOpen."""
    removed = await desk.send(shared, principal, key, RemoveRegister(register_id))
    return removed.to(lambda _: Message(message="Register removed"))


async def open_shift(
    shared: Resources, principal: Principal, key: RequestKey, register_id: UUID, body: NewShift
) -> Ordered[ReportOut]:
    """Raises NotFound, ShiftIsOpen."""

    async def draft() -> OpenShift:
        found = await register(shared, principal, register_id)
        terms = await terms_at(shared, tenant_of(principal), found.location_id)
        float_minor = to_minor(body.opening_float, terms.currency, "openingFloat")
        step_minor = terms.cash_step_minor
        return OpenShift(register_id, uuid7(), float_minor, terms.currency, step_minor)

    opened = await desk.send(shared, principal, key, draft)
    return opened.to(lambda reply: report_out(register_id, _open_shift(reply.register)))


async def current_shift(shared: Resources, principal: Principal, register_id: UUID) -> ReportOut:
    """The X report. Raises NotFound, NoShift, and NotYourShift for another cashier's."""
    shift = _open_shift(await register(shared, principal, register_id))
    if principal.role is Role.CASHIER and shift.opened_by != principal.id:
        raise NotYourShift
    return report_out(register_id, shift)


async def close_shift(
    shared: Resources, principal: Principal, key: RequestKey, register_id: UUID, body: NewClosing
) -> Ordered[ReportOut]:
    """The Z report. Raises NotFound, NoShift, NotYourShift, and ValidationFailed where the two
    counts differ."""

    async def draft() -> CloseShift:
        currency = await _currency(shared, principal, register_id)
        counted_minor, counts = _counted(body, currency)
        by_manager = principal.role in MANAGEMENT
        return CloseShift(register_id, counted_minor, counts, body.note, by_manager)

    closed, receipts = await desk.send(shared, principal, key, draft)
    _, counts = _counted(body, closed.shift.currency)
    closing = Closing(
        principal.id, of_ms(closed.closed_at_ms), closed.counted_minor, counts, body.note
    )
    return Ordered(report_out(register_id, closed.shift, closing), receipts)


async def move_cash(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    register_id: UUID,
    body: NewCashMovement,
) -> Ordered[CashOut]:
    """Raises NotFound, NoShift, NotYourShift, DrawerShort, AmountLimit."""

    async def draft() -> MoveCash:
        currency = await _currency(shared, principal, register_id)
        amount_minor = to_minor(body.amount, currency, "amount")
        own_only = principal.role not in MANAGEMENT
        return MoveCash(register_id, CashMove(body.kind), amount_minor, body.reason, own_only)

    return await _moved(shared, principal, key, draft)


async def open_drawer(
    shared: Resources, principal: Principal, key: RequestKey, register_id: UUID, body: NewNoSale
) -> Ordered[CashOut]:
    """Without a sale. Raises NotFound, NoShift, NotYourShift."""
    own_only = principal.role not in MANAGEMENT
    wanted = MoveCash(register_id, CashMove.NO_SALE, 0, body.reason, own_only)
    return await _moved(shared, principal, key, wanted)


async def _moved(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: MoveCash | Draft[RegisterState],
) -> Ordered[CashOut]:
    moved, receipts = await desk.send(shared, principal, key, wanted)
    shift = _open_shift(moved.register)
    expected = from_minor(shift.expected_minor, shift.currency)
    return Ordered(CashOut(shift_id=shift.id, expected_cash=expected), receipts)


async def _currency(shared: Resources, principal: Principal, register_id: UUID) -> str:
    """The register's: its open shift's, else, for a repeat of what is done, its location's."""
    found = await register(shared, principal, register_id)
    if found.shift is not None:
        return found.shift.currency
    return (await terms_at(shared, tenant_of(principal), found.location_id)).currency


def _open_shift(found: Register) -> Shift:
    if found.shift is None:
        raise NoShift
    return found.shift


def _counted(body: NewClosing, currency: str) -> tuple[int, tuple[Count, ...]]:
    counts = tuple(
        Count(to_minor(counted.value, currency, f"denominations[{place}].value"), counted.pieces)
        for place, counted in enumerate(body.denominations or ())
    )
    summed = sum(count.value_minor * count.pieces for count in counts)
    if summed > MAX_AMOUNT_MINOR:
        raise ValidationFailed([FieldError("denominations", "come to too much")])
    if body.counted is None:
        return summed, counts
    counted_minor = to_minor(body.counted, currency, "counted")
    if body.denominations is not None and summed != counted_minor:
        raise ValidationFailed([FieldError("counted", "is not the sum of the denominations")])
    return counted_minor, counts
