"""Bodies, queries and answers of transfers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from actors.stock.model import MAX_LINES
from actors.stock.transfers import TransferStatus
from deployments.inventory.fields import Reference, StockLine, StockLineOut
from gateway.fields import LocationId
from gateway.quantities import QuantityOut
from gateway.schemas import CamelModel, SyncQuery


class NewTransfer(CamelModel):
    """Goods from one location to another: every line, or none."""

    from_location_id: LocationId = None
    to_location_id: LocationId = None
    lines: Annotated[list[StockLine], Field(min_length=1, max_length=MAX_LINES)]
    ship: bool = Field(
        default=False, description="They are on their way, `incoming`, until they are received"
    )
    reference: Reference = None


class Arrival(CamelModel):
    """What came. Without `lines`, all that was on its way."""

    lines: list[StockLine] | None = Field(default=None, min_length=1, max_length=MAX_LINES)


class TransferLineOut(StockLineOut):
    """`outstanding` is what is still on its way."""

    received: QuantityOut
    outstanding: QuantityOut


class TransferQuery(SyncQuery):
    location_id: UUID | None = None
    status: TransferStatus | None = None


class TransferOut(CamelModel):
    id: UUID
    status: TransferStatus
    from_location_id: UUID
    to_location_id: UUID
    lines: list[TransferLineOut]
    reference: str | None
    created_by: str
    created_at: datetime
    closed_at: datetime | None = Field(description="When it was received or cancelled")
