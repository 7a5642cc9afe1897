"""Card payments on their way, and refunds that the provider owes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from gateway.schemas import CamelModel, PageQuery, Sum


class CardRefundQuery(PageQuery):
    status: Literal["owed", "dead", "settled", "refunded"] | None = None


class NewSettlement(CamelModel):
    """How the customer got the money."""

    note: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class CardChargeOut(CamelModel):
    """What one card pays; `payment` counts the sale's payments. `due`: not known yet; `refunded`:
    called off or given back."""

    payment: int
    amount: Sum
    status: str


class CardPaymentOut(CamelModel):
    """What a sale takes by card, with an outcome that is not known yet, or what became of it.
    `completed`: there is a sale; `declined`, `refunded`: there is none, and no money is kept."""

    id: UUID
    status: str
    sale_id: UUID | None
    problem: str | None
    cards: list[CardChargeOut]


class CardRefundOut(CamelModel):
    """What a return owes to a card. `owed`: the provider is asked for it, less and less often;
    `refunded`: it has made it; `dead`: it refused so often that nobody asks any more; `settled`:
    the customer got the money in another way. `problem` is of the last attempt: refused, silent."""

    id: UUID
    return_id: UUID
    status: Literal["owed", "dead", "settled", "refunded"]
    amount: Sum
    currency: str
    reference: str = Field(description="What the provider calls the charge")
    attempts: int
    problem: str | None
    created_at: datetime
    refunded_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    note: str | None
