"""Gift cards as they are sold, asked about and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from deployments.pos.fields import Code, NewCode
from deployments.pos.payments import Payments
from gateway.fields import LocationId
from gateway.schemas import Amount, CamelModel, Moment, QueryModel, Sum


class NewGiftCard(CamelModel):
    """A gift card to be sold. Without a `code` one is made."""

    amount: Annotated[Amount, Field(gt=0)]
    code: NewCode | None = None
    expires_at: Moment | None = None


class NewGiftCardSale(NewGiftCard):
    """A gift card to be sold on a ticket of its own. Without a `code` one is made."""

    location_id: LocationId = None
    register_id: UUID
    payments: Annotated[Payments, Field(min_length=1)]
    customer_id: UUID | None = None

    @model_validator(mode="after")
    def _payable(self) -> NewGiftCardSale:
        if any(payment.method == "gift_card" for payment in self.payments):
            raise ValueError("a gift card is not paid by a gift card")
        return self


class GiftCardCode(CamelModel):
    code: Code


class GiftCardQuery(QueryModel):
    code: Code


class CreditOut(CamelModel):
    """A new gift card. Its code is told here and nowhere else."""

    code: str | None
    last_four: str
    balance: Sum


class SoldGiftCardOut(CreditOut):
    """A gift card that was sold as a line of a basket."""

    line: int
    expires_at: datetime | None


class GiftCardOut(CamelModel):
    last_four: str
    currency: str
    initial: Sum
    balance: Sum
    expires_at: datetime | None
    status: str
