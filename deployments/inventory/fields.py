"""What bodies and answers of inventory have in common."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from gateway.quantities import Quantity, QuantityOut
from gateway.schemas import CamelModel

Reference = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="What this belongs to, in your own words"),
]


class StockLine(CamelModel):
    product_id: UUID
    quantity: Quantity


class StockLineOut(CamelModel):
    product_id: UUID
    quantity: QuantityOut
