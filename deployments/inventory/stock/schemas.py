"""Bodies, queries and answers about stock. Quantities are of the product's unit, with the decimals
that it has; where no location is named the main one is meant."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from actors.stock.model import MAX_LINES, Status
from deployments.inventory.fields import Reference, StockLine, StockLineOut
from gateway.changes import Partial
from gateway.fields import LocationId, absent
from gateway.quantities import (
    MAX_QUANTITY,
    OnHand,
    Quantity,
    QuantityOut,
    SignedOnHand,
    SignedQuantity,
    SomeQuantity,
)
from gateway.schemas import CamelModel, Moment, PageQuery, QueryModel

MAX_TTL_SECONDS = 7 * 86_400
DEFAULT_TTL_SECONDS = 900
MAX_AGE_DAYS = 30

TtlSeconds = Annotated[
    int, Field(ge=1, le=MAX_TTL_SECONDS, description="How long the hold lasts, in seconds")
]
Occurred = Annotated[
    Moment | None,
    Field(
        description=f"When it happened, if that was earlier: at most {MAX_AGE_DAYS} days ago. What"
        " happened before a count that is already in does not change the level again"
    ),
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


class NewStock(CamelModel):
    product_id: UUID
    quantity: SomeQuantity
    low_stock_threshold: SomeQuantity | None = None
    reference: Reference = None
    location_id: LocationId = None


class NewReservation(CamelModel):
    """Either `productId` and `quantity`, or `lines`: all of them are held, at one location, or
    none."""

    product_id: UUID | None = None
    quantity: Quantity | None = None
    lines: Annotated[list[StockLine] | None, Field(min_length=1, max_length=MAX_LINES)] = None
    ttl_seconds: TtlSeconds = DEFAULT_TTL_SECONDS
    reference: Reference = None
    location_id: LocationId = None

    @model_validator(mode="after")
    def _one_form(self) -> NewReservation:
        single = self.product_id is not None and self.quantity is not None
        partly = self.product_id is not None or self.quantity is not None
        if single == (self.lines is not None) or (self.lines is not None and partly):
            raise ValueError("give either productId and quantity, or lines")
        return self


class NewRelease(CamelModel):
    product_id: UUID
    quantity: Quantity
    location_id: LocationId = None


class NewExtension(CamelModel):
    ttl_seconds: TtlSeconds = DEFAULT_TTL_SECONDS


class Expectation(CamelModel):
    """What a line changes only if it is still so."""

    expected_sequence: Annotated[
        int | None,
        Field(ge=0, le=2**63 - 1, description="The level's `sequence`; 0: there is no level yet"),
    ] = None
    expected_on_hand: SignedOnHand | None = None


class NewAdjustmentLine(Expectation):
    product_id: UUID
    delta: Annotated[SignedQuantity, Field(description="Not 0")]
    location_id: LocationId = None
    occurred_at: Occurred = None

    @model_validator(mode="after")
    def _moves_something(self) -> NewAdjustmentLine:
        if self.delta == 0:
            raise ValueError("delta must not be 0")
        return self


class NewAdjustment(CamelModel):
    """Signed corrections of what is on hand: all of them happen, or none."""

    lines: Annotated[list[NewAdjustmentLine], Field(min_length=1, max_length=MAX_LINES)]
    reason: Reason
    reference: Reference = None


class Action(StrEnum):
    """What a line of a batch does: sets what is on hand, adds what came in, or adjusts by a
    signed number."""

    SET = "set"
    ADD = "add"
    ADJUST = "adjust"


class NewBatchLine(Expectation):
    action: Action
    product_id: UUID
    quantity: Annotated[SignedOnHand, Field(description="Signed for `adjust` alone")]
    location_id: LocationId = None
    low_stock_threshold: SomeQuantity | None = None
    occurred_at: Occurred = None

    @model_validator(mode="after")
    def _fits_its_action(self) -> NewBatchLine:
        if self.action is not Action.ADJUST and self.quantity < 0:
            raise ValueError("quantity must not be negative here")
        if self.action is not Action.SET and not (-MAX_QUANTITY <= self.quantity <= MAX_QUANTITY):
            raise ValueError(f"quantity must not be more than {MAX_QUANTITY} here")
        if self.action is Action.SET and self.occurred_at is not None:
            raise ValueError("what was on hand at another time is a count: send it as one")
        return self


class NewBatch(CamelModel):
    """Changes of levels: all of them happen, or none."""

    lines: Annotated[list[NewBatchLine], Field(min_length=1, max_length=MAX_LINES)]
    reason: Reason = Reason.OTHER
    reference: Reference = None


class NewStockCount(CamelModel):
    product_id: UUID
    counted: OnHand
    location_id: LocationId = None
    counted_at: Annotated[
        Moment | None,
        Field(description=f"When; now if it is left out, at most {MAX_AGE_DAYS} days ago"),
    ] = None


class NewStockCounts(CamelModel):
    """Physical counts: all of them happen, or none; each level at most once."""

    lines: Annotated[list[NewStockCount], Field(min_length=1, max_length=MAX_LINES)]
    reference: Reference = None


BackorderLimit = Annotated[
    SomeQuantity,
    Field(description="How many may be promised beyond what is there, at each location"),
]


class TermsChanges(Partial):
    backorder_limit: BackorderLimit = absent()


class NewRepair(CamelModel):
    product_id: UUID
    location_id: LocationId = None
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class LocationQuery(PageQuery):
    location_id: UUID | None = None


class LevelQuery(QueryModel):
    location_id: UUID | None = None


class MovementQuery(LocationQuery):
    sort: Literal["-recordedAt", "-occurredAt"] = "-recordedAt"


class ReservationQuery(LocationQuery):
    status: Status | None = None
    product_id: UUID | None = None


class PlaceLevelOut(CamelModel):
    """A level at one location. `quantity` is what is available: on hand less what is reserved,
    none where more was promised than is there. `sequence` grows with every change."""

    product_id: UUID
    location_id: UUID
    quantity: QuantityOut
    on_hand: QuantityOut
    reserved: QuantityOut
    incoming: QuantityOut = Field(description="Ordered or on its way, and not there yet")
    low_stock_threshold: QuantityOut
    is_low_stock: bool
    sequence: int | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="Grows with each change; for the business's own callers alone",
    )


class LevelOut(CamelModel):
    """A product's level over all locations, and at each. `quantity` is the sum of what is available
    at each, `lowStockThreshold` of the thresholds, and `isLowStock` compares the two; whether it is
    low at one location, that one says. `backorderLimit` units may be promised at each beyond what
    is there."""

    product_id: UUID
    quantity: QuantityOut
    on_hand: QuantityOut
    reserved: QuantityOut
    incoming: QuantityOut
    low_stock_threshold: QuantityOut
    is_low_stock: bool
    backorder_limit: QuantityOut
    locations: list[PlaceLevelOut]


class TermsOut(CamelModel):
    product_id: UUID
    backorder_limit: QuantityOut


class RepairOut(CamelModel):
    """The level before and after; the same where nothing was wrong."""

    repaired: bool
    before: PlaceLevelOut
    after: PlaceLevelOut


class LowStockOut(CamelModel):
    product_id: UUID
    location_id: UUID
    quantity: QuantityOut
    low_stock_threshold: QuantityOut


class HeldLineOut(CamelModel):
    product_id: UUID
    quantity: QuantityOut
    available: QuantityOut = Field(description="What is left for others, after this")


class ReservationOut(CamelModel):
    """`productId`, `quantity` and `available` are there when the hold has one line."""

    id: UUID
    location_id: UUID
    status: Status
    expires_at: datetime
    created_at: datetime
    reference: str | None
    lines: list[HeldLineOut]
    product_id: UUID | None = Field(default=None, exclude_if=lambda value: value is None)
    quantity: QuantityOut | None = Field(default=None, exclude_if=lambda value: value is None)
    available: QuantityOut | None = Field(default=None, exclude_if=lambda value: value is None)


class ReservationRow(CamelModel):
    id: UUID
    location_id: UUID
    status: Status
    expires_at: datetime
    created_at: datetime
    created_by: str
    reference: str | None
    lines: list[StockLineOut]


class ReleasedOut(CamelModel):
    product_id: UUID
    released: QuantityOut
    quantity: QuantityOut = Field(description="What is available now")
    reservation_ids: list[UUID]


class MovementOut(CamelModel):
    """A line of the ledger. The deltas of all lines add up to the level. `occurredAt` is when it
    happened, `recordedAt` when it was written down."""

    sequence: int
    location_id: UUID
    kind: str
    on_hand_delta: QuantityOut
    reserved_delta: QuantityOut
    incoming_delta: QuantityOut
    on_hand_after: QuantityOut
    reserved_after: QuantityOut
    incoming_after: QuantityOut
    reason: str | None
    reference: str | None
    reservation_id: UUID | None
    created_by: str
    occurred_at: datetime
    recorded_at: datetime
