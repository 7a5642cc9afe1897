"""Stock and its reservations: states, commands, events and replies.

Quantities are whole steps: pieces, or 10^-decimals of a unit (`core.quantities`). Who asks says
what it took them for, by `measures`; the owner of the stock knows what they are, since its first
movement permanently, and refuses what was meant otherwise.

Stock is kept per item (a product without variants, or a variant; `product_id` throughout) and
location; `location_id` None is the business's main location, whose id is the tenant's.

available = on_hand - reserved. It may fall to -backorder_limit of the item. A hold counts as
reserved from its opening until it is confirmed, released, or expired; expiry removes it GRACE_MS
after `expires_at_ms`, so that a confirm that arrived in time is honoured even across a failover.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from actors.messages import Command as Command
from actors.messages import Refused as Refused
from actors.messages import Reply as Reply
from actors.messages import Shortage as Shortage

GRACE_MS = 30_000
DEFAULT_LOW_STOCK_THRESHOLD = 10
MAX_LINES = 1_000
MAX_QUANTITY = 1_000_000
MAX_ON_HAND = 2_000_000_000

# A command dates back one movement per level at most, and a batch has so many commands.
MAX_BACKDATED = 500

STOCK, ITEM, RESERVATION, OPEN_HOLDS = "stock", "item", "reservation", "open_holds"
MOVED_AFTER, BOOKS = "moved_after", "books"


class Line(NamedTuple):
    product_id: UUID
    quantity: int


class Measure(NamedTuple):
    """Quantities of this product are meant in steps of 10^-decimals; of others in pieces."""

    product_id: UUID
    decimals: int


Measures = tuple[Measure, ...]


class Status(StrEnum):
    OPEN = "open"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class Stock(msgspec.Struct, frozen=True):
    """The level of one item at one location.

    `low` remembers the side of the threshold, so that a crossing is emitted once. `min_available`
    is the least that `available` may be: minus the backorder limit that the last movement went by,
    or where a count, or goods that are gone anyway, left it. `counted_at_ms` is the moment of the
    latest count. `backdated` are the last movements that were dated back: (sequence,
    occurred_at_ms, on_hand_delta); only memory keeps them, for counts that are decided in the same
    batch. `decimals` are the item's.
    """

    on_hand: int = 0
    reserved: int = 0
    incoming: int = 0
    low_stock_threshold: int = DEFAULT_LOW_STOCK_THRESHOLD
    low: bool = True
    min_available: int = 0
    counted_at_ms: int | None = None
    sequence: int = 0
    backdated: tuple[tuple[int, int, int], ...] = ()
    decimals: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class Item(msgspec.Struct, frozen=True):
    """What holds for an item at all locations. `location_ids`: where it has a level. `parent`: it
    has variants, so nothing comes in, is promised or leaves under its own name. `decimals` are
    those of its quantities, None for pieces, and for what nothing has been said of yet: then the
    first that moves it says so."""

    discontinued: bool = False
    backorder_limit: int = 0
    location_ids: tuple[UUID, ...] = ()
    sequence: int = 0
    parent: bool = False
    decimals: int | None = None

    def takes(self, decimals: int) -> bool:
        """Whether quantities may be meant so."""
        if self.decimals is None:
            return not decimals or not self.location_ids
        return self.decimals == decimals


class Reservation(msgspec.Struct, frozen=True):
    """A hold on all of its lines, at one location: one item at most once."""

    lines: tuple[Line, ...]
    status: Status
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    reference: str | None = None
    location_id: UUID | None = None
    sequence: int = 0


# --- replies -------------------------------------------------------------------------------


class Level(msgspec.Struct, frozen=True, array_like=True):
    product_id: UUID
    on_hand: int
    reserved: int
    low_stock_threshold: int
    discontinued: bool = False
    location_id: UUID | None = None
    incoming: int = 0
    backorder_limit: int = 0
    sequence: int = 0
    decimals: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved

    @property
    def is_low(self) -> bool:
        return self.available < self.low_stock_threshold


class Levels(Reply, frozen=True):
    levels: tuple[Level, ...]


class Hold(Reply, frozen=True):
    """A reservation as it now stands; `levels` are those of its lines, one each, in their order."""

    reservation_id: UUID
    status: Status
    lines: tuple[Line, ...]
    expires_at_ms: int
    created_at_ms: int
    created_by: str
    reference: str | None
    levels: tuple[Level, ...]
    location_id: UUID | None = None


class Freed(Reply, frozen=True):
    level: Level
    quantity: int
    reservation_ids: tuple[UUID, ...]


class TermsReply(Reply, frozen=True):
    """An item's terms as they now stand."""

    product_id: UUID
    discontinued: bool
    backorder_limit: int
    decimals: int = 0


