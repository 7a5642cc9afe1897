"""Purchase orders over HTTP."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query

from actors.purchasing.model import (
    CancelPurchase,
    PlacePurchase,
    PurchaseLine,
    PurchaseReply,
    PurchaseStatus,
    Terms,
)
from core import moments
from core.errors import (
    ChooseVariant,
    Conflict,
    MeasureChanged,
    MoreThanOrdered,
    NotFound,
    PurchaseChanged,
    PurchaseNotDraft,
    PurchaseNotOpen,
    StockLimitReached,
)
from core.principal import Principal, Role
from deployments.inventory.access import Buyer, Handler
from deployments.inventory.purchasing.schemas import (
    Delivery,
    NewPurchase,
    PurchaseChanges,
    PurchaseOut,
    PurchaseQuery,
)
from deployments.inventory.purchasing.service import Purchasing
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Key
from gateway.access import tenant_of
from gateway.errors import responses
from gateway.schemas import Envelope, Page, page_of
from store.inventory import purchasing as stored
from store.kit.engine import Scope

router = Router()

PurchaseOrderId = Annotated[UUID, Path(alias="purchaseOrderId")]


@router.get("/purchase-orders", summary="List purchase orders")
async def list_purchase_orders(
    shared: Shared, principal: Handler, query: Annotated[PurchaseQuery, Query()]
) -> Page[PurchaseOut]:
    """Your purchase orders, latest first."""
    async with shared.db.transaction(Scope(tenant_id=tenant_of(principal))) as tx:
        found = await stored.list_purchase_orders(
            tx, query.status, query.supplier_id, query.product_id, query.span
        )
    return page_of(found.map(lambda row: _shown(principal, _reply_of({**row}))))


@router.post(
    "/purchase-orders",
    summary="Create a purchase order",
    status_code=201,
    responses=responses(NotFound),
)
async def create_purchase_order(
    shared: Shared, principal: Buyer, key: Key, body: NewPurchase
) -> Ordered[PurchaseOut]:
    """Drafts an order; nothing is incoming yet."""
    return (await Purchasing(shared, principal).draft(key, body)).to(partial(_shown, principal))


@router.get(
    "/purchase-orders/{purchaseOrderId}",
    summary="Get a purchase order",
    responses=responses(NotFound),
)
async def get_purchase_order(
    shared: Shared, principal: Handler, purchase_order_id: PurchaseOrderId
) -> Envelope[PurchaseOut]:
    """One order, as its owner has it now."""
    order = await Purchasing(shared, principal).order(purchase_order_id)
    return Envelope(data=_shown(principal, order))


@router.put(
    "/purchase-orders/{purchaseOrderId}",
    summary="Change a purchase order",
    responses=responses(NotFound, PurchaseNotDraft, PurchaseChanged),
)
async def change_purchase_order(
    shared: Shared,
    principal: Buyer,
    key: Key,
    purchase_order_id: PurchaseOrderId,
    body: PurchaseChanges,
) -> Ordered[PurchaseOut]:
    """Changes what the body gives of a draft; what it leaves out stays."""
    purchasing = Purchasing(shared, principal)
    return (await purchasing.change(key, purchase_order_id, body)).to(partial(_shown, principal))


@router.post(
    "/purchase-orders/{purchaseOrderId}/order",
    summary="Order what a purchase order says",
    responses=responses(NotFound, ChooseVariant, MeasureChanged, PurchaseNotDraft),
)
async def place_purchase_order(
    shared: Shared,
    principal: Buyer,
    key: Key,
    purchase_order_id: PurchaseOrderId,
) -> Ordered[PurchaseOut]:
    """The draft has gone to the supplier: its goods are incoming at the location."""
    wanted = PlacePurchase(purchase_order_id)
    return (await Purchasing(shared, principal).decided(key, wanted)).to(partial(_shown, principal))


@router.post(
    "/purchase-orders/{purchaseOrderId}/receive",
    summary="Receive goods of a purchase order",
    responses=responses(
        NotFound,
        ChooseVariant,
        MeasureChanged,
        PurchaseNotOpen,
        MoreThanOrdered,
        StockLimitReached,
        Conflict,
    ),
)
async def receive_purchase_order(
    shared: Shared,
    principal: Handler,
    key: Key,
    purchase_order_id: PurchaseOrderId,
    body: Delivery,
) -> Ordered[PurchaseOut]:
    """Goods came: order, levels and ledger change together, or not at all."""
    purchasing = Purchasing(shared, principal)
    return (await purchasing.receive(key, purchase_order_id, body)).to(partial(_shown, principal))


@router.post(
    "/purchase-orders/{purchaseOrderId}/cancel",
    summary="Cancel a purchase order",
    responses=responses(NotFound, PurchaseNotOpen),
)
async def cancel_purchase_order(
    shared: Shared,
    principal: Buyer,
    key: Key,
    purchase_order_id: PurchaseOrderId,
) -> Ordered[PurchaseOut]:
    """What has not come will not come: it is no longer incoming."""
    wanted = CancelPurchase(purchase_order_id)
    return (await Purchasing(shared, principal).decided(key, wanted)).to(partial(_shown, principal))


def _reply_of(row: dict[str, Any]) -> PurchaseReply:
    return PurchaseReply(
        row["id"],
        Terms(
            row["supplier_id"],
            row["location_id"],
            row["currency"],
            row["reference"],
            _ms(row["expected_at"]),
        ),
        tuple(PurchaseLine(UUID(item), *numbers) for item, *numbers in row["lines"]),
        PurchaseStatus(row["status"]),
        row["created_by"],
        moments.to_ms(row["created_at"]),
        _ms(row["ordered_at"]),
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else moments.to_ms(moment)


def _shown(principal: Principal, order: PurchaseReply) -> PurchaseOut:
    return PurchaseOut.of(order, with_costs=principal.role is not Role.STAFF)
