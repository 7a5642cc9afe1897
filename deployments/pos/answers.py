"""What the till answers. Money is in major units."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, PlainSerializer, WithJsonSchema

from actors.till import model as m
from deployments.pos.sales.pricing import ROUNDING
from gateway.errors import Problem
from gateway.schemas import Amount, CamelModel

# Differences and net sums may be below zero.
Sum = Annotated[
    Decimal,
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number"}),
]


class TaxOut(CamelModel):
    """`rate` 0.2 is 20 %; `net` is what is taxed, without the tax."""

    rate: float
    net: Sum
    tax: Sum


class LineOut(CamelModel):
    number: int
    item_id: UUID
    product_id: UUID
    name: str
    sku: str
    quantity: int
    unit_price: Amount
    discount: Amount
    tax_rate: float
    tax: Amount
    total: Amount = Field(description="What is paid for all units: discounts off, tax included")
    returned: int


class PartsOut(CamelModel):
    product_id: UUID
    requested: int
    available: int


class QuoteOut(CamelModel):
    """What a basket would cost now. `rounding` says how tax is rounded."""

    currency: str
    lines: list[LineOut]
    discount: Amount
    taxes: list[TaxOut]
    tax: Amount
    tips: Amount
    total: Amount = Field(description="What would be due, tips included")
    prices_include_tax: bool
    rounding: str = ROUNDING
    shortages: list[PartsOut]


class CreditOut(CamelModel):
    """A new gift card. Its code is told here and nowhere else."""

    code: str | None
    last_four: str
    balance: Amount


class SoldCardOut(CreditOut):
    """A gift card that was sold as a line of a basket."""

    line: int
    expires_at: datetime | None


class PaymentOut(CamelModel):
    """`amount` without the change; `number` counts a sale's payments."""

    number: int
    method: m.Method
    amount: Amount
    reference: str | None
    refunded: Amount


class OfflineOut(CamelModel):
    """Where a sale comes from that was made offline; its `createdAt` is when it was sold."""

    client_sale_id: UUID
    offline_number: str | None = Field(description="On the paper that the register printed")
    uploaded_by: str
    uploaded_at: datetime


class SaleOut(CamelModel):
    sale_id: UUID
    receipt_number: int
    status: m.SaleStatus
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    lines: list[LineOut]
    discount: Amount
    taxes: list[TaxOut]
    tax: Amount
    tips: Amount
    total: Amount = Field(description="What was due, tips included")
    tendered: Amount
    change: Amount
    payments: list[PaymentOut]
    refunded: Amount
    prices_include_tax: bool
    rounding: str = ROUNDING
    customer_id: UUID | None
    note: str | None
    cashier: str
    created_at: datetime
    gift_cards: list[SoldCardOut] = Field(
        default=[], description="Sold by this very request, with codes that are told nowhere else"
    )
    offline: OfflineOut | None = None


class SaleRow(CamelModel):
    sale_id: UUID
    receipt_number: int
    status: m.SaleStatus
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    total: Amount
    tips: Amount
    refunded: Amount
    customer_id: UUID | None
    cashier: str
    created_at: datetime
    offline: OfflineOut | None = None


class OfflineResult(CamelModel):
    """What became of the sale at the same place. `repeated`: it was in already, once and for all;
    `rejected`: it is not in, and `problem` says why."""

    client_sale_id: UUID | None
    status: Literal["recorded", "repeated", "rejected"]
    sale_id: UUID | None = None
    receipt_number: int | None = None
    shift_id: UUID | None = None
    problem: Problem | None = None


class OfflineResults(CamelModel):
    recorded: int
    repeated: int
    rejected: int
    sales: list[OfflineResult]


class CardOut(CamelModel):
    """What one card pays; `payment` counts the sale's payments. `due`: not known yet; `refunded`:
    called off or given back."""

    payment: int
    amount: Amount
    status: str


class PendingOut(CamelModel):
    """What a sale takes by card, with an outcome that is not known yet, or what became of it.
    `completed`: there is a sale; `declined`, `refunded`: there is none, and no money is kept."""

    card_payment_id: UUID
    status: str
    sale_id: UUID | None
    problem: str | None
    cards: list[CardOut]


class CardRefundOut(CamelModel):
    """What a return owes to a card. `owed`: the provider is asked for it, less and less often;
    `refunded`: it has made it; `dead`: it refused so often that nobody asks any more; `settled`:
    the customer got the money in another way. `problem` is of the last attempt: refused, silent."""

    refund_id: UUID
    return_id: UUID
    status: Literal["owed", "dead", "settled", "refunded"]
    amount: Amount
    currency: str
    reference: str = Field(description="What the provider calls the charge")
    attempts: int
    problem: str | None
    created_at: datetime
    refunded_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class ReturnedLineOut(CamelModel):
    number: int = Field(description="Of the sale's line")
    item_id: UUID
    name: str
    sku: str
    quantity: int
    restock: bool
    tax: Amount
    total: Amount


class RefundOut(CamelModel):
    method: m.Method
    amount: Amount


class ReturnOut(CamelModel):
    return_id: UUID
    sale_id: UUID | None
    receipt_number: int
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    lines: list[ReturnedLineOut]
    tax: Amount
    tips: Amount
    total: Amount
    refunds: list[RefundOut]
    reason: str | None
    void: bool
    created_at: datetime
    store_credit: CreditOut | None = None


class GiftCardOut(CamelModel):
    last_four: str
    currency: str
    initial: Amount
    balance: Amount
    expires_at: datetime | None
    status: str


class IssuedOut(CamelModel):
    """A gift card and the sale that it was bought with."""

    gift_card: CreditOut
    expires_at: datetime | None
    sale: SaleOut


class RegisterOut(CamelModel):
    register_id: UUID
    location_id: UUID
    name: str
    discount_limit_percent: int
    next_receipt_number: int
    shift_id: UUID | None = Field(description="The open one")


class TenderOut(CamelModel):
    """`payments`: how many were taken, each card on its own."""

    method: str
    payments: int
    taken: Sum
    refunded: Sum


class ReportOut(CamelModel):
    """X report of an open shift, Z report of a closed one, which never changes and whose number
    counts the register's shifts. Sales and returns are with tax and without tips; gift cards
    sold are money owed, not sales."""

    kind: str
    register_id: UUID
    shift_id: UUID
    number: int
    currency: str
    opened_by: str
    opened_at: datetime
    closed_by: str | None
    closed_at: datetime | None
    sales: int
    sales_total: Sum
    returns: int
    returns_total: Sum
    discounts: Sum
    tips: Sum
    gift_cards_sold: Sum
    tenders: list[TenderOut]
    taxes: list[TaxOut]
    opening_float: Amount
    paid_in: Amount
    paid_out: Amount
    no_sales: int
    expected_cash: Amount
    earlier_cash: Amount = Field(
        description="Of it, what offline sales took before the shift was opened"
    )
    counted_cash: Amount | None
    difference: Sum | None
    denominations: list[dict[str, float]] | None = None
    note: str | None = None


class ShiftRow(CamelModel):
    shift_id: UUID
    register_id: UUID
    number: int
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None
    currency: str
    expected_cash: Amount
    counted_cash: Amount | None


class CashOut(CamelModel):
    shift_id: UUID
    expected_cash: Amount


class CashMovementOut(CamelModel):
    kind: m.CashMove
    amount: Amount
    reason: str | None
    created_by: str
    occurred_at: datetime


class ParkedOut(CamelModel):
    parked_id: UUID
    location_id: UUID
    label: str | None
    basket: dict[str, Any]
    parked_by: str
    parked_at: datetime
