"""Suppliers and purchase orders over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from actors.purchasing import model as p
from core import moments
from core.errors import (
    Conflict,
    MoreThanOrdered,
    NotFound,
    PurchaseNotDraft,
    PurchaseNotOpen,
    StockLimitReached,
)
from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from deployments.inventory.purchasing import schemas as s
from deployments.inventory.purchasing.service import Purchasing
from deployments.inventory.stock.service import tenant_of
from deployments.kit.receipts import Receipts, set_receipt
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from gateway.access import require
from gateway.errors import responses
from gateway.idempotency import request_key
from gateway.schemas import Envelope, Message, Page, PageQuery, page_of
from store.inventory import purchasing as stored
from store.kit.commands import Recorded
from store.kit.engine import Scope

router = Router()

# A service key needs the scope inventory:write. Staff takes goods in, and sees no costs.
BUYERS = MANAGEMENT | {Role.SERVICE}
HANDLERS = BUYERS | {Role.STAFF}
Buyer = Annotated[Principal, Depends(require(BUYERS))]
Handler = Annotated[Principal, Depends(require(HANDLERS))]
SupplierId = Annotated[UUID, Path(alias="supplierId")]
PurchaseOrderId = Annotated[UUID, Path(alias="purchaseOrderId")]
Key = Annotated[RequestKey, Depends(request_key)]


@router.get("/suppliers", summary="List suppliers")
async def list_suppliers(
    shared: Shared, principal: Buyer, query: Annotated[PageQuery, Query()]
) -> Page[s.SupplierView]:
    """Your suppliers, by name."""
    async with shared.db.transaction(Scope(tenant_id=tenant_of(principal))) as tx:
        found = await stored.list_suppliers(tx, query.span)
    return page_of(found.map(s.SupplierView.of))


@router.post(
    "/suppliers",
    summary="Create a supplier",
    status_code=201,
    response_model=Envelope[s.SupplierView],
    responses=responses(Conflict),
)
async def create_supplier(
    shared: Shared, principal: Buyer, key: Key, body: s.NewSupplier
) -> Response:
    """Adds a supplier of your business."""
    return _written(await Purchasing(shared, principal).add_supplier(key, body))


@router.get("/suppliers/{supplierId}", summary="Get a supplier", responses=responses(NotFound))
async def get_supplier(
    shared: Shared, principal: Buyer, supplier_id: SupplierId
) -> Envelope[s.SupplierView]:
    """One supplier."""
    supplier = await Purchasing(shared, principal).supplier(supplier_id)
    return Envelope(data=s.SupplierView.of(supplier))


@router.put(
    "/suppliers/{supplierId}",
    summary="Change a supplier",
    response_model=Envelope[s.SupplierView],
    responses=responses(NotFound, Conflict),
)
async def change_supplier(
    shared: Shared, principal: Buyer, key: Key, supplier_id: SupplierId, body: s.SupplierChanges
) -> Response:
    """Replaces what the body gives; what it leaves out stays."""
    return _written(await Purchasing(shared, principal).change_supplier(key, supplier_id, body))


@router.delete(
    "/suppliers/{supplierId}",
    summary="Delete a supplier",
    response_model=Message,
    responses=responses(NotFound),
)
async def delete_supplier(
    shared: Shared, principal: Buyer, key: Key, supplier_id: SupplierId
) -> Response:
    """Nothing new can be ordered of it; what is under way stays."""
    return _written(await Purchasing(shared, principal).remove_supplier(key, supplier_id))


@router.get(
    "/suppliers/{supplierId}/items",
    summary="List a supplier's items",
    responses=responses(NotFound),
)
async def supplied_items(
    shared: Shared, principal: Buyer, supplier_id: SupplierId
) -> Envelope[list[s.SuppliedItemBody]]:
    """What it sells, for how much, and under which SKU of its own."""
    return await Purchasing(shared, principal).items(supplier_id)


@router.put(
    "/suppliers/{supplierId}/items",
    summary="Replace a supplier's items",
    response_model=Envelope[list[s.SuppliedItemBody]],
    responses=responses(NotFound),
)
async def put_supplied_items(
    shared: Shared, principal: Buyer, key: Key, supplier_id: SupplierId, body: s.SuppliedItems
) -> Response:
    """Says what it sells, in place of what was said before."""
    return _written(await Purchasing(shared, principal).put_items(key, supplier_id, body))


@router.get("/purchase-orders", summary="List purchase orders")
async def list_purchase_orders(
    shared: Shared, principal: Handler, query: Annotated[s.PurchaseQuery, Query()]
) -> Page[s.PurchaseView]:
    """Your purchase orders, latest first."""
    async with shared.db.transaction(Scope(tenant_id=tenant_of(principal))) as tx:
        found = await stored.list_purchase_orders(
            tx, query.status, query.supplier_id, query.item_id, query.span
        )
    return page_of(found.map(lambda row: _shown(principal, _reply_of({**row}))))


@router.post(
    "/purchase-orders",
    summary="Create a purchase order",
    status_code=201,
    responses=responses(NotFound),
)
async def create_purchase_order(
    shared: Shared, principal: Buyer, key: Key, body: s.PurchaseBody, response: Response
) -> Envelope[s.PurchaseView]:
    """Drafts an order; nothing is incoming yet."""
    return _answer(principal, response, *await Purchasing(shared, principal).draft(key, body))


@router.get(
    "/purchase-orders/{purchaseOrderId}",
    summary="Get a purchase order",
    responses=responses(NotFound),
)
async def get_purchase_order(
    shared: Shared, principal: Handler, purchase_order_id: PurchaseOrderId
) -> Envelope[s.PurchaseView]:
    """One order, as its owner has it now."""
    order = await Purchasing(shared, principal).order(purchase_order_id)
    return Envelope(data=_shown(principal, order))


@router.put(
    "/purchase-orders/{purchaseOrderId}",
    summary="Change a purchase order",
    responses=responses(NotFound, PurchaseNotDraft),
)
async def change_purchase_order(
    shared: Shared,
    principal: Buyer,
    key: Key,
    purchase_order_id: PurchaseOrderId,
    body: s.PurchaseBody,
    response: Response,
) -> Envelope[s.PurchaseView]:
    """Replaces all that a draft says."""
    purchasing = Purchasing(shared, principal)
    return _answer(principal, response, *await purchasing.draft(key, body, purchase_order_id))


@router.post(
    "/purchase-orders/{purchaseOrderId}/order",
    summary="Order what a purchase order says",
    responses=responses(NotFound, PurchaseNotDraft),
)
async def place_purchase_order(
    shared: Shared,
    principal: Buyer,
    key: Key,
    purchase_order_id: PurchaseOrderId,
    response: Response,
) -> Envelope[s.PurchaseView]:
    """The draft has gone to the supplier: its goods are incoming at the location."""
    wanted = p.PlacePurchase(purchase_order_id)
    return _answer(principal, response, *await Purchasing(shared, principal).decided(key, wanted))


@router.post(
    "/purchase-orders/{purchaseOrderId}/receive",
    summary="Receive goods of a purchase order",
    responses=responses(NotFound, PurchaseNotOpen, MoreThanOrdered, StockLimitReached, Conflict),
)
async def receive_purchase_order(
    shared: Shared,
    principal: Handler,
    key: Key,
    purchase_order_id: PurchaseOrderId,
    body: s.ReceiptBody,
    response: Response,
) -> Envelope[s.PurchaseView]:
    """Goods came: order, levels and ledger change together, or not at all."""
    purchasing = Purchasing(shared, principal)
    return _answer(principal, response, *await purchasing.receive(key, purchase_order_id, body))


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
    response: Response,
) -> Envelope[s.PurchaseView]:
    """What has not come will not come: it is no longer incoming."""
    wanted = p.CancelPurchase(purchase_order_id)
    return _answer(principal, response, *await Purchasing(shared, principal).decided(key, wanted))


def _reply_of(row: dict[str, Any]) -> p.PurchaseReply:
    return p.PurchaseReply(
        row["id"],
        p.Terms(
            row["supplier_id"],
            row["location_id"],
            row["currency"],
            row["reference"],
            _ms(row["expected_at"]),
        ),
        tuple(p.PurchaseLine(UUID(item), *numbers) for item, *numbers in row["lines"]),
        p.PurchaseStatus(row["status"]),
        row["created_by"],
        moments.to_ms(row["created_at"]),
        _ms(row["ordered_at"]),
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else moments.to_ms(moment)


def _answer(
    principal: Principal, response: Response, order: p.PurchaseReply, receipts: Receipts
) -> Envelope[s.PurchaseView]:
    set_receipt(response, receipts)
    return Envelope(data=_shown(principal, order))


def _shown(principal: Principal, order: p.PurchaseReply) -> s.PurchaseView:
    return s.PurchaseView.of(order, with_costs=principal.role is not Role.STAFF)


def _written(recorded: Recorded) -> Response:
    return Response(recorded.body, recorded.status, media_type="application/json")
