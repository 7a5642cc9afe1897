"""Registers, their shifts, their drawers, and the reports of them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from actors.till import messages as t
from actors.till import model as m
from core.errors import FieldError, NotFound, ValidationFailed
from core.ids import uuid7
from core.moments import of_ms
from core.money import from_minor, to_minor
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.business.places import PLACES, location_of
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos import records
from deployments.pos import schemas as s
from deployments.pos import views as v
from deployments.pos.errors import AmountLimit, DrawerShort, NoShift, NotYourShift, ShiftIsOpen
from deployments.pos.router import Key, Manager, RegisterId, ShiftId, Till, own_eyes, receipt
from deployments.pos.sales.service import terms_at
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page, PageQuery, page_of
from store.kit.engine import Scope
from store.pos import reading

router = Router()


@router.post(
    "/registers", summary="Create a register", status_code=201, responses=responses(NotFound)
)
async def create_register(
    shared: Shared, principal: Manager, key: Key, body: s.RegisterBody, response: Response
) -> Envelope[a.RegisterOut]:
    """A till at a location. Its receipts are numbered from 1, without gaps."""
    return await _register(shared, principal, key, uuid7(), body, response, create=True)


@router.get("/registers", summary="List registers")
async def list_registers(
    shared: Shared, principal: Till, query: Annotated[s.LocationQuery, Query()]
) -> Page[a.RegisterOut]:
    """The business's registers, by name."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.registers(tx, query.location_id, query.span)
    return page_of(found.map(records.register))


@router.get("/registers/{registerId}", summary="Get a register", responses=responses(NotFound))
async def get_register(
    shared: Shared, principal: Till, register_id: RegisterId
) -> Envelope[a.RegisterOut]:
    """A register as it stands now."""
    found = await _state(shared, principal, register_id)
    return Envelope(data=v.register_out(register_id, found))


@router.put(
    "/registers/{registerId}",
    summary="Change a register",
    responses=responses(NotFound, ShiftIsOpen),
)
async def change_register(
    shared: Shared,
    principal: Manager,
    key: Key,
    register_id: RegisterId,
    body: s.RegisterBody,
    response: Response,
) -> Envelope[a.RegisterOut]:
    """Another name, discount limit or location; the latter while no shift is open."""
    return await _register(shared, principal, key, register_id, body, response)


@router.delete(
    "/registers/{registerId}",
    summary="Delete a register",
    responses=responses(NotFound, ShiftIsOpen),
)
async def remove_register(
    shared: Shared, principal: Manager, key: Key, register_id: RegisterId
) -> Message:
    """Takes a register out of use. What it sold stays."""
    wanted = t.RemoveRegister(register_id)
    await desk.send(shared, principal, key, wanted)
    return Message(message="Register removed")


@router.post(
    "/registers/{registerId}/shifts",
    summary="Open a shift",
    status_code=201,
    responses=responses(NotFound, ShiftIsOpen),
)
async def open_shift(
    shared: Shared,
    principal: Till,
    key: Key,
    register_id: RegisterId,
    body: s.OpenBody,
    response: Response,
) -> Envelope[a.ReportOut]:
    """Opens the drawer's day with what is in it."""

    async def draft() -> t.OpenShift:
        register = await _state(shared, principal, register_id)
        terms = await terms_at(shared, tenant_of(principal), register.location_id)
        float_minor = to_minor(body.opening_float, terms.currency, "openingFloat")
        return t.OpenShift(register_id, uuid7(), float_minor, terms.currency)

    reply, receipts = await desk.send(shared, principal, key, draft)
    receipt(response, receipts)
    return Envelope(data=v.report_out(register_id, _open(reply.register)))


@router.get(
    "/registers/{registerId}/shifts/current",
    summary="Get the X report of the open shift",
    responses=responses(NotFound, NoShift),
)
async def current_shift(
    shared: Shared, principal: Till, register_id: RegisterId
) -> Envelope[a.ReportOut]:
    """The X report: the open shift so far. A cashier's own only."""
    shift = _open(await _state(shared, principal, register_id))
    if principal.role is Role.CASHIER and shift.opened_by != principal.id:
        raise NotYourShift
    return Envelope(data=v.report_out(register_id, shift))


@router.post(
    "/registers/{registerId}/shifts/close",
    summary="Close the shift",
    responses=responses(NotFound, NoShift, NotYourShift),
)
async def close_shift(
    shared: Shared,
    principal: Till,
    key: Key,
    register_id: RegisterId,
    body: s.CloseBody,
    response: Response,
) -> Envelope[a.ReportOut]:
    """The Z report: what should be in the drawer and what was counted. Whoever opened the shift
    may close it, and any manager, so that none is stuck."""

    async def draft() -> t.CloseShift:
        currency = await _currency(shared, principal, register_id)
        counted_minor, counts = _counted(body, currency)
        by_manager = principal.role in MANAGEMENT
        return t.CloseShift(register_id, counted_minor, counts, body.note, by_manager)

    done, receipts = await desk.send(shared, principal, key, draft)
    receipt(response, receipts)
    _, counts = _counted(body, done.shift.currency)
    closing = v.Closing(
        principal.id, of_ms(done.closed_at_ms), done.counted_minor, counts, body.note
    )
    return Envelope(data=v.report_out(register_id, done.shift, closing))


