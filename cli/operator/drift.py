"""`holdfast drift`: whether every level is what its ledger and the open holds come to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID, uuid4

from cli.api.client import ApiError, Client
from core.clock import SystemClock
from core.ids import uuid7
from core.principal import Role
from core.settings import Settings
from gateway.keys import KeyRing
from gateway.tokens import Tokens
from store.doctor.drift import MAX_DIFFERENCES, Difference, differences

REASON = "holdfast drift"
_AT_ONCE = 8
_TRIES = 20
_PAUSE_SECONDS = 0.05


class Report:
    """What was found, what was done about it, and what is left."""

    def __init__(self, found: list[Difference]) -> None:
        self.found = found
        self.done: list[str] = []
        self.left = found

    @property
    def lines(self) -> list[str]:
        """For people."""
        told = [describe(difference) for difference in self.found] + self.done
        if not self.found:
            return ["Levels, ledgers and open holds agree."]
        more = " or more" if len(self.found) == MAX_DIFFERENCES else ""
        return [*told, f"{len(self.found)}{more} differences found, {len(self.left)} left."]


async def look(settings: Settings, tenant_id: UUID | None) -> Report:
    """Compares everything, or one business. Raises Unavailable."""
    return Report(await differences(settings.host_database_url, tenant_id))


async def look_and_repair(settings: Settings, tenant_id: UUID | None, url: str) -> Report:
    """The same; has the owner of each level that differs bring it back, and looks again. Safe
    while the shop is open. Raises Unavailable, Unreachable."""
    report = await look(settings, tenant_id)
    if not report.found:
        return report
    tokens = Tokens(settings, KeyRing(settings), SystemClock())
    token = tokens.issue(uuid7(), Role.ADMIN, None, uuid7())
    gate = asyncio.Semaphore(_AT_ONCE)
    async with Client(url, token=token) as client:

        async def repaired(difference: Difference) -> str:
            async with gate:
                return await _repair(client, difference)

        report.done = list(await asyncio.gather(*map(repaired, _places(report.found))))
    report.left = (await look(settings, tenant_id)).found
    return report


def _places(found: Iterable[Difference]) -> list[Difference]:
    return list(
        {
            (difference.product_id, difference.location_id): difference for difference in found
        }.values()
    )


async def _repair(client: Client, difference: Difference) -> str:
    """Asks the owner; again, with a new key, when goods moved just then."""
    body = {
        "productId": str(difference.product_id),
        "locationId": str(difference.location_id),
        "reason": REASON,
    }
    for _ in range(_TRIES):
        try:
            told = await client.post("/api/inventory/repairs", body, key=f"drift-{uuid4()}")
        except ApiError as error:
            if error.status != 409:
                return f"{_place(difference)}: not repaired: {error.detail}"
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        after = told["data"]["after"]
        return (
            f"{_place(difference)}: the level is now {after['onHand']} on hand, {after['reserved']}"
            f" reserved, {after['incoming']} incoming"
        )
    return f"{_place(difference)}: not repaired: it moved at every try"


def describe(difference: Difference) -> str:
    """A difference in words."""
    level = (difference.level_on_hand, difference.level_reserved, difference.level_incoming)
    said = "there is no level" if None in level else "the level says {}, {}, {}".format(*level)
    return (
        f"{_place(difference)} (on hand, reserved, incoming): {said};"
        f" the ledger {difference.ledger_on_hand}, {difference.ledger_reserved},"
        f" {difference.ledger_incoming}; open holds {difference.held}"
    )


def _place(difference: Difference) -> str:
    return (
        f"business {difference.tenant_id} item {difference.product_id}"
        f" location {difference.location_id}"
    )
