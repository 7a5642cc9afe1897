"""Commands of the till on their way to the owner, and refusals as errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

from actors.families import COMMERCE, decode_reply, encode_command
from actors.messages import Command, Refused, Reply
from actors.till import messages as t
from core.errors import HoldfastError, NotFound
from core.money import from_minor
from core.principal import Principal
from core.request import RequestKey
from deployments.inventory.stock.service import tenant_of
from deployments.kit import desk
from deployments.kit.desk import Draft, Receipts
from deployments.kit.resources import Resources
from deployments.pos.errors import REFUSALS, GiftCardNotFound
from gateway.throttle import GIFT_CARD_GUESSES

# Of refusals that have no amounts in them.
NO_CURRENCY = "XXX"

R = TypeVar("R", bound=Reply)


async def send(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    wanted: Command | Draft,
    expected: type[R],
) -> tuple[R, Receipts]:
    """Has the owner decide. Raises the error that stands for a refusal, or what `desk.decided`
    raises."""
    tenant_id = tenant_of(principal)

    async def checked() -> Command:
        command = await wanted() if callable(wanted) else wanted
        _check_guesses(shared, principal, command)
        return command

    async with _counting_guesses(shared, principal, wanted):
        draft = checked if callable(wanted) else await checked()
        reply, receipts = await desk.decided(shared, principal, key, tenant_id, draft)
        return expect(reply, expected), receipts


async def ask(shared: Resources, principal: Principal, wanted: Command, expected: type[R]) -> R:
    """The same for a read of committed state."""
    _check_guesses(shared, principal, wanted)
    async with _counting_guesses(shared, principal, wanted):
        decided = await shared.bus.read(
            COMMERCE, tenant_of(principal), principal.id, encode_command(wanted)
        )
        return expect(decode_reply(decided.reply), expected)


def _check_guesses(shared: Resources, principal: Principal, wanted: Command) -> None:
    """Nobody finds a gift card by trying: raises TooManyRequests for a command that names one,
    after too many that there were none of."""
    tenders = getattr(wanted, "tenders", ())
    if getattr(wanted, "card_id", None) or any(tender.card_id for tender in tenders):
        shared.edge.throttle.check(GIFT_CARD_GUESSES, principal.id)


@asynccontextmanager
async def _counting_guesses(
    shared: Resources, principal: Principal, wanted: Command | Draft
) -> AsyncIterator[None]:
    wrong: type[HoldfastError] = GiftCardNotFound
    if isinstance(wanted, t.GetCard | t.DisableCard):
        wrong = NotFound
    try:
        yield
    except wrong:
        await shared.edge.throttle.count(GIFT_CARD_GUESSES, principal.id)
        raise


def expect(reply: Any, expected: type[R]) -> R:
    """The reply, if it is no refusal. Raises the error that stands for one."""
    if isinstance(reply, Refused):
        raise refusal(reply)
    if not isinstance(reply, expected):
        raise TypeError(f"expected {expected.__name__}, was answered {type(reply).__name__}")
    return reply


def refusal(refused: Refused) -> HoldfastError:
    """The error that stands for a refusal, with its facts as the API names them."""
    currency = str(refused.facts.get("currency", NO_CURRENCY))
    extra: dict[str, Any] = {
        name.removesuffix("Minor"): float(from_minor(int(value), currency))
        if name.endswith("Minor")
        else value
        for name, value in refused.facts.items()
    }
    # Lines and payments are counted from 1 outside.
    extra |= {name: int(extra[name]) + 1 for name in ("line", "payment") if name in extra}
    if refused.shortages:
        extra["shortages"] = [
            {"productId": str(one), "requested": requested, "available": available}
            for one, requested, available in refused.shortages
        ]
    return REFUSALS[refused.code](extra=extra)


def location_of(principal: Principal, location_id: UUID | None) -> UUID:
    """The location that is meant: the main one, whose id is the business's, where none is."""
    return location_id or tenant_of(principal)
