"""Bodies and queries of the till. Money is in major units, exact; quantities are whole units."""

from __future__ import annotations

import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from actors.till.model import MAX_PAYMENTS, MAX_SALE_LINES, Method
from deployments.pos.gift_cards.codes import MAX_LENGTH, MIN_LENGTH, MIN_NEW_CHARACTERS, weakness
from gateway.schemas import Amount, CamelModel, ItemCode, Moment, PageQuery, QueryModel

MAX_LINE_QUANTITY = 100_000
MAX_CARDS = 4
DEFAULT_DISCOUNT_LIMIT_PERCENT = 20

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
Reason = Annotated[str | None, Field(min_length=1, max_length=200)]
Code = Annotated[
    str,
    Field(
        min_length=MIN_LENGTH,
        max_length=MAX_LENGTH,
        pattern=r"^[0-9A-Za-z -]+$",
        description="Of a gift card; hyphens, blanks and case do not matter",
    ),
]


def _strong(code: str) -> str:
    problem = weakness(code)
    if problem is not None:
        raise ValueError(problem)
    return code


NewCode = Annotated[
    str,
    Field(
        min_length=MIN_NEW_CHARACTERS,
        max_length=MAX_LENGTH,
        pattern=r"^[0-9A-Za-z -]+$",
        description=f"Of a new gift card: at least {MIN_NEW_CHARACTERS} letters and digits",
    ),
    AfterValidator(_strong),
]
LocationId = Annotated[UUID | None, Field(description="The main location when it is left out")]


class RegisterBody(CamelModel):
    name: Name
    location_id: LocationId = None
    discount_limit_percent: Annotated[
        int,
        Field(ge=0, le=100, description="How much of a sale may be given away without a manager"),
    ] = DEFAULT_DISCOUNT_LIMIT_PERCENT


class OpenBody(CamelModel):
    opening_float: Amount = Decimal(0)


class DrawerCount(CamelModel):
    """So many pieces of one coin or note."""

    value: Amount
    pieces: Annotated[int, Field(ge=0, le=1_000_000)]


class CloseBody(CamelModel):
    """What was counted: as one sum, by denomination, or both, which must then agree."""

    counted: Amount | None = None
    denominations: Annotated[list[DrawerCount] | None, Field(min_length=1, max_length=50)] = None
    note: Annotated[str | None, Field(max_length=500)] = None

    @model_validator(mode="after")
    def _counted(self) -> CloseBody:
        if self.counted is None and self.denominations is None:
            raise ValueError("give counted, denominations, or both")
        return self


