"""What comes back, and where the money goes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from actors.till.model import MAX_SALE_LINES, Method
from deployments.pos.fields import Code, Reason
from deployments.pos.gift_cards.schemas import CreditOut
from deployments.pos.sales.schemas import NewLine
from gateway.fields import LocationId
from gateway.quantities import LineQuantity, QuantityOut
from gateway.schemas import CamelModel, Sum


class NewReturnLine(CamelModel):
    """Units of a line of the sale; `restock` puts them back on the shelf."""

    number: Annotated[int, Field(ge=1, le=MAX_SALE_LINES, description="As the sale counts lines")]
    quantity: LineQuantity
    restock: bool = True
    restock_as: Annotated[
        UUID | None,
        Field(description="Which variant it is, of a product that got variants after the sale"),
    ] = None

    @model_validator(mode="after")
    def _shelved(self) -> NewReturnLine:
        if self.restock_as is not None and not self.restock:
            raise ValueError("restockAs belongs to what is restocked")
        return self


class RefundTo(StrEnum):
    """Where the money goes. `original`: back to the tenders of the sale."""

    ORIGINAL = "original"
    CASH = "cash"
    GIFT_CARD = "gift_card"
    STORE_CREDIT = "store_credit"

    @property
    def method(self) -> Method | None:
        return None if self is RefundTo.ORIGINAL else Method(self.value)


class NewReturn(CamelModel):
    """Goods come back, against their receipt. Anyone may refund to the original tenders or as
    store credit; another tender needs a manager."""

    register_id: UUID
    lines: Annotated[list[NewReturnLine], Field(min_length=1, max_length=MAX_SALE_LINES)]
    refund_to: RefundTo = RefundTo.ORIGINAL
    gift_card_code: Code | None = None
    reason: Reason = None

    @model_validator(mode="after")
    def _has_card(self) -> NewReturn:
        if self.gift_card_code is not None and self.refund_to is not RefundTo.GIFT_CARD:
            raise ValueError("giftCardCode belongs to refundTo gift_card")
        return self


class NewVoid(CamelModel):
    """Why; for those who read the drawer's book."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class NewUnreceiptedLine(NewLine):
    restock: bool = True


class NewUnreceiptedReturn(CamelModel):
    """Goods come back without a receipt, at today's prices."""

    location_id: LocationId = None
    register_id: UUID
    lines: Annotated[list[NewUnreceiptedLine], Field(min_length=1, max_length=MAX_SALE_LINES)]
    refund_to: Literal[RefundTo.CASH, RefundTo.STORE_CREDIT]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class ReturnedLineOut(CamelModel):
    number: int = Field(description="Of the sale's line")
    product_id: UUID
    name: str
    sku: str
    quantity: QuantityOut
    restock: bool
    restocked_as: UUID | None
    tax: Sum
    total: Sum
    unit: str | None = Field(
        default=None,
        description="What is not sold by the piece is sold by",
        exclude_if=lambda value: value is None,
    )


class RefundOut(CamelModel):
    method: Method
    amount: Sum


class ReturnOut(CamelModel):
    id: UUID
    sale_id: UUID | None
    receipt_number: int
    location_id: UUID
    register_id: UUID
    shift_id: UUID
    currency: str
    lines: list[ReturnedLineOut]
    tax: Sum
    tips: Sum
    total: Sum = Field(description="What came back is worth, tips included")
    cash_rounding: Sum = Field(
        description="How much more was paid back, because there are no smaller coins; or less"
    )
    refunds: list[RefundOut]
    reason: str | None
    void: bool
    created_at: datetime
    store_credit: CreditOut | None = None
