"""What inventory does: commands to the owner of the stock, lists from Postgres."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from actors.families import COMMERCE, decode_reply, encode_command
from actors.runtime.wire import Receipt
from actors.stock import model as m
from core.errors import (
    HoldfastError,
    InsufficientStock,
    NoOpenHold,
    NotFound,
    ProductDiscontinued,
    ReservationExpired,
    ReservationNotOpen,
    StockLimitReached,
)
from core.ids import uuid7
from core.principal import Principal
from core.request import RequestKey
from deployments.inventory import schemas as s
from deployments.resources import Resources

Receipts = tuple[Receipt, ...]
R = TypeVar("R", bound=m.Reply)

_REFUSALS: dict[str, type[HoldfastError]] = {
    "insufficient_stock": InsufficientStock,
    "not_found": NotFound,
    "not_open": ReservationNotOpen,
    "reservation_expired": ReservationExpired,
    "no_open_hold": NoOpenHold,
    "stock_limit": StockLimitReached,
    "product_discontinued": ProductDiscontinued,
}


async def command(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: m.Command,
    expected: type[R],
) -> tuple[R, Receipts]:
    """Has the owner decide. Raises the error that stands for a refusal, or what the bus raises."""
    tenant_id = tenant_of(principal)
    body = encode_command(wanted)
    decided = await shared.bus.send(COMMERCE, tenant_id, principal.id, body, key)
    return _expect(decode_reply(decided.reply), expected), decided.receipts


async def reserve(
    shared: Resources, principal: Principal, key: RequestKey, body: s.ReserveBody
) -> tuple[m.Hold, Receipts]:
    """Holds all lines or none."""
    if body.lines is not None:
        lines = tuple(m.Line(line.product_id, line.quantity) for line in body.lines)
    elif body.product_id is not None and body.quantity is not None:
        lines = (m.Line(body.product_id, body.quantity),)
    else:
        raise ValueError("a ReserveBody has one of two forms")
    await shared.owners.check(tenant_of(principal), (line.product_id for line in lines))
    wanted = m.Reserve(uuid7(), lines, body.ttl_seconds * 1000, body.reference)
    return await command(shared, principal, key, wanted, m.Hold)


async def discontinue(
    shared: Resources, principal: Principal, key: RequestKey, product_id: UUID
) -> None:
    """No new holds on a product that left the catalogue, whoever took it out. Its tenant is
    asked of the catalogue, since a platform admin acts for none."""
    tenant_id = await shared.owners.of_any(product_id)
    body = encode_command(m.SetItemTerms(product_id, discontinued=True))
    await shared.bus.send(COMMERCE, tenant_id, principal.id, body, key)


async def level(shared: Resources, principal: Principal, product_id: UUID) -> m.Level:
    """What the owner has committed, as of now. Raises NotFound."""
    tenant_id = await shared.owners.of(product_id)
    wanted = encode_command(m.GetLevels((product_id,)))
    decided = await shared.bus.read(COMMERCE, tenant_id, principal.id, wanted)
    found = _expect(decode_reply(decided.reply), m.Levels).levels[0]
    if found.discontinued and principal.tenant_id != tenant_id:
        raise NotFound("There is no such product.")
    return found


async def reservation(shared: Resources, principal: Principal, reservation_id: UUID) -> m.Hold:
    """A reservation of the caller's business, from its owner. Raises NotFound."""
    wanted = encode_command(m.GetReservation(reservation_id))
    decided = await shared.bus.read(COMMERCE, tenant_of(principal), principal.id, wanted)
    return _expect(decode_reply(decided.reply), m.Hold)


def tenant_of(principal: Principal) -> UUID:
    """The business that the caller acts for; routes that need one let nobody else in."""
    if principal.tenant_id is None:
        raise NotFound
    return principal.tenant_id


def level_out(level: m.Level) -> s.LevelOut:
    return s.LevelOut(
        product_id=level.product_id,
        quantity=level.available,
        on_hand=level.on_hand,
        reserved=level.reserved,
        low_stock_threshold=level.low_stock_threshold,
        is_low_stock=level.is_low,
    )


def reservation_out(hold: m.Hold) -> s.ReservationOut:
    available = {level.product_id: level.available for level in hold.levels}
    lines = [
        s.HeldLine(product_id=product, quantity=quantity, available=available[product])
        for product, quantity in hold.lines
    ]
    only: dict[str, Any] = lines[0].model_dump() if len(lines) == 1 else {}
    return s.ReservationOut(
        reservation_id=hold.reservation_id,
        status=hold.status,
        expires_at=moment(hold.expires_at_ms),
        created_at=moment(hold.created_at_ms),
        reference=hold.reference,
        lines=lines,
        **only,
    )


def moment(ms: int) -> datetime:
    """A point in time from ms since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def _expect(reply: m.AnyReply, expected: type[R]) -> R:
    if isinstance(reply, m.Refused):
        raise _REFUSALS[reply.code](extra={"shortages": _shortages(reply.shortages)})
    if not isinstance(reply, expected):
        raise TypeError(f"expected {expected.__name__}, was answered {type(reply).__name__}")
    return reply


def _shortages(shortages: Iterable[m.Shortage]) -> list[dict[str, Any]]:
    return [
        {
            "productId": str(shortage.product_id),
            "requested": shortage.requested,
            "available": shortage.available,
        }
        for shortage in shortages
    ]
