"""Stock and its reservations: states, commands, events and replies. Quantities are whole units.

available = on_hand - reserved. A hold counts as reserved from its opening until it is confirmed,
released, or expired; expiry removes it GRACE_MS after `expires_at_ms`, so that a confirm that
arrived in time is honoured even across a failover.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

GRACE_MS = 30_000
DEFAULT_LOW_STOCK_THRESHOLD = 10
MAX_LINES = 1_000
MAX_QUANTITY = 1_000_000
MAX_ON_HAND = 2_000_000_000
MAX_HOLDS_PER_RELEASE = 100

STOCK, RESERVATION, OPEN_HOLDS = "stock", "reservation", "open_holds"


class Line(NamedTuple):
    product_id: UUID
    quantity: int


class Status(StrEnum):
    OPEN = "open"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class Stock(msgspec.Struct, frozen=True):
    """The level of one product. `low` remembers the side of the threshold, so that a crossing
    is told once."""

    on_hand: int = 0
    reserved: int = 0
    low_stock_threshold: int = DEFAULT_LOW_STOCK_THRESHOLD
    low: bool = True
    discontinued: bool = False
    sequence: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class Reservation(msgspec.Struct, frozen=True):
    """A hold on all of its lines: one product at most once."""

    lines: tuple[Line, ...]
    status: Status
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    reference: str | None = None
    sequence: int = 0


# --- commands ------------------------------------------------------------------------------


class Command(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard is asked to do."""


class AddStock(Command, frozen=True):
    """Goods come in; optionally a new threshold."""

    product_id: UUID
    quantity: int
    low_stock_threshold: int | None = None
    reference: str | None = None


class Adjustment(NamedTuple):
    product_id: UUID
    delta: int


class Adjust(Command, frozen=True):
    """Corrects levels by signed deltas, all or nothing. Never below what is reserved."""

    lines: tuple[Adjustment, ...]
    reason: str
    reference: str | None = None


class Reserve(Command, frozen=True):
    """Holds every line or none. `reservation_id` is new."""

    reservation_id: UUID
    lines: tuple[Line, ...]
    ttl_ms: int
    reference: str | None = None


class Confirm(Command, frozen=True):
    """The held goods leave for good."""

    reservation_id: UUID


class Extend(Command, frozen=True):
    """The hold lasts until `ttl_ms` from now."""

    reservation_id: UUID
    ttl_ms: int


class Release(Command, frozen=True):
    """The hold ends and its goods are free again."""

    reservation_id: UUID


class ReleaseOldest(Command, frozen=True):
    """Frees `quantity` of the caller's own oldest open holds of one product."""

    product_id: UUID
    quantity: int


class Expire(Command, frozen=True):
    """A shard's own: the hold and its grace are over."""

    reservation_id: UUID


class Discontinue(Command, frozen=True):
    """The product is gone from the catalogue (or back): no new holds."""

    product_id: UUID
    discontinued: bool


class GetLevels(Command, frozen=True):
    product_ids: tuple[UUID, ...]


class GetReservation(Command, frozen=True):
    reservation_id: UUID


AnyCommand = (
    AddStock
    | Adjust
    | Reserve
    | Confirm
    | Extend
    | Release
    | ReleaseOldest
    | Expire
    | Discontinue
    | GetLevels
    | GetReservation
)

# --- events --------------------------------------------------------------------------------


class Movement(msgspec.Struct, frozen=True):
    """A line of the ledger. `kind`: received, adjusted, reserved, released, expired, confirmed."""

    kind: str
    on_hand_delta: int
    reserved_delta: int
    reason: str | None = None
    reference: str | None = None
    reservation_id: UUID | None = None


class ThresholdSet(msgspec.Struct, frozen=True):
    low_stock_threshold: int


class DiscontinuedSet(msgspec.Struct, frozen=True):
    discontinued: bool


class Opened(msgspec.Struct, frozen=True):
    lines: tuple[Line, ...]
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    reference: str | None


class Closed(msgspec.Struct, frozen=True):
    status: Status


class Extended(msgspec.Struct, frozen=True):
    expires_at_ms: int


class Reduced(msgspec.Struct, frozen=True):
    lines: tuple[Line, ...]


StockEvent = Movement | ThresholdSet | DiscontinuedSet
ReservationEvent = Opened | Closed | Extended | Reduced

# --- replies -------------------------------------------------------------------------------


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of what a shard answers."""


class Level(msgspec.Struct, frozen=True, array_like=True):
    product_id: UUID
    on_hand: int
    reserved: int
    low_stock_threshold: int
    discontinued: bool = False

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved

    @property
    def is_low(self) -> bool:
        return self.available < self.low_stock_threshold


class Levels(Reply, frozen=True):
    levels: tuple[Level, ...]


class Hold(Reply, frozen=True):
    """A reservation as it now stands, with the levels of its goods."""

    reservation_id: UUID
    status: Status
    lines: tuple[Line, ...]
    expires_at_ms: int
    created_at_ms: int
    created_by: str
    reference: str | None
    levels: tuple[Level, ...]


class Freed(Reply, frozen=True):
    level: Level
    quantity: int
    reservation_ids: tuple[UUID, ...]


class Shortage(NamedTuple):
    product_id: UUID
    requested: int
    available: int


class Refused(Reply, frozen=True):
    """The rule says no. `code` is for machines: insufficient_stock, not_found, not_open,
    reservation_expired, no_open_hold, stock_limit, product_discontinued."""

    code: str
    shortages: tuple[Shortage, ...] = ()


AnyReply = Levels | Hold | Freed | Refused
