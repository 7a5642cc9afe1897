"""Bodies, queries and answers of inventory. Quantities are whole units."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from actors.stock.model import MAX_LINES, MAX_QUANTITY, Status
from gateway.schemas import CamelModel, PageQuery

MAX_TTL_SECONDS = 7 * 86_400
DEFAULT_TTL_SECONDS = 900

Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
TtlSeconds = Annotated[
    int, Field(ge=1, le=MAX_TTL_SECONDS, description="How long the hold lasts, in seconds")
]
Reference = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="What this belongs to, in your own words"),
]


class Reason(StrEnum):
    """Why a level was corrected."""

    RECEIVED = "received"
    RETURNED = "returned"
    DAMAGED = "damaged"
    LOST = "lost"
    FOUND = "found"
    RECOUNT = "recount"
    CORRECTION = "correction"
    OTHER = "other"


class AddBody(CamelModel):
    product_id: UUID
    quantity: Annotated[int, Field(ge=0, le=MAX_QUANTITY)]
    low_stock_threshold: Annotated[int | None, Field(ge=0, le=MAX_QUANTITY)] = None
    reference: Reference = None


class LineBody(CamelModel):
    product_id: UUID
    quantity: Quantity


class ReserveBody(CamelModel):
    """Either `productId` and `quantity`, or `lines`: all of them are held, or none."""

    product_id: UUID | None = None
    quantity: Quantity | None = None
    lines: Annotated[list[LineBody] | None, Field(min_length=1, max_length=MAX_LINES)] = None
    ttl_seconds: TtlSeconds = DEFAULT_TTL_SECONDS
    reference: Reference = None

    @model_validator(mode="after")
    def _one_form(self) -> ReserveBody:
        single = self.product_id is not None and self.quantity is not None
        partly = self.product_id is not None or self.quantity is not None
        if single == (self.lines is not None) or (self.lines is not None and partly):
            raise ValueError("give either productId and quantity, or lines")
        return self


class ReleaseBody(CamelModel):
    product_id: UUID
    quantity: Quantity


class ExtendBody(CamelModel):
    ttl_seconds: TtlSeconds = DEFAULT_TTL_SECONDS


class AdjustmentLine(CamelModel):
    product_id: UUID
    delta: Annotated[int, Field(ge=-MAX_QUANTITY, le=MAX_QUANTITY, description="Not 0")]

    @model_validator(mode="after")
    def _moves_something(self) -> AdjustmentLine:
        if self.delta == 0:
            raise ValueError("delta must not be 0")
        return self


class AdjustmentBody(CamelModel):
    """Signed corrections of what is on hand: all of them happen, or none."""

    lines: Annotated[list[AdjustmentLine], Field(min_length=1, max_length=MAX_LINES)]
    reason: Reason
    reference: Reference = None


class MovementQuery(PageQuery):
    pass


class ReservationQuery(PageQuery):
    status: Status | None = None
    product_id: UUID | None = None


class LevelOut(CamelModel):
    """`quantity` is what is available: on hand, less what is reserved."""

    product_id: UUID
    quantity: int
    on_hand: int
    reserved: int
    low_stock_threshold: int
    is_low_stock: bool


class LowStockOut(CamelModel):
    product_id: UUID
    quantity: int
    low_stock_threshold: int


class HeldLine(CamelModel):
    product_id: UUID
    quantity: int
    available: int = Field(description="What is left for others, after this")


class ReservationOut(CamelModel):
    """`productId`, `quantity` and `available` are there when the hold has one line."""

    reservation_id: UUID
    status: Status
    expires_at: datetime
    created_at: datetime
    reference: str | None
    lines: list[HeldLine]
    product_id: UUID | None = Field(default=None, exclude_if=lambda value: value is None)
    quantity: int | None = Field(default=None, exclude_if=lambda value: value is None)
    available: int | None = Field(default=None, exclude_if=lambda value: value is None)


class ReservationRow(CamelModel):
    reservation_id: UUID
    status: Status
    expires_at: datetime
    created_at: datetime
    created_by: str
    reference: str | None
    lines: list[LineBody]


class ReleasedOut(CamelModel):
    product_id: UUID
    released: int
    quantity: int = Field(description="What is available now")
    reservation_ids: list[UUID]


class MovementOut(CamelModel):
    """A line of the ledger. The deltas of all lines add up to the level."""

    sequence: int
    kind: str
    on_hand_delta: int
    reserved_delta: int
    on_hand_after: int
    reserved_after: int
    reason: str | None
    reference: str | None
    reservation_id: UUID | None
    created_by: str
    occurred_at: datetime
