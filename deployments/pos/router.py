"""What the routes of the till have in common."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Response

from core.principal import MANAGEMENT, STAFF, Principal, Role
from core.request import RequestKey
from deployments.kit.receipts import RECEIPT_HEADER, Receipts, receipt_header
from gateway.access import require
from gateway.idempotency import request_key

Till = Annotated[Principal, Depends(require(STAFF))]
Manager = Annotated[Principal, Depends(require(MANAGEMENT))]
Key = Annotated[RequestKey, Depends(request_key)]
RegisterId = Annotated[UUID, Path(alias="registerId")]
ShiftId = Annotated[UUID, Path(alias="shiftId")]
SaleId = Annotated[UUID, Path(alias="saleId")]
PaymentId = Annotated[UUID, Path(alias="paymentId")]
ReturnId = Annotated[UUID, Path(alias="returnId")]

RECEIPT: dict[str, Any] = {
    RECEIPT_HEADER: {
        "description": "Order of decision: `aggregate; seq=n; epoch=n`, at most 20",
        "schema": {"type": "string"},
    }
}


def receipt(response: Response, receipts: Receipts) -> None:
    response.headers[RECEIPT_HEADER] = receipt_header(receipts)


def own_eyes(principal: Principal) -> str | None:
    """Whom a list is narrowed to: a cashier sees what is their own."""
    return principal.id if principal.role is Role.CASHIER else None
