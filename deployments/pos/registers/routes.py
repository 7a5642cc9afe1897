"""Registers, their shifts, their drawers, and the reports of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from core.errors import Conflict, NotFound
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, Manager, Staff, page
from deployments.pos.errors import AmountLimit, DrawerShort, NoShift, NotYourShift, ShiftIsOpen
from deployments.pos.parameters import RegisterId, ShiftId, cashier_filter
from deployments.pos.registers import service
from deployments.pos.registers.schemas import (
    CashMovementOut,
    CashOut,
    NewCashMovement,
    NewClosing,
    NewNoSale,
    NewRegister,
    NewShift,
    RegisterChanges,
    RegisterOut,
    RegisterQuery,
    ReportOut,
    ShiftRow,
)
from deployments.pos.registers.shapes import (
    cash_movement_out,
    register_of,
    register_out,
    report_of,
    shift_row,
)
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message, Page, PageQuery, page_of
from store.kit.engine import Scope
from store.pos import reading

router = Router()


@router.post(
    "/registers",
    summary="Create a register",
    status_code=201,
    responses=responses(NotFound, Conflict),
)
async def create_register(
    shared: Shared, principal: Manager, key: Key, body: NewRegister
) -> Ordered[RegisterOut]:
    """A till at a location. Its receipts are numbered from 1, without gaps."""
    return await service.create_register(shared, principal, key, body)


@router.get("/registers", summary="List registers")
async def list_registers(
    shared: Shared, principal: Staff, query: Annotated[RegisterQuery, Query()]
) -> Page[RegisterOut]:
    """The business's registers, by name."""
    return await page(
        shared,
        principal,
        lambda tx: reading.registers(tx, query.location_id, query.span),
        register_of,
    )


@router.get("/registers/{registerId}", summary="Get a register", responses=responses(NotFound))
async def get_register(
    shared: Shared, principal: Staff, register_id: RegisterId
) -> Envelope[RegisterOut]:
    """A register as it stands now."""
    found = await service.register(shared, principal, register_id)
    return Envelope(data=register_out(register_id, found))


@router.put(
    "/registers/{registerId}",
    summary="Change a register",
    responses=responses(NotFound, ShiftIsOpen),
)
async def change_register(
    shared: Shared, principal: Manager, key: Key, register_id: RegisterId, body: RegisterChanges
) -> Ordered[RegisterOut]:
    """Another name, discount limit or location; the latter while no shift is open."""
    return await service.change_register(shared, principal, key, register_id, body)


@router.delete(
    "/registers/{registerId}",
    summary="Delete a register",
    responses=responses(NotFound, ShiftIsOpen),
)
async def remove_register(
    shared: Shared, principal: Manager, key: Key, register_id: RegisterId
) -> Ordered[Message]:
    """Takes a register out of use. What it sold stays."""
    return await service.remove_register(shared, principal, key, register_id)


@router.post(
    "/registers/{registerId}/shifts",
    summary="Open a shift",
    status_code=201,
    made_at="/api/pos/shifts/{id}/report",
    responses=responses(NotFound, ShiftIsOpen),
)
async def open_shift(
    shared: Shared, principal: Staff, key: Key, register_id: RegisterId, body: NewShift
) -> Ordered[ReportOut]:
    """Opens the drawer's day with what is in it."""
    return await service.open_shift(shared, principal, key, register_id, body)


@router.get(
    "/registers/{registerId}/shifts/current",
    summary="Get the X report of the open shift",
    responses=responses(NotFound, NoShift, NotYourShift),
)
async def current_shift(
    shared: Shared, principal: Staff, register_id: RegisterId
) -> Envelope[ReportOut]:
    """The X report: the open shift so far. A cashier's own only."""
    return Envelope(data=await service.current_shift(shared, principal, register_id))


@router.post(
    "/registers/{registerId}/shifts/close",
    summary="Close the shift",
    responses=responses(NotFound, NoShift, NotYourShift),
)
async def close_shift(
    shared: Shared, principal: Staff, key: Key, register_id: RegisterId, body: NewClosing
) -> Ordered[ReportOut]:
    """The Z report: what should be in the drawer and what was counted. The person that opened the
    shift may close it, and any manager, so that none is stuck."""
    return await service.close_shift(shared, principal, key, register_id, body)


@router.get(
    "/registers/{registerId}/shifts",
    summary="List the shifts of a register",
    responses=responses(NotFound),
)
async def list_shifts(
    shared: Shared,
    principal: Staff,
    register_id: RegisterId,
    query: Annotated[PageQuery, Query()],
) -> Page[ShiftRow]:
    """A register's shifts, latest first; a cashier sees their own."""
    await service.register(shared, principal, register_id)
    return await page(
        shared,
        principal,
        lambda tx: reading.shifts(tx, register_id, cashier_filter(principal), query.span),
        shift_row,
    )


@router.get(
    "/shifts/{shiftId}/report", summary="Get the report of a shift", responses=responses(NotFound)
)
async def shift_report(shared: Shared, principal: Staff, shift_id: ShiftId) -> Envelope[ReportOut]:
    """The Z report of a closed shift, as it was; the X report of an open one."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        row = await reading.shift(tx, shift_id)
    if row is None or cashier_filter(principal) not in (None, row["opened_by"]):
        raise NotFound("There is no such shift here.")
    return Envelope(data=report_of(row))


@router.get(
    "/shifts/{shiftId}/cash-movements",
    summary="List the cash movements of a shift",
    responses=responses(NotFound),
)
async def list_cash_movements(
    shared: Shared,
    principal: Staff,
    shift_id: ShiftId,
    query: Annotated[PageQuery, Query()],
) -> Page[CashMovementOut]:
    """The drawer's book of a shift beside its sales, in order; a cashier's own only."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        shift = await reading.shift(tx, shift_id)
        if shift is None or cashier_filter(principal) not in (None, shift["opened_by"]):
            raise NotFound("There is no such shift here.")
        found = await reading.cash_movements(tx, shift_id, query.span)
    return page_of(found.map(lambda row: cash_movement_out(row, shift["currency"])))


@router.post(
    "/registers/{registerId}/cash-movements",
    summary="Pay cash in or out",
    responses=responses(NotFound, NoShift, NotYourShift, DrawerShort, AmountLimit),
)
async def move_cash(
    shared: Shared, principal: Staff, key: Key, register_id: RegisterId, body: NewCashMovement
) -> Ordered[CashOut]:
    """Money put into the drawer or taken out of it beside sales, never more than is in it.
    Only the person that opened the shift may, and managers."""
    return await service.move_cash(shared, principal, key, register_id, body)


@router.post(
    "/registers/{registerId}/no-sale",
    summary="Open the drawer without a sale",
    responses=responses(NotFound, NoShift, NotYourShift),
)
async def no_sale(
    shared: Shared, principal: Staff, key: Key, register_id: RegisterId, body: NewNoSale
) -> Ordered[CashOut]:
    """The drawer is opened without a sale; the report counts how often. Only the
    person that opened the shift may, and managers."""
    return await service.open_drawer(shared, principal, key, register_id, body)
