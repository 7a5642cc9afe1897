"""The till's routes, as `cases.py` has those of the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from core.ids import uuid7
from core.principal import MANAGEMENT, STAFF
from tests.api.case import Call, Case, RouteId, plain
from tests.api.shop import Shop, done

Make = Callable[[Shop | None], Awaitable[Call]]

REASON = {"reason": "wrong tea"}
NEVER = {"code": "0000-0000-0000-0000"}
# A person that did not open the shift, such as a cashier, may hear that it is not theirs.
OWN_SHIFT = frozenset({200, 403})
OWN_EYES = frozenset({200, 404})

NULLABLE = frozenset(
    {"discount", "percent", "note", "label", "counted", "denominations", "giftCard"}
)

# One register with an open shift per business, and goods to sell: most cases leave them as good
# as they were.
_registers: dict[UUID, str] = {}
_goods: dict[UUID, str] = {}


async def _new_register(shop: Shop | None, *, opened: bool = False) -> str:
    if shop is None:
        return str(uuid7())
    made = done(await shop.owner.post("/api/pos/registers", {"name": "Till"}))
    register: str = made["id"]
    if opened:
        path = f"/api/pos/registers/{register}/shifts"
        done(await shop.owner.post(path, {"openingFloat": 500}))
    return register


async def _register(shop: Shop | None) -> str:
    if shop is None:
        return str(uuid7())
    if shop.tenant not in _registers:
        _registers[shop.tenant] = await _new_register(shop, opened=True)
    return _registers[shop.tenant]


async def _barcode(shop: Shop | None) -> str:
    """Of something that there is plenty of."""
    if shop is None:
        return f"B-{uuid4()}"
    if shop.tenant not in _goods:
        code = f"B-{uuid4()}"
        body = {"name": "Tea", "price": 2.5, "barcode": code}
        product = done(await shop.owner.post("/api/products", body))["id"]
        added = {"productId": product, "quantity": 100_000}
        done(await shop.owner.post("/api/inventory/add", added))
        _goods[shop.tenant] = code
    return _goods[shop.tenant]


async def _basket(shop: Shop | None) -> dict[str, Any]:
    line = {"barcode": await _barcode(shop), "quantity": 2, "discount": {"percent": 5}}
    return {"lines": [line], "discount": {"percent": 5}, "tips": 0.5, "note": "window"}


async def _sale_body(shop: Shop | None) -> dict[str, Any]:
    cash = {"method": "cash", "amount": 50, "reference": "note 1"}
    basket = await _basket(shop)
    basket["lines"].append({"giftCard": {"amount": 5, "expiresAt": "2100-01-01T00:00:00Z"}})
    return basket | {"registerId": await _register(shop), "payments": [cash]}


async def _sale(shop: Shop | None) -> dict[str, Any]:
    if shop is None:
        return {"id": str(uuid7()), "receiptNumber": 1}
    sale: dict[str, Any] = done(await shop.owner.post("/api/pos/sales", await _sale_body(shop)))
    return sale


async def _new(_: Shop | None) -> Call:
    return Call(body={"name": "Till 9", "discountLimitPercent": 15})


async def _some_register(shop: Shop | None) -> Call:
    return Call(await _new_register(shop))


async def _change(shop: Shop | None) -> Call:
    return Call(await _new_register(shop), {"name": "Till 8", "discountLimitPercent": 15})


async def _open(shop: Shop | None) -> Call:
    return Call(await _new_register(shop), {"openingFloat": 80.5})


async def _opened(shop: Shop | None) -> Call:
    return Call(await _register(shop))


async def _close(shop: Shop | None) -> Call:
    counts = [{"value": 50, "pieces": 10}]
    body = {"counted": 500, "denominations": counts, "note": "quiet"}
    return Call(await _new_register(shop, opened=True), body)


async def _cash(shop: Shop | None) -> Call:
    body = {"kind": "paid_in", "amount": 1.5, "reason": "change"}
    return Call(await _register(shop), body)


async def _no_sale(shop: Shop | None) -> Call:
    return Call(await _register(shop), REASON)


async def _shift(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    register = await _register(shop)
    found = done(await shop.owner.get(f"/api/pos/registers/{register}"))
    return Call(found["id"])


async def _quote(shop: Shop | None) -> Call:
    return Call(body=await _basket(shop))


async def _sell(shop: Shop | None) -> Call:
    return Call(body=await _sale_body(shop))


async def _sell_one(shop: Shop | None) -> Call:
    lines = [{"barcode": await _barcode(shop), "quantity": 2}]
    payments = [{"method": "cash", "amount": 20}]
    register = await _register(shop)
    return Call(body={"registerId": register, "lines": lines, "payments": payments})


async def _offline(shop: Shop | None) -> Call:
    line = {"barcode": await _barcode(shop), "unitPrice": 2, "total": 2}
    sale = {
        "clientSaleId": str(uuid4()),
        "occurredAt": datetime.now(UTC).isoformat(),
        "registerId": await _register(shop),
        "lines": [line],
        "total": 2,
        "pricesIncludeTax": True,
        "payments": [{"method": "cash", "amount": 5}],
    }
    return Call(body={"sales": [sale]})


async def _receipt(shop: Shop | None) -> Call:
    """With the receipt in hand, so that a cashier may see it."""
    sale = await _sale(shop)
    return Call(sale["id"], query={"receiptNumber": str(sale["receiptNumber"])})


async def _returns(shop: Shop | None) -> Call:
    return Call((await _sale(shop))["id"])


async def _return(shop: Shop | None) -> Call:
    lines = [{"number": 1, "quantity": 1}]
    body = {"registerId": await _register(shop), "lines": lines, "refundTo": "original"}
    return Call((await _sale(shop))["id"], body)


async def _void(shop: Shop | None) -> Call:
    return Call((await _sale(shop))["id"], REASON)


async def _unreceipted(shop: Shop | None) -> Call:
    body = {
        "registerId": await _register(shop),
        "lines": [{"barcode": await _barcode(shop), "quantity": 1}],
        "refundTo": "cash",
    }
    return Call(body=body | REASON)


async def _returned(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    call = await _return(shop)
    made = done(await shop.owner.post(f"/api/pos/sales/{call.id}/returns", call.body))
    return Call(made["id"])


async def _gift_card(shop: Shop | None) -> Call:
    cash = {"method": "cash", "amount": 25}
    body = {"registerId": await _register(shop), "amount": 25, "payments": [cash]}
    return Call(body=body | {"expiresAt": "2100-01-01T00:00:00Z"})


async def _code(shop: Shop | None) -> dict[str, str]:
    if shop is None:
        return NEVER
    body = (await _gift_card(shop)).body
    made = done(await shop.owner.post("/api/pos/gift-cards", body))
    return {"code": made["giftCard"]["code"]}


async def _balance(shop: Shop | None) -> Call:
    return Call(query=await _code(shop))


async def _disable(shop: Shop | None) -> Call:
    return Call(body=await _code(shop))


async def _card_payment(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    card = {"method": "card", "amount": 50, "token": "tok_decline"}
    body = await _sale_body(shop) | {"tips": 0}
    quoted = {name: body[name] for name in ("lines", "discount")}
    total = done(await shop.owner.post("/api/pos/quotes", quoted))["total"]
    body["payments"] = [card | {"amount": total}]
    refused = await shop.owner.post("/api/pos/sales", body)
    assert refused.status_code == 402, refused.text
    return Call(refused.json()["cardPaymentId"])


async def _dead_refund(shop: Shop | None) -> str:
    """Of a card that the provider would not give back to; as the hosts and the worker write it."""
    made = str(uuid7())
    if shop is not None:
        await shop.rows(
            "INSERT INTO card_refunds (id, return_id, number, tenant_id, charge_id, amount_minor,"
            " currency, created_at, attempts, claimed_until, problem, dead_at)"
            " VALUES ($1, gen_random_uuid(), 0, $2, 'sbx_0', 700, 'GBP', now(), 8,"
            " 'infinity', 'refused', now())",
            made,
            shop.tenant,
        )
    return made


async def _retry(shop: Shop | None) -> Call:
    return Call(await _dead_refund(shop))


async def _settle(shop: Shop | None) -> Call:
    return Call(await _dead_refund(shop), {"note": "paid in cash"})


async def _park(shop: Shop | None) -> Call:
    return Call(body={"basket": await _basket(shop), "label": "window"})


async def _parked(shop: Shop | None) -> Call:
    if shop is None:
        return Call(str(uuid7()))
    made = done(await shop.owner.post("/api/pos/parked-sales", (await _park(shop)).body))
    return Call(made["id"])


def _till(make: Make, **rest: Any) -> Case:
    return Case(STAFF, make, nullable=NULLABLE, **rest)


CASES: dict[RouteId, Case] = {
    ("POST", "/api/pos/registers"): Case(MANAGEMENT, _new, about_a_thing=False),
    ("GET", "/api/pos/registers"): _till(plain(), about_a_thing=False),
    ("GET", "/api/pos/registers/{id}"): _till(_some_register),
    ("PUT", "/api/pos/registers/{id}"): Case(MANAGEMENT, _change),
    ("DELETE", "/api/pos/registers/{id}"): Case(MANAGEMENT, _some_register),
    ("POST", "/api/pos/registers/{id}/shifts"): _till(_open),
    ("GET", "/api/pos/registers/{id}/shifts"): _till(_opened),
    ("GET", "/api/pos/registers/{id}/shifts/current"): _till(_opened, statuses=OWN_SHIFT),
    ("POST", "/api/pos/registers/{id}/shifts/close"): _till(_close, statuses=OWN_SHIFT),
    ("POST", "/api/pos/registers/{id}/cash-movements"): _till(_cash, statuses=OWN_SHIFT),
    ("POST", "/api/pos/registers/{id}/no-sale"): _till(_no_sale, statuses=OWN_SHIFT),
    ("GET", "/api/pos/shifts/{id}/report"): _till(_shift, statuses=OWN_EYES),
    ("GET", "/api/pos/shifts/{id}/cash-movements"): _till(_shift, statuses=OWN_EYES),
    ("POST", "/api/pos/quotes"): _till(_quote),
    ("POST", "/api/pos/sales"): _till(_sell, lean=_sell_one),
    # Each sale has an answer of its own, so that the request itself is never refused.
    ("POST", "/api/pos/offline-sales"): _till(_offline, about_a_thing=False),
    ("GET", "/api/pos/sales"): _till(plain(), about_a_thing=False),
    ("GET", "/api/pos/sales/{id}"): _till(_receipt),
    ("GET", "/api/pos/sales/{id}/receipt"): _till(_receipt),
    ("POST", "/api/pos/sales/{id}/returns"): _till(_return, statuses=frozenset({200, 201, 403})),
    ("GET", "/api/pos/sales/{id}/returns"): _till(_returns, statuses=OWN_EYES),
    ("POST", "/api/pos/sales/{id}/void"): Case(MANAGEMENT, _void),
    ("POST", "/api/pos/returns"): Case(MANAGEMENT, _unreceipted),
    ("GET", "/api/pos/returns/{id}"): _till(_returned, statuses=OWN_EYES),
    ("GET", "/api/pos/returns/{id}/receipt"): _till(_returned, statuses=OWN_EYES),
    ("POST", "/api/pos/gift-cards"): _till(_gift_card),
    ("GET", "/api/pos/gift-cards/balance"): _till(_balance),
    ("POST", "/api/pos/gift-cards/disable"): Case(MANAGEMENT, _disable),
    ("GET", "/api/pos/card-payments/{id}"): _till(_card_payment),
    # It was declined: nothing is left to call off. Whose it was, only its cashier may.
    ("POST", "/api/pos/card-payments/{id}/abandon"): _till(_card_payment, statuses=OWN_SHIFT),
    ("GET", "/api/pos/card-refunds"): Case(MANAGEMENT, plain(), about_a_thing=False),
    ("POST", "/api/pos/card-refunds/{id}/retry"): Case(MANAGEMENT, _retry),
    ("POST", "/api/pos/card-refunds/{id}/settle"): Case(MANAGEMENT, _settle),
    ("POST", "/api/pos/parked-sales"): _till(_park, about_a_thing=False),
    ("GET", "/api/pos/parked-sales"): _till(plain(), about_a_thing=False),
    ("GET", "/api/pos/parked-sales/{id}"): _till(_parked),
    ("POST", "/api/pos/parked-sales/{id}/resume"): _till(_parked),
    ("DELETE", "/api/pos/parked-sales/{id}"): _till(_parked),
}
