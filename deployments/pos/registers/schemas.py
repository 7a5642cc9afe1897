"""Registers, their shifts, their drawers, and the reports of them. Money is in major units."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from actors.till.model import CashMove
from deployments.pos.fields import TaxOut
from gateway.changes import Partial
from gateway.fields import LocationId, ShortName, absent
from gateway.schemas import Amount, CamelModel, PageQuery, Sum

DEFAULT_DISCOUNT_LIMIT_PERCENT = 20


DiscountLimitPercent = Annotated[
    int, Field(ge=0, le=100, description="How much of a sale may be given away without a manager")
]


class NewRegister(CamelModel):
    name: ShortName
    location_id: LocationId = None
    discount_limit_percent: DiscountLimitPercent = DEFAULT_DISCOUNT_LIMIT_PERCENT


class RegisterChanges(Partial):
    """What to change; what is left out stays. The location stays while a shift is open."""

    name: ShortName = absent()
    location_id: UUID = absent("A location of the business")
    discount_limit_percent: DiscountLimitPercent = absent()


class NewShift(CamelModel):
    opening_float: Amount = Decimal(0)


class DrawerCount(CamelModel):
    """So many pieces of one coin or note."""

    value: Amount
    pieces: Annotated[int, Field(ge=0, le=1_000_000)]


class NewClosing(CamelModel):
    """What was counted: as one sum, by denomination, or both, which must then agree."""

    counted: Amount | None = None
    denominations: Annotated[list[DrawerCount] | None, Field(min_length=1, max_length=50)] = None
    note: Annotated[str | None, Field(max_length=500)] = None

    @model_validator(mode="after")
    def _counted(self) -> NewClosing:
        if self.counted is None and self.denominations is None:
            raise ValueError("give counted, denominations, or both")
        return self


class NewCashMovement(CamelModel):
    """Money put into the drawer, or taken out of it, beside sales."""

    kind: Literal["paid_in", "paid_out"]
    amount: Annotated[Amount, Field(gt=0)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class NewNoSale(CamelModel):
    """Why; for those who read the drawer's book."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class RegisterQuery(PageQuery):
    location_id: UUID | None = None


class RegisterOut(CamelModel):
    id: UUID
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


class CountedOut(CamelModel):
    """So many pieces of one coin or note were counted."""

    value: Sum
    pieces: int


class ReportOut(CamelModel):
    """X report of an open shift, Z report of a closed one, which never changes and whose number
    counts the register's shifts. Sales and returns are with tax and without tips; gift cards
    sold are money owed, not sales. salesTotal - returnsTotal + tips + giftCardsSold + cashRounding
    is what the tenders took less what they refunded."""

    id: UUID = Field(description="Of the shift")
    kind: str
    register_id: UUID
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
    cash_rounding: Sum = Field(
        description="How much more cash was kept than was due, because there are no smaller coins"
    )
    tenders: list[TenderOut]
    taxes: list[TaxOut]
    opening_float: Sum
    paid_in: Sum
    paid_out: Sum
    no_sales: int
    expected_cash: Sum
    earlier_cash: Sum = Field(
        description="Of it, what offline sales took before the shift was opened"
    )
    counted_cash: Sum | None
    difference: Sum | None
    denominations: list[CountedOut] | None = None
    note: str | None = None


class ShiftRow(CamelModel):
    id: UUID
    register_id: UUID
    number: int
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None
    currency: str
    expected_cash: Sum
    counted_cash: Sum | None


class CashOut(CamelModel):
    shift_id: UUID
    expected_cash: Sum


class CashMovementOut(CamelModel):
    kind: CashMove
    amount: Sum
    reason: str | None
    created_by: str
    occurred_at: datetime