@router.get(
    "/registers/{registerId}/shifts",
    summary="List the shifts of a register",
    responses=responses(NotFound),
)
async def list_shifts(
    shared: Shared,
    principal: Till,
    register_id: RegisterId,
    query: Annotated[PageQuery, Query()],
) -> Page[a.ShiftRow]:
    """A register's shifts, latest first; a cashier sees their own."""
    await _state(shared, principal, register_id)
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.shifts(tx, register_id, own_eyes(principal), query.span)
    return page_of(found.map(records.shift_row))


@router.get(
    "/shifts/{shiftId}/report", summary="Get the report of a shift", responses=responses(NotFound)
)
async def shift_report(shared: Shared, principal: Till, shift_id: ShiftId) -> Envelope[a.ReportOut]:
    """The Z report of a closed shift, as it was; the X report of an open one."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        row = await reading.shift(tx, shift_id)
    if row is None or own_eyes(principal) not in (None, row["opened_by"]):
        raise NotFound("There is no such shift here.")
    return Envelope(data=records.report(row))


@router.get(
    "/shifts/{shiftId}/cash-movements",
    summary="List the cash movements of a shift",
    responses=responses(NotFound),
)
async def list_cash_movements(
    shared: Shared,
    principal: Till,
    shift_id: ShiftId,
    query: Annotated[PageQuery, Query()],
) -> Page[a.CashMovementOut]:
    """The drawer's book of a shift beside its sales, in order; a cashier's own only."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        shift = await reading.shift(tx, shift_id)
        if shift is None or own_eyes(principal) not in (None, shift["opened_by"]):
            raise NotFound("There is no such shift here.")
        found = await reading.cash_movements(tx, shift_id, query.span)
    return page_of(found.map(lambda row: records.cash_movement(row, shift["currency"])))


@router.post(
    "/registers/{registerId}/cash-movements",
    summary="Pay cash in or out",
    responses=responses(NotFound, NoShift, DrawerShort, AmountLimit),
)
async def move_cash(
    shared: Shared,
    principal: Till,
    key: Key,
    register_id: RegisterId,
    body: s.CashBody,
    response: Response,
) -> Envelope[a.CashOut]:
    """Money put into the drawer or taken out of it beside sales, never more than is in it."""

    async def draft() -> t.MoveCash:
        currency = await _currency(shared, principal, register_id)
        amount_minor = to_minor(body.amount, currency, "amount")
        return t.MoveCash(register_id, m.CashMove(body.kind), amount_minor, body.reason)

    return await _moved(shared, principal, key, draft, response)


@router.post(
    "/registers/{registerId}/no-sale",
    summary="Open the drawer without a sale",
    responses=responses(NotFound, NoShift),
)
async def no_sale(
    shared: Shared,
    principal: Till,
    key: Key,
    register_id: RegisterId,
    body: s.ReasonBody,
    response: Response,
) -> Envelope[a.CashOut]:
    """The drawer is opened without a sale; the report counts how often."""
    wanted = t.MoveCash(register_id, m.CashMove.NO_SALE, 0, body.reason)
    return await _moved(shared, principal, key, wanted, response)


async def _register(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    register_id: UUID,
    body: s.RegisterBody,
    response: Response,
    *,
    create: bool = False,
) -> Envelope[a.RegisterOut]:
    async def draft() -> t.PutRegister:
        place = location_of(principal, body.location_id)
        await PLACES.of(shared).check(tenant_of(principal), place)
        limit = body.discount_limit_percent
        return t.PutRegister(register_id, place, body.name, limit, create)

    reply, receipts = await desk.send(shared, principal, key, draft)
    receipt(response, receipts)
    return Envelope(data=v.register_out(reply.register_id, reply.register))


async def _moved(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: t.MoveCash | Draft[t.RegisterState],
    response: Response,
) -> Envelope[a.CashOut]:
    reply, receipts = await desk.send(shared, principal, key, wanted)
    receipt(response, receipts)
    shift = _open(reply.register)
    expected = from_minor(shift.expected_minor, shift.currency)
    return Envelope(data=a.CashOut(shift_id=shift.id, expected_cash=expected))


async def _state(shared: Resources, principal: Principal, register_id: UUID) -> m.Register:
    asked = t.GetRegister(register_id)
    found = await desk.ask(shared, principal, asked)
    return found.register


async def _currency(shared: Resources, principal: Principal, register_id: UUID) -> str:
    """The register's: its open shift's, else, for a repeat of what is done, its location's."""
    register = await _state(shared, principal, register_id)
    if register.shift is not None:
        return register.shift.currency
    return (await terms_at(shared, tenant_of(principal), register.location_id)).currency


def _open(register: m.Register) -> m.Shift:
    if register.shift is None:
        raise NoShift
    return register.shift


def _counted(body: s.CloseBody, currency: str) -> tuple[int, tuple[m.Count, ...]]:
    counts = tuple(
        m.Count(to_minor(one.value, currency, f"denominations[{place}].value"), one.pieces)
        for place, one in enumerate(body.denominations or ())
    )
    summed = sum(count.value_minor * count.pieces for count in counts)
    if summed > m.MAX_AMOUNT_MINOR:
        raise ValidationFailed([FieldError("denominations", "come to too much")])
    if body.counted is None:
        return summed, counts
    counted_minor = to_minor(body.counted, currency, "counted")
    if body.denominations is not None and summed != counted_minor:
        raise ValidationFailed([FieldError("counted", "is not the sum of the denominations")])
    return counted_minor, counts
