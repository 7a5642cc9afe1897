"""Nobody finds a gift card by trying: after too many that there were none of, a caller has to wait
before an owner is asked about the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from actors.messages import Refused
from actors.till.messages import DisableCard, GetCard, HoldSale, Return, Sell
from deployments.kit.desk import Asked
from gateway.throttle import GIFT_CARD_GUESSES


async def check(asked: Asked) -> None:
    """Raises TooManyRequests for a command that names a gift card."""
    command = asked.command
    if isinstance(command, HoldSale):
        command = command.sale
    tenders = getattr(command, "tenders", ())
    if getattr(command, "card_id", None) or any(tender.card_id for tender in tenders):
        asked.shared.edge.throttle.check(GIFT_CARD_GUESSES, asked.principal.id)


async def count(asked: Asked, _: Refused) -> None:
    """There is no such card."""
    await asked.shared.edge.throttle.count(GIFT_CARD_GUESSES, asked.principal.id)


async def count_lookup(asked: Asked, refused: Refused) -> None:
    """The same for a caller that asks about nothing but a card."""
    if isinstance(asked.command, GetCard | DisableCard):
        await count(asked, refused)


BEFORE: Mapping[type, Callable[[Asked], Awaitable[None]]] = dict.fromkeys(
    (Sell, HoldSale, Return, GetCard, DisableCard), check
)
REFUSED: Mapping[str, Callable[[Asked, Refused], Awaitable[None]]] = {
    "gift_card_not_found": count,
    "not_found": count_lookup,
}
