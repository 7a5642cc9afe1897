"""What comes back: returns against a receipt, voids, and returns without one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from core.errors import (
    ChooseVariant,
    Forbidden,
    HoldfastError,
    MeasureChanged,
    NotFound,
    StockLimitReached,
)
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key, Manager, Staff
from deployments.pos.errors import (
    AlreadyReturned,
    CurrencyMismatch,
    DrawerShort,
    GiftCardDisabled,
    GiftCardExists,
    GiftCardExpired,
    GiftCardExpiresSoon,
    GiftCardNotFound,
    GiftCardUsed,
    LineNotFound,
    ManagerNeeded,
    MoreThanPaid,
    MoreThanSold,
    NoShift,
    NotYourShift,
    RefundToReturnedCard,
    RestockUnclear,
    VoidTooLate,
    WrongLocation,
)
from deployments.pos.parameters import ReturnId, SaleId, cashier_filter
from deployments.pos.returns import service
from deployments.pos.returns.schemas import NewReturn, NewUnreceiptedReturn, NewVoid, ReturnOut
from deployments.pos.returns.shapes import return_of
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Page, PageQuery, page_of
from store.kit.engine import Scope
from store.pos import reading

router = Router()

RETURNING: tuple[type[HoldfastError], ...] = (
    NotFound,
    Forbidden,
    NoShift,
    CurrencyMismatch,
    LineNotFound,
    MoreThanSold,
    MoreThanPaid,
    DrawerShort,
    GiftCardUsed,
    GiftCardNotFound,
    GiftCardDisabled,
    GiftCardExpired,
    GiftCardExpiresSoon,
    GiftCardExists,
    RefundToReturnedCard,
    RestockUnclear,
    ChooseVariant,
    MeasureChanged,
    StockLimitReached,
)


@router.post(
    "/sales/{saleId}/returns",
    summary="Return goods of a sale",
    status_code=201,
    made_at="/api/pos/returns/{id}",
    responses=responses(*RETURNING, ManagerNeeded, NotYourShift),
)
async def return_goods(
    shared: Shared, principal: Staff, key: Key, sale_id: SaleId, body: NewReturn
) -> Ordered[ReturnOut]:
    """Some or all units of a sale come back, at any register: never more than were sold, never
    more money than was paid. Anyone at a till may do it with the receipt in hand.

    Each line goes back the way that it was paid. Nothing goes onto a gift card that has expired, or
    does so within a day: choose `store_credit`, or a manager `cash`."""
    return await service.return_goods(shared, principal, key, sale_id, body)


@router.post(
    "/sales/{saleId}/void",
    summary="Void a sale",
    status_code=201,
    made_at="/api/pos/returns/{id}",
    responses=responses(*RETURNING, VoidTooLate, AlreadyReturned),
)
async def void(
    shared: Shared, principal: Manager, key: Key, sale_id: SaleId, body: NewVoid
) -> Ordered[ReturnOut]:
    """Takes a whole sale back in its own shift: all goods to the shelf, all money, tips too, to
    the tenders that it came from."""
    return await service.void(shared, principal, key, sale_id, body)


@router.post(
    "/returns",
    summary="Return goods without a receipt",
    status_code=201,
    responses=responses(*RETURNING, WrongLocation),
)
async def return_without_receipt(
    shared: Shared, principal: Manager, key: Key, body: NewUnreceiptedReturn
) -> Ordered[ReturnOut]:
    """Goods come back without a receipt, at what they cost today, for cash or store credit."""
    return await service.return_without_receipt(shared, principal, key, body)


@router.get(
    "/sales/{saleId}/returns", summary="List the returns of a sale", responses=responses(NotFound)
)
async def list_returns(
    shared: Shared, principal: Staff, sale_id: SaleId, query: Annotated[PageQuery, Query()]
) -> Page[ReturnOut]:
    """What has come back of a sale, oldest first."""
    async with shared.db.transaction(Scope(tenant_of(principal))) as tx:
        if await reading.sale(tx, sale_id, cashier_filter(principal)) is None:
            raise NotFound("There is no such sale here.")
        found = await reading.returns_of(tx, sale_id, query.span)
    return page_of(found.map(lambda rows: return_of(*rows)))


@router.get("/returns/{returnId}", summary="Get a return", responses=responses(NotFound))
async def get_return(shared: Shared, principal: Staff, return_id: ReturnId) -> Envelope[ReturnOut]:
    """A return with its lines and refunds; a cashier sees those that they made."""
    return Envelope(data=await service.made_return(shared, principal, return_id))
