"""A sale over HTTP, as the baselines that sell share it: prices are theirs, not the caller's.

Prices include tax, which is rounded per line, half away from zero, as Holdfast does it.
"""

# No `from __future__ import annotations` here: FastAPI could not resolve what is local to
# add_sales.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple, Protocol
from uuid import UUID

from fastapi import Depends, FastAPI, Response
from pydantic import Field

from bench.baselines.wire import Camel, refusal
from core.errors import Unauthenticated
from core.ids import uuid7
from core.principal import Principal

PATH = "/api/pos/sales"
PPM = 1_000_000


class LineBody(Camel):
    product_id: UUID
    quantity: Annotated[int, Field(ge=1, le=100_000)] = 1


class PaymentBody(Camel):
    method: Literal["cash", "external"]
    amount: Annotated[Decimal, Field(gt=0, max_digits=15, decimal_places=2)]


class SaleBody(Camel):
    register_id: UUID
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=500)]
    payments: Annotated[list[PaymentBody], Field(min_length=1, max_length=20)]


class LineOut(Camel):
    number: int
    product_id: UUID
    name: str
    sku: str
    quantity: int
    unit_price: float
    tax_rate: float
    tax: float
    total: float


class PaymentOut(Camel):
    number: int
    method: str
    amount: float


class SaleOut(Camel):
    sale_id: UUID
    receipt_number: int
    status: Literal["completed"] = "completed"
    register_id: UUID
    shift_id: UUID
    currency: str
    lines: list[LineOut]
    tax: float
    total: float
    tendered: float
    change: float
    payments: list[PaymentOut]
    cashier: str
    created_at: datetime


class SaleEnvelope(Camel):
    success: Literal[True] = True
    data: SaleOut


class Goods(NamedTuple):
    """What the shop knows of a product."""

    product_id: UUID
    name: str
    sku: str
    price_minor: int
    tax_rate_ppm: int


class Line(NamedTuple):
    goods: Goods
    quantity: int

    @property
    def total_minor(self) -> int:
        return self.goods.price_minor * self.quantity

    @property
    def tax_minor(self) -> int:
        rate = self.goods.tax_rate_ppm
        return (2 * self.total_minor * rate + PPM + rate) // (2 * (PPM + rate))


class Payment(NamedTuple):
    """`amount_minor` without the change."""

    method: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Basket:
    """What is to be sold, and what was handed over for it. Quantities are by product, in the order
    of their ids: a transaction that locks them in this order meets no deadlock."""

    id: UUID
    tenant_id: UUID
    register_id: UUID
    quantities: dict[UUID, int]
    payments: tuple[Payment, ...]
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Priced:
    """A basket with its prices, paid: payments without the change."""

    lines: tuple[Line, ...]
    payments: tuple[Payment, ...]
    total_minor: int
    tax_minor: int
    tendered_minor: int
    change_minor: int

    @property
    def cash_minor(self) -> int:
        """What stays in the drawer."""
        return sum(payment.amount_minor for payment in self.payments if payment.method == "cash")


class Sold(NamedTuple):
    """A sale that is durable."""

    priced: Priced
    receipt_number: int
    shift_id: UUID


class Till(Protocol):
    """One way to do the job."""

    async def sell(self, basket: Basket) -> Sold | None:
        """Makes the sale durable: stock, receipt number, drawer, all or nothing. None if there is
        too little of something, too little is paid, or the register has no open shift."""
        ...


def price(basket: Basket, found: Sequence[Goods]) -> Priced | None:
    """The basket at these prices; None if what was handed over does not cover it, or if the
    change would be more than the cash."""
    lines = tuple(Line(goods, basket.quantities[goods.product_id]) for goods in found)
    total = sum(line.total_minor for line in lines)
    tendered = sum(payment.amount_minor for payment in basket.payments)
    change = left = tendered - total
    payments = []
    for method, amount in basket.payments:
        back = min(left, amount) if method == "cash" else 0
        left -= back
        if amount > back:
            payments.append(Payment(method, amount - back))
    if change < 0 or left:
        return None
    tax = sum(line.tax_minor for line in lines)
    return Priced(lines, tuple(payments), total, tax, tendered, change)


def add_sales(app: FastAPI, till: Till, caller: Callable[..., object], currency: str) -> None:
    """Gives the application its route."""

    @app.post(PATH, response_model=SaleEnvelope, status_code=201)
    async def sell(
        body: SaleBody, principal: Annotated[Principal, Depends(caller)]
    ) -> SaleEnvelope | Response:
        basket = _basket(body, principal)
        sold = await till.sell(basket)
        if sold is None:
            return refusal()
        return SaleEnvelope(data=_told(basket, sold, currency))


def _basket(body: SaleBody, principal: Principal) -> Basket:
    if principal.tenant_id is None:
        raise Unauthenticated
    quantities: dict[UUID, int] = {}
    for line in sorted(body.lines, key=lambda line: line.product_id):
        quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
    return Basket(
        uuid7(),
        principal.tenant_id,
        body.register_id,
        quantities,
        tuple(Payment(payment.method, int(payment.amount * 100)) for payment in body.payments),
        principal.id,
        datetime.now(UTC),
    )


def _told(basket: Basket, sold: Sold, currency: str) -> SaleOut:
    priced = sold.priced
    return SaleOut(
        sale_id=basket.id,
        receipt_number=sold.receipt_number,
        register_id=basket.register_id,
        shift_id=sold.shift_id,
        currency=currency,
        lines=[
            LineOut(
                number=number,
                product_id=line.goods.product_id,
                name=line.goods.name,
                sku=line.goods.sku,
                quantity=line.quantity,
                unit_price=line.goods.price_minor / 100,
                tax_rate=line.goods.tax_rate_ppm / PPM,
                tax=line.tax_minor / 100,
                total=line.total_minor / 100,
            )
            for number, line in enumerate(priced.lines, 1)
        ],
        tax=priced.tax_minor / 100,
        total=priced.total_minor / 100,
        tendered=priced.tendered_minor / 100,
        change=priced.change_minor / 100,
        payments=[
            PaymentOut(number=number, method=payment.method, amount=payment.amount_minor / 100)
            for number, payment in enumerate(priced.payments, 1)
        ],
        cashier=basket.created_by,
        created_at=basket.created_at,
    )
