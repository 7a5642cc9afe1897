"""Baskets, quotes and sales. Money is in major units, quantities in units; both are exact."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from actors.till.model import MAX_SALE_LINES, Method, SaleStatus
from deployments.pos.fields import TaxOut
from deployments.pos.gift_cards.schemas import CreditOut, NewGiftCard, SoldGiftCardOut
from deployments.pos.payments import Payments
from gateway.fields import LocationId
from gateway.quantities import LineQuantity, QuantityOut
from gateway.schemas import Amount, CamelModel, ItemCode, QueryModel, Sum, SyncQuery

ROUNDING = "per line, half away from zero"


class NewDiscount(CamelModel):
    """Either `percent` or `amount`."""

    percent: Annotated[Amount, Field(le=100, max_digits=5, decimal_places=2)] | None = None
    amount: Amount | None = None

    @model_validator(mode="after")
    def _one_form(self) -> NewDiscount:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("give either percent or amount")
        return self


class Units(CamelModel):
    """Units of a product, by exactly one of `sku`, `barcode`, `productId`."""

    sku: ItemCode | None = None
    barcode: ItemCode | None = None
    product_id: UUID | None = None
    quantity: LineQuantity = 1

    @model_validator(mode="after")
    def _sellable(self) -> Self:
        self._check()
        return self

    def _check(self) -> None:
        if self._names != 1:
            raise ValueError("name one of sku, barcode, productId")

    @property
    def _names(self) -> int:
        names = (self.sku, self.barcode, self.product_id)
        return sum(name is not None for name in names)

    @property
    def named(self) -> tuple[str, str, object]:
        """The field that names the product, the kind of name, and the name."""
        if self.sku is not None:
            return "sku", "sku", self.sku
        if self.barcode is not None:
            return "barcode", "barcode", self.barcode
        return "productId", "id", self.product_id


class NewLine(Units):
    """A product by exactly one of `sku`, `barcode`, `productId`."""

    discount: NewDiscount | None = None


class BasketLine(NewLine):
    """A product, or a `giftCard`: one per line, untaxed, never discounted, and not to be paid by a
    gift card."""

    gift_card: NewGiftCard | None = None

    def _check(self) -> None:
        if self.gift_card is None:
            if self._names != 1:
                raise ValueError("name one of sku, barcode, productId, giftCard")
        elif self._names or self.quantity != 1 or self.discount is not None:
            raise ValueError("a giftCard has a line of its own, without quantity and discount")


class Basket(CamelModel):
    """What is to be sold."""

    location_id: LocationId = None
    register_id: UUID | None = None
    lines: Annotated[list[BasketLine], Field(min_length=1, max_length=MAX_SALE_LINES)]
    discount: NewDiscount | None = None
    tips: Amount = Decimal(0)
    customer_id: UUID | None = None
    note: Annotated[str | None, Field(max_length=500)] = None
    reservation_id: Annotated[
        UUID | None, Field(description="A hold whose goods are taken first")
    ] = None


class NewSale(Basket):
    """A basket and what is paid for it: the payments must cover the total, and what is too much
    is handed back from cash."""

    register_id: UUID
    payments: Payments = Field(default_factory=list)
    expected_total: Annotated[
        Amount | None, Field(description="What you expect to be due, tips included; else 409")
    ] = None


class SaleQuery(SyncQuery):
    """`date` is a day in the time zone of the location (of the main one, if none is named)."""

    location_id: UUID | None = None
    register_id: UUID | None = None
    shift_id: UUID | None = None
    customer_id: UUID | None = None
    cashier_id: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    date: Annotated[
        datetime.date | None,
        Field(ge=datetime.date(1970, 1, 1), le=datetime.date(9998, 12, 31)),
    ] = None
    receipt_number: Annotated[int | None, Field(ge=1, le=10**15)] = None
    offline: Annotated[
        bool | None, Field(description="Only sales that were made offline, or only others")
    ] = None


class ReceiptNumberQuery(QueryModel):
    """The number on the receipt shows a cashier a sale of somebody else's shift."""

    receipt_number: Annotated[int | None, Field(ge=1, le=10**15)] = None


class SaleLineOut(CamelModel):
    """`parentId` is the product of which `productId` is a variant."""

    number: int
    product_id: UUID
    parent_id: UUID | None
    name: str
    sku: str
    quantity: QuantityOut
    unit_price: Sum
    discount: Sum
    tax_percent: float
    tax: Sum
    total: Sum = Field(description="What is paid for all units: discounts off, tax included")
    returned: QuantityOut
    unit: str | None = Field(
        default=None,
        description="What is not sold by the piece is sold by",
        exclude_if=lambda value: value is None,
    )


TaxExemptionText = Annotated[
    str | None,
    Field(description="Why the customer paid no tax, as the receipt says; null where tax was due"),
]


class ShortageOut(CamelModel):
    product_id: UUID
    requested: QuantityOut
    available: QuantityOut


class QuoteOut(CamelModel):
    """What a basket would cost now. `rounding` says how tax is rounded."""

    currency: str
    lines: list[SaleLineOut]
    discount: Sum
    taxes: list[TaxOut]
    tax: Sum
    tips: Sum
    total: Sum = Field(description="What would be due, tips included")
    total_in_cash: Sum = Field(description="The same, if all of it is paid in cash")
    prices_include_tax: bool
    rounding: str = ROUNDING
    shortages: list[ShortageOut]
    tax_exemption: TaxExemptionText = None


class PaymentOut(CamelModel):
    """`amount` without the change; `number` counts a sale's payments."""

    number: int
    method: Method
    amount: Sum
    reference: str | None
    refunded: Sum


class OfflineOriginOut(CamelModel):
    """Where a sale comes from that was made offline; its `createdAt` is when it was sold."""

    client_sale_id: UUID
    offline_number: str | None = Field(description="On the paper that the register printed")
    uploaded_by: str
    uploaded_at: datetime.datetime
    clock_ahead_seconds: int = Field(
        description="How fast the register's clock was: it said to have sold so much later than the"
        " upload came, which is when it counts as sold"
    )


class SaleOut(CamelModel):
    id: UUID
    receipt_number: int
    status: SaleStatus
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    lines: list[SaleLineOut]
    discount: Sum
    taxes: list[TaxOut]
    tax: Sum
    tips: Sum
    total: Sum = Field(description="What was due, tips included")
    cash_rounding: Sum = Field(
        description="How much more was paid, because there are no smaller coins; or less, below 0"
    )
    tendered: Sum
    change: Sum
    payments: list[PaymentOut]
    refunded: Sum
    prices_include_tax: bool
    rounding: str = ROUNDING
    customer_id: UUID | None
    note: str | None
    cashier_id: str
    created_at: datetime.datetime
    gift_cards: list[SoldGiftCardOut] = Field(
        default=[], description="Sold by this very request, with codes that are told nowhere else"
    )
    offline: OfflineOriginOut | None = None
    tax_exemption: TaxExemptionText = None


class SaleRow(CamelModel):
    id: UUID
    receipt_number: int
    status: SaleStatus
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    total: Sum
    tips: Sum
    refunded: Sum
    customer_id: UUID | None
    cashier_id: str
    created_at: datetime.datetime
    offline: OfflineOriginOut | None = None


class GiftCardSaleOut(CamelModel):
    """A gift card and the sale that it was bought with."""

    gift_card: CreditOut
    expires_at: datetime.datetime | None
    sale: SaleOut
