"""What a shard is asked of the till, and what it answers."""

from __future__ import annotations

from uuid import UUID

import msgspec

from actors.messages import Command, Reply
from actors.stock.model import Measures
from actors.till import model as m
from core.cash import NO_ROUNDING

# --- replies -------------------------------------------------------------------------------


class RegisterState(Reply, frozen=True):
    register_id: UUID
    register: m.Register


class ShiftResult(Reply, frozen=True):
    """The shift as it was closed."""

    register_id: UUID
    shift: m.Shift
    counted_minor: int
    closed_at_ms: int


class SaleMade(Reply, frozen=True):
    """`at_ms` is when it was sold."""

    sale_id: UUID
    sold: m.Sold
    cashier: str
    at_ms: int


class SaleKnown(Reply, frozen=True):
    """The very same offline sale was recorded before; this is what it is now."""

    sale_id: UUID
    sale: m.Sale


class SaleHeld(Reply, frozen=True):
    """The sale as it is to be made: with the hold that it takes, in the shift that is open, until
    the hold expires."""

    sale: Sell


class ReturnDone(Reply, frozen=True):
    return_id: UUID
    record: m.ReturnMade
    at_ms: int


class CardState(Reply, frozen=True):
    card_id: UUID
    card: m.GiftCard


class Abandoned(Reply, frozen=True):
    reservation_id: UUID


# --- commands ------------------------------------------------------------------------------


class PutRegister(Command[RegisterState], frozen=True):
    """Makes a register, or changes it, but for the fields that it is to `keep` as they are. Its
    location stays while a shift is open."""

    register_id: UUID
    location_id: UUID
    name: str
    discount_limit_percent: int
    create: bool = False
    keep: tuple[str, ...] = ()


class RemoveRegister(Command[RegisterState], frozen=True):
    register_id: UUID


class OpenShift(Command[RegisterState], frozen=True):
    register_id: UUID
    shift_id: UUID
    opening_float_minor: int
    currency: str
    cash_step_minor: int = NO_ROUNDING


class MoveCash(Command[RegisterState], frozen=True):
    """Paid in, paid out, or the drawer opened without a sale (amount 0). With `own_only` the drawer
    is opened by nobody but the person that opened its shift."""

    register_id: UUID
    kind: m.CashMove
    amount_minor: int = 0
    reason: str | None = None
    own_only: bool = False


class CloseShift(Command[ShiftResult], frozen=True):
    """Only the person that opened the shift may close it, or a manager: so none is stuck
    permanently."""

    register_id: UUID
    counted_minor: int
    counts: tuple[m.Count, ...] = ()
    note: str | None = None
    by_manager: bool = False


class NewCard(msgspec.Struct, frozen=True, array_like=True):
    """A gift card to be made: `card_id` is the digest of its code."""

    card_id: UUID
    last_four: str
    expires_at_ms: int | None = None


class Tender(msgspec.Struct, frozen=True, array_like=True):
    """`amount_minor` as it was handed over: cash may be more than is due."""

    method: m.Method
    amount_minor: int
    reference: str | None = None
    card_id: UUID | None = None


class Sell(Command[SaleMade | SaleKnown], frozen=True):
    """A priced sale: all of it happens, or nothing. With a `reservation_id` the goods of that
    hold are taken first. `new_cards` are those that lines with a `card_id` sell. One that was made
    `offline` has happened: it is recorded once under its `sale_id`, however often it is told, and
    never refused for want of stock; it has no hold and no gift cards, and its cash was rounded by
    `rounding_minor`, whatever its shift would have made of it."""

    sale_id: UUID
    register_id: UUID
    location_id: UUID
    currency: str
    lines: tuple[m.SaleLine, ...]
    tenders: tuple[Tender, ...]
    tips_minor: int = 0
    prices_include_tax: bool = True
    customer_id: UUID | None = None
    note: str | None = None
    reservation_id: UUID | None = None
    new_cards: tuple[NewCard, ...] = ()
    by_manager: bool = False
    offline: m.Offline | None = None
    # Of one that is paid by card: it is made in this shift, asked for by then, or not at all.
    shift_id: UUID | None = None
    until_ms: int | None = None
    # Why the customer pays no tax; None: they do.
    tax_exemption: str | None = None
    rounding_minor: int = 0
    # How the quantities of the parts are meant.
    measures: Measures = ()


class HoldSale(Command[SaleHeld], frozen=True):
    """Looks whether the sale could be made now, and holds its goods under `reservation_id` while
    its cards are charged: also where there are none, since the hold decides between sale and
    refund. A sale that brings a hold of its own keeps that one. `reference` is what the ledger
    names as the cause."""

    sale: Sell
    reservation_id: UUID
    ttl_ms: int
    reference: str


class ReturnLine(msgspec.Struct, frozen=True, array_like=True):
    """Units of a line that come back; `restock` puts them on the shelf again, `restock_as` onto
    that of a variant which what was sold has by now. `quantity` is meant in steps of
    10^-decimals."""

    number: int
    quantity: int
    restock: bool = True
    restock_as: UUID | None = None
    decimals: int = 0


class Return(Command[ReturnDone], frozen=True):
    """Goods of a sale come back, at any register of the business. `refund_to`: None for the
    tenders of the sale; cash, store_credit (`new_card`), gift_card (`card_id`). A `void` takes
    back everything, with the tips, in the shift of the sale. With `own_only` nobody pays cash but
    the person that opened the shift whose drawer it comes out of."""

    return_id: UUID
    sale_id: UUID
    register_id: UUID
    lines: tuple[ReturnLine, ...]
    refund_to: m.Method | None = None
    card_id: UUID | None = None
    new_card: NewCard | None = None
    reason: str | None = None
    void: bool = False
    by_manager: bool = False
    own_only: bool = False


class ReturnUnreceipted(Command[ReturnDone], frozen=True):
    """Goods come back without a receipt, at today's price, for cash or store credit: a manager's
    business. `restock` has a place per line."""

    return_id: UUID
    register_id: UUID
    location_id: UUID
    currency: str
    lines: tuple[m.SaleLine, ...]
    restock: tuple[bool, ...]
    refund_to: m.Method
    new_card: NewCard | None = None
    reason: str | None = None
    by_manager: bool = False
    measures: Measures = ()


class DisableCard(Command[CardState], frozen=True):
    card_id: UUID


class Abandon(Command[Abandoned], frozen=True):
    """The sale that a hold was for will not be: from now on it cannot consume the hold. Refused
    when it has."""

    reservation_id: UUID


class GetRegister(Command[RegisterState], frozen=True):
    register_id: UUID


class GetCard(Command[CardState], frozen=True):
    card_id: UUID