class Repairs(Reply, frozen=True):
    """The level before (as the owner had it) and after; the same where nothing was wrong."""

    before: Level
    after: Level
    repaired: bool


# --- commands ------------------------------------------------------------------------------


class AddStock(Command[Levels], frozen=True):
    """Goods come in; optionally a new threshold."""

    product_id: UUID
    quantity: int
    low_stock_threshold: int | None = None
    reference: str | None = None
    location_id: UUID | None = None
    measures: Measures = ()


class Adjustment(NamedTuple):
    """One change of a level. `action`: "adjust" by a signed `quantity`, "add" what came in, or
    "set" what is on hand. Refused when the level is not at the expected sequence or number on
    hand. `occurred_at_ms`: when it happened, if that was earlier; not for "set"."""

    product_id: UUID
    quantity: int
    location_id: UUID | None = None
    action: str = "adjust"
    expected_sequence: int | None = None
    expected_on_hand: int | None = None
    low_stock_threshold: int | None = None
    occurred_at_ms: int | None = None


class Adjust(Command[Levels], frozen=True):
    """Changes levels, all or nothing, lines of one level after one another. Goods that are taken
    must be available, backorder included."""

    lines: tuple[Adjustment, ...]
    reason: str | None = None
    reference: str | None = None
    measures: Measures = ()


class CountLine(NamedTuple):
    """What was counted, and at which moment."""

    product_id: UUID
    counted: int
    counted_at_ms: int
    location_id: UUID | None = None


class Count(Command[Levels], frozen=True):
    """Physical counts: a level becomes what was counted plus what moved after that moment, each
    level at most once. A count that is older than one which is already in changes nothing."""

    lines: tuple[CountLine, ...]
    reference: str | None = None
    measures: Measures = ()


class Repair(Command[Repairs], frozen=True):
    """Brings a level back to its ledger, and what is reserved to the open holds, whatever the
    cause of the difference."""

    product_id: UUID
    reason: str
    location_id: UUID | None = None


class Reserve(Command[Hold], frozen=True):
    """Holds every line or none. `reservation_id` is new."""

    reservation_id: UUID
    lines: tuple[Line, ...]
    ttl_ms: int
    reference: str | None = None
    location_id: UUID | None = None
    measures: Measures = ()


class Confirm(Command[Hold], frozen=True):
    """The held goods leave permanently."""

    reservation_id: UUID


class Extend(Command[Hold], frozen=True):
    """The hold lasts until `ttl_ms` from now."""

    reservation_id: UUID
    ttl_ms: int


class Release(Command[Hold], frozen=True):
    """The hold ends and its goods are free again."""

    reservation_id: UUID


class ReleaseOldest(Command[Freed], frozen=True):
    """Frees `quantity` of the caller's own oldest open holds of one item at one location."""

    product_id: UUID
    quantity: int
    location_id: UUID | None = None
    measures: Measures = ()


class Expire(Command[Hold], frozen=True):
    """A shard's own: the hold and its grace are over."""

    reservation_id: UUID


