"""What a register uploads of the sales that it made without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.api.shop import Caller, Shop, done

ROUTE = "/api/pos/offline-sales"


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def offline(shop: Shop, product: str, quantity: int = 1, **rest: Any) -> dict[str, Any]:
    """At two a piece, paid with twenty; a minute ago."""
    total = 2 * quantity
    line = {"productId": product, "quantity": quantity, "unitPrice": 2, "total": total}
    return {
        "clientSaleId": str(uuid4()),
        "occurredAt": ago(minutes=1),
        "registerId": shop.register,
        "lines": [line],
        "total": total,
        "pricesIncludeTax": True,
        "payments": [{"method": "cash", "amount": 20}],
    } | rest


async def upload(by: Caller, *sales: Any, key: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = done(await by.post(ROUTE, {"sales": list(sales)}, key))
    return found


async def refused(shop: Shop, sale: Any) -> dict[str, Any]:
    """The problem of a sale that must not be recorded."""
    (one,) = (await upload(shop.owner, sale))["sales"]
    assert (one["status"], one["saleId"]) == ("rejected", None)
    problem: dict[str, Any] = one["problem"]
    return problem


async def close(shop: Shop) -> dict[str, Any]:
    path = f"/api/pos/registers/{shop.register}/shifts/close"
    found: dict[str, Any] = done(await shop.owner.post(path, {"counted": 100}))
    return found