class CashBody(CamelModel):
    """Money put into the drawer, or taken out of it, beside sales."""

    kind: Literal["paid_in", "paid_out"]
    amount: Annotated[Amount, Field(gt=0)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class ReasonBody(CamelModel):
    """Why; for those who read the drawer's book."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class DiscountBody(CamelModel):
    """Either `percent` or `amount`."""

    percent: Annotated[Amount, Field(le=100, max_digits=5, decimal_places=2)] | None = None
    amount: Amount | None = None

    @model_validator(mode="after")
    def _one_form(self) -> DiscountBody:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("give either percent or amount")
        return self


class Units(CamelModel):
    """Units of an item, by exactly one of `sku`, `barcode`, `productId`, `variantId`."""

    sku: ItemCode | None = None
    barcode: ItemCode | None = None
    product_id: UUID | None = None
    variant_id: UUID | None = None
    quantity: Annotated[int, Field(ge=1, le=MAX_LINE_QUANTITY)] = 1

    @model_validator(mode="after")
    def _sellable(self) -> Self:
        self._check()
        return self

    def _check(self) -> None:
        if self._names != 1:
            raise ValueError("name one of sku, barcode, productId, variantId")

    @property
    def _names(self) -> int:
        names = (self.sku, self.barcode, self.product_id, self.variant_id)
        return sum(name is not None for name in names)

    @property
    def named(self) -> tuple[str, str, object]:
        """The field that names the item, the kind of name, and the name."""
        if self.sku is not None:
            return "sku", "sku", self.sku
        if self.barcode is not None:
            return "barcode", "barcode", self.barcode
        if self.product_id is not None:
            return "productId", "id", self.product_id
        return "variantId", "id", self.variant_id


class LineBody(Units):
    """An item by exactly one of `sku`, `barcode`, `productId`, `variantId`."""

    discount: DiscountBody | None = None


class NewGiftCard(CamelModel):
    """A gift card to be sold. Without a `code` one is made."""

    amount: Annotated[Amount, Field(gt=0)]
    code: NewCode | None = None
    expires_at: Moment | None = None


class BasketLine(LineBody):
    """An item, or a `giftCard`: one per line, untaxed, never discounted, and not to be paid by a
    gift card."""

    gift_card: NewGiftCard | None = None

    def _check(self) -> None:
        if self.gift_card is None:
            if self._names != 1:
                raise ValueError("name one of sku, barcode, productId, variantId, giftCard")
        elif self._names or self.quantity != 1 or self.discount is not None:
            raise ValueError("a giftCard has a line of its own, without quantity and discount")


class Basket(CamelModel):
    """What is to be sold."""

    location_id: LocationId = None
    register_id: UUID | None = None
    lines: Annotated[list[BasketLine], Field(min_length=1, max_length=MAX_SALE_LINES)]
    discount: DiscountBody | None = None
    tips: Amount = Decimal(0)
    customer_id: UUID | None = None
    note: Annotated[str | None, Field(max_length=500)] = None
    reservation_id: Annotated[
        UUID | None, Field(description="A hold whose goods are taken first")
    ] = None


Reference = Annotated[str | None, Field(min_length=1, max_length=200)]
Token = Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class PaymentBody(CamelModel):
    """`amount` as it is handed over: cash may be more than is due. A `gift_card` needs its
    `code`, a `card` a `token` of the payment provider; `external` is what another device
    settled."""

    method: Literal["cash", "card", "gift_card", "external"]
    amount: Annotated[Amount, Field(gt=0)]
    reference: Reference = None
    code: Code | None = None
    token: Token = None

    @model_validator(mode="after")
    def _complete(self) -> PaymentBody:
        if (self.method == "gift_card") != (self.code is not None):
            raise ValueError("code belongs to gift_card, which needs one")
        if (self.method == "card") != (self.token is not None):
            raise ValueError("token belongs to card, which needs one")
        return self


def _few_cards(payments: list[PaymentBody]) -> list[PaymentBody]:
    if sum(payment.method == "card" for payment in payments) > MAX_CARDS:
        raise ValueError(f"at most {MAX_CARDS} payments may be by card")
    return payments


Payments = Annotated[
    list[PaymentBody],
    Field(max_length=MAX_PAYMENTS, description=f"At most {MAX_CARDS} of them by card"),
    AfterValidator(_few_cards),
]


class SaleBody(Basket):
    """A basket and what is paid for it: the payments must cover the total, and what is too much
    is handed back from cash."""

    register_id: UUID
    payments: Payments = Field(default_factory=list)
    expected_total: Annotated[
        Amount | None, Field(description="What you expect to be due, tips included; else 409")
    ] = None


class GiftCardBody(NewGiftCard):
    """A gift card to be sold on a ticket of its own. Without a `code` one is made."""

    location_id: LocationId = None
    register_id: UUID
    payments: Annotated[Payments, Field(min_length=1)]
    customer_id: UUID | None = None

    @model_validator(mode="after")
    def _payable(self) -> GiftCardBody:
        if any(payment.method == "gift_card" for payment in self.payments):
            raise ValueError("a gift card is not paid by a gift card")
        return self


class CodeBody(CamelModel):
    code: Code


class CodeQuery(QueryModel):
    code: Code


class BackBody(CamelModel):
    """Units of a line of the sale; `restock` puts them back on the shelf."""

    number: Annotated[int, Field(ge=1, le=MAX_SALE_LINES, description="As the sale counts lines")]
    quantity: Annotated[int, Field(ge=1, le=MAX_LINE_QUANTITY)]
    restock: bool = True


class RefundTo(StrEnum):
    """Where the money goes. `original`: back to the tenders of the sale."""

    ORIGINAL = "original"
    CASH = "cash"
    GIFT_CARD = "gift_card"
    STORE_CREDIT = "store_credit"

    @property
    def method(self) -> Method | None:
        return None if self is RefundTo.ORIGINAL else Method(self.value)


class ReturnBody(CamelModel):
    """Goods come back, against their receipt. Anyone may refund to the original tenders or as
    store credit; another tender needs a manager."""

    register_id: UUID
    lines: Annotated[list[BackBody], Field(min_length=1, max_length=MAX_SALE_LINES)]
    refund_to: RefundTo = RefundTo.ORIGINAL
    gift_card_code: Code | None = None
    reason: Reason = None

    @model_validator(mode="after")
    def _has_card(self) -> ReturnBody:
        if self.gift_card_code is not None and self.refund_to is not RefundTo.GIFT_CARD:
            raise ValueError("giftCardCode belongs to refundTo gift_card")
        return self


class UnreceiptedLine(LineBody):
    restock: bool = True


class UnreceiptedBody(CamelModel):
    """Goods come back without a receipt, at today's prices."""

    location_id: LocationId = None
    register_id: UUID
    lines: Annotated[list[UnreceiptedLine], Field(min_length=1, max_length=MAX_SALE_LINES)]
    refund_to: Literal[RefundTo.CASH, RefundTo.STORE_CREDIT]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class ParkBody(CamelModel):
    """A basket put aside, to be taken up at any register of the location."""

    label: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    basket: Basket

    @model_validator(mode="after")
    def _keeps_no_code(self) -> ParkBody:
        cards = (line.gift_card for line in self.basket.lines)
        if any(card is not None and card.code is not None for card in cards):
            raise ValueError("the code of a giftCard is not put aside: give it when it is sold")
        return self


class LocationQuery(PageQuery):
    location_id: UUID | None = None


class ShiftQuery(PageQuery):
    register_id: UUID | None = None


class SaleQuery(PageQuery):
    """`date` is a day in the time zone of the location (of the main one, if none is named)."""

    location_id: UUID | None = None
    register_id: UUID | None = None
    shift_id: UUID | None = None
    cashier: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    date: Annotated[
        datetime.date | None,
        Field(ge=datetime.date(1970, 1, 1), le=datetime.date(9998, 12, 31)),
    ] = None
    receipt_number: Annotated[int | None, Field(ge=1, le=10**15)] = None
    offline: Annotated[
        bool | None, Field(description="Only sales that were made offline, or only others")
    ] = None


class CardRefundQuery(PageQuery):
    status: Literal["owed", "dead", "settled", "refunded"] | None = None


class SettleBody(CamelModel):
    """How the customer got the money."""

    note: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class ReceiptNumberQuery(QueryModel):
    """The number on the receipt shows a cashier a sale of somebody else's shift."""

    receipt_number: Annotated[int | None, Field(ge=1, le=10**15)] = None


class ReceiptQuery(ReceiptNumberQuery):
    """`format` beats the Accept header; plain text if neither says."""

    format: Literal["text", "html", "pdf"] | None = None