class SetItemTerms(Command[TermsReply], frozen=True):
    """What holds at all locations; None leaves it. A discontinued item takes no new holds;
    `backorder_limit` steps may be promised beyond what is there, at each location; `decimals` say
    what steps those are."""

    product_id: UUID
    discontinued: bool | None = None
    backorder_limit: int | None = None
    decimals: int = 0


class SetMeasure(Command[Levels], frozen=True):
    """Quantities of these items have so many decimals from now on, all of them or none. One that
    has ever had a level keeps what it has; the reply is the levels of those."""

    product_ids: tuple[UUID, ...]
    decimals: int


class BecomeParents(Command[Levels], frozen=True):
    """Products that are about to get their first variant: from then on each is a parent. One that
    has anything on hand, reserved or incoming stays what it is; the reply is its levels. What is
    a parent already gets a new sequence all the same, so that no earlier BecomeSimple counts."""

    product_ids: tuple[UUID, ...]


class BecomeSimple(Command[Levels], frozen=True):
    """A product without variants, no parent any more. Refused unless the item is still at
    `sequence`."""

    product_id: UUID
    sequence: int


class GetLevels(Command[Levels], frozen=True):
    """Levels of items: at one location, or with `everywhere` at each where there is one (the main
    one at least)."""

    product_ids: tuple[UUID, ...]
    location_id: UUID | None = None
    everywhere: bool = False


class GetReservation(Command[Hold], frozen=True):
    reservation_id: UUID


# --- events --------------------------------------------------------------------------------


class Movement(msgspec.Struct, frozen=True):
    """A line of the ledger. `kind`: received, adjusted, reserved, released, expired, confirmed,
    and those that other modules name. `backorder_limit` is the item's at that moment. With
    `may_oversell` the goods are gone whatever the level says: available may fall below the level's
    `min_available`."""

    kind: str
    on_hand_delta: int
    reserved_delta: int
    incoming_delta: int = 0
    backorder_limit: int = 0
    reason: str | None = None
    reference: str | None = None
    reservation_id: UUID | None = None
    occurred_at_ms: int | None = None
    may_oversell: bool = False


class Counted(msgspec.Struct, frozen=True):
    """A count: the movement that it makes, dated at its moment."""

    movement: Movement


class Backdated(msgspec.Struct, frozen=True):
    """A movement from before a count that is already in: the count included it. Two lines of the
    ledger, the second one taking back from the count what the first one brings."""

    movement: Movement
    counted_at_ms: int


class Repaired(msgspec.Struct, frozen=True):
    """A level as it must be. The ledger agrees with it, but for what is reserved."""

    on_hand: int
    reserved: int
    incoming: int
    reserved_delta: int
    backorder_limit: int
    sequence: int
    reason: str


class ThresholdSet(msgspec.Struct, frozen=True):
    low_stock_threshold: int


class Measured(msgspec.Struct, frozen=True):
    """What begins the level of an item whose quantities have decimals."""

    decimals: int


class Stocked(msgspec.Struct, frozen=True):
    """The item has got a level at a location. `decimals` as its first movement meant them."""

    location_id: UUID
    decimals: int = 0


class TermsSet(msgspec.Struct, frozen=True):
    discontinued: bool
    backorder_limit: int
    decimals: int = 0


class MeasureSet(msgspec.Struct, frozen=True):
    """Quantities have so many decimals; the backorder limit is as many units as before."""

    decimals: int


class ParentSet(msgspec.Struct, frozen=True):
    """The item has got its first variant, or has lost its last."""

    parent: bool


class Opened(msgspec.Struct, frozen=True):
    lines: tuple[Line, ...]
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    reference: str | None
    location_id: UUID | None


class Closed(msgspec.Struct, frozen=True):
    status: Status


class Extended(msgspec.Struct, frozen=True):
    expires_at_ms: int


class Reduced(msgspec.Struct, frozen=True):
    lines: tuple[Line, ...]


AnyReply = Levels | Hold | Freed | TermsReply | Repairs | Refused
