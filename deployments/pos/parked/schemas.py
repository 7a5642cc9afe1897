"""Baskets that wait."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, model_validator

from deployments.pos.sales.schemas import Basket
from gateway.schemas import CamelModel, PageQuery


class NewParkedSale(CamelModel):
    """A basket put aside, to be taken up at any register of the location."""

    label: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    basket: Basket

    @model_validator(mode="after")
    def _keeps_no_code(self) -> NewParkedSale:
        cards = (line.gift_card for line in self.basket.lines)
        if any(card is not None and card.code is not None for card in cards):
            raise ValueError("the code of a giftCard is not put aside: give it when it is sold")
        return self


class ParkedQuery(PageQuery):
    location_id: UUID | None = None


class ParkedSaleOut(CamelModel):
    id: UUID
    location_id: UUID
    label: str | None
    basket: dict[str, Any]
    created_by: str
    created_at: datetime
