"""What comes back: returns against a receipt, voids, and returns without one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from actors.till import messages as t
from actors.till import model as m
from core.errors import Forbidden, NotFound, StockLimitReached
from core.ids import uuid7
from core.moments import of_ms
from core.money import from_minor
from core.principal import MANAGEMENT, Principal
from core.request import RequestKey
from deployments.business.places import location_of
from deployments.kit import desk
from deployments.kit.desk import Draft
from deployments.kit.resources import Resources, Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos import errors as e
from deployments.pos import records
from deployments.pos import schemas as s
from deployments.pos import views as v
from deployments.pos.gift_cards import codes
from deployments.pos.router import Key, Manager, ReturnId, SaleId, Till, own_eyes, receipt
from deployments.pos.sales import service as selling
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Page, PageQuery, page_of
from store.kit.engine import Scope
from store.pos import reading

router = Router()

RETURNING = responses(
    NotFound,
    Forbidden,
    e.NoShift,
    e.CurrencyMismatch,
    e.LineNotFound,
    e.MoreThanSold,
    e.MoreThanPaid,
    e.DrawerShort,
    e.GiftCardUsed,
    e.GiftCardNotFound,
    e.GiftCardDisabled,
    StockLimitReached,
)


@router.post(
    "/sales/{saleId}/returns",
    summary="Return goods of a sale",
    status_code=201,
    responses=RETURNING,
)
async def return_goods(
    shared: Shared,
    principal: Till,
    key: Key,
    sale_id: SaleId,
    body: s.ReturnBody,
    response: Response,
) -> Envelope[a.ReturnOut]:
    """Some or all units of a sale come back, at any register: never more than were sold, never
    more money than was paid. Anyone at a till may do it with the receipt in hand."""
    new_card = card_id = None
    if body.refund_to is s.RefundTo.STORE_CREDIT:
        new_card = _credit(shared, principal, key)
    if body.gift_card_code is not None:
        card_id = codes.card_id(tenant_of(principal), body.gift_card_code)
    wanted = t.Return(
        uuid7(),
        sale_id,
        body.register_id,
        tuple(t.Back(line.number - 1, line.quantity, line.restock) for line in body.lines),
        body.refund_to.method,
        card_id,
        new_card,
        body.reason,
        by_manager=principal.role in MANAGEMENT,
    )
    return await _returned(shared, principal, key, wanted, response)


@router.post(
    "/sales/{saleId}/void",
    summary="Void a sale",
    status_code=201,
    responses=RETURNING | responses(e.VoidTooLate, e.AlreadyReturned),
)
async def void(
    shared: Shared,
    principal: Manager,
    key: Key,
    sale_id: SaleId,
    body: s.ReasonBody,
    response: Response,
) -> Envelope[a.ReturnOut]:
    """Takes a whole sale back in its own shift: all goods to the shelf, all money, tips too, to
    the tenders that it came from."""

    async def draft() -> t.Return:
        async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
            found = await reading.sale(tx, sale_id)
        if found is None:
            raise NotFound("There is no such sale here.")
        register_id = found[0]["register_id"]
        return t.Return(
            uuid7(), sale_id, register_id, (), reason=body.reason, void=True, by_manager=True
        )

    return await _returned(shared, principal, key, draft, response)


@router.post(
    "/returns",
    summary="Return goods without a receipt",
    status_code=201,
    responses=RETURNING | responses(e.WrongLocation),
)
async def return_without_receipt(
    shared: Shared, principal: Manager, key: Key, body: s.UnreceiptedBody, response: Response
) -> Envelope[a.ReturnOut]:
    """Goods come back without a receipt, at what they cost today, for cash or store credit."""
    new_card = None
    if body.refund_to is s.RefundTo.STORE_CREDIT:
        new_card = _credit(shared, principal, key)

    async def draft() -> t.ReturnUnreceipted:
        ticket = await selling.ticket(shared, principal, body.location_id, body.lines)
        return t.ReturnUnreceipted(
            uuid7(),
            body.register_id,
            location_of(principal, body.location_id),
            ticket.currency,
            ticket.lines,
            tuple(line.restock for line in body.lines),
            m.Method(body.refund_to.value),
            new_card,
            body.reason,
            by_manager=True,
        )

    return await _returned(shared, principal, key, draft, response)


@router.get(
    "/sales/{saleId}/returns", summary="List the returns of a sale", responses=responses(NotFound)
)
async def list_returns(
    shared: Shared, principal: Till, sale_id: SaleId, query: Annotated[PageQuery, Query()]
) -> Page[a.ReturnOut]:
    """What has come back of a sale, oldest first."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        if await reading.sale(tx, sale_id, own_eyes(principal)) is None:
            raise NotFound("There is no such sale here.")
        found = await reading.returns_of(tx, sale_id, query.span)
    return page_of(found.map(lambda one: records.returned(*one)))


@router.get("/returns/{returnId}", summary="Get a return", responses=responses(NotFound))
async def get_return(shared: Shared, principal: Till, return_id: ReturnId) -> Envelope[a.ReturnOut]:
    """A return with its lines and refunds; a cashier sees those that they made."""
    return Envelope(data=await read_return(shared, principal, return_id))


async def read_return(shared: Resources, principal: Principal, return_id: UUID) -> a.ReturnOut:
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        found = await reading.returned(tx, return_id)
    if found is None or own_eyes(principal) not in (None, found[0]["created_by"]):
        raise NotFound("There is no such return here.")
    return records.returned(*found)


def _credit(shared: Resources, principal: Principal, key: RequestKey) -> t.NewCard:
    """The gift card that a return is paid with."""
    code = codes.new_code(shared.edge, key.command_id)
    return t.NewCard(codes.card_id(tenant_of(principal), code), codes.last_four(code))


async def _returned(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: t.Return | Draft[t.ReturnDone],
    response: Response,
) -> Envelope[a.ReturnOut]:
    done, receipts = await desk.send(shared, principal, key, wanted)
    receipt(response, receipts)
    credit = _credit_told(shared, tenant_of(principal), key, done.record)
    made = v.return_out(done.return_id, done.record, of_ms(done.at_ms), credit)
    return Envelope(data=made)


def _credit_told(
    shared: Resources, tenant_id: UUID, key: RequestKey, record: m.ReturnMade
) -> a.CreditOut | None:
    """By what was written: the key that signs may be another than at the first try."""
    onto = [one for one in record.refunds if one.method is m.Method.STORE_CREDIT]
    if not onto or onto[0].card_id is None:
        return None
    code = codes.code_of(shared.edge, key.command_id, tenant_id, onto[0].card_id)
    balance = from_minor(sum(one.amount_minor for one in onto), record.currency)
    return a.CreditOut(code=code, last_four=codes.last_four(code) if code else "", balance=balance)
