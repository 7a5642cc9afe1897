"""What the till asks of a provider of card payments, and a sandbox that behaves like test cards."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import NamedTuple, Protocol

from store.kit.engine import Database, Scope
from store.pos import cards

SLOW_SECONDS = 2.0
SILENCE_SECONDS = 3_600.0
_PREFIX = "sbx_"


class Verdict(StrEnum):
    APPROVED = "approved"
    DECLINED = "declined"


class Charge(NamedTuple):
    """`id` is what the provider calls the charge."""

    id: str
    verdict: Verdict


class RefundRefused(Exception):
    """The provider will not give back that much of the charge."""


class CardProvider(Protocol):
    """Everything is idempotent by its key. Any call may fail or never answer: the caller bounds
    its wait, and asks `find` what became of a charge."""

    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> Charge:
        """Charges the card that `token` stands for, once per key."""
        ...

    async def find(self, key: str) -> Charge | None:
        """What became of a charge; None if it has not arrived (yet), or was cancelled."""
        ...

    async def cancel(self, key: str) -> None:
        """Sees to it that no money of this charge is kept, whether it was made, is under way, or
        never arrives."""
        ...

    async def refund(self, key: str, charge_id: str, amount_minor: int) -> None:
        """Gives back part of a charge, once per key. Raises RefundRefused."""
        ...


class Sandbox:
    """Tokens say how a card behaves: `tok_approve`, `tok_decline`, `tok_slow` (approves after
    `slow_seconds`), `tok_unknown` (charged, yet never answered), `tok_unknown_declined`; any
    other is declined. Its ledger survives restarts, as a real provider's does."""

    def __init__(self, db: Database, slow_seconds: float = SLOW_SECONDS) -> None:
        self._db = db
        self._slow_seconds = slow_seconds

    async def charge(self, key: str, token: str, amount_minor: int, currency: str) -> Charge:
        if token == "tok_slow":  # noqa: S105 - a test card
            await asyncio.sleep(self._slow_seconds)
        approved = token in ("tok_approve", "tok_slow", "tok_unknown")
        verdict = Verdict.APPROVED if approved else Verdict.DECLINED
        async with self._db.transaction(Scope()) as tx:
            status = await cards.sandbox_charge(tx, key, verdict.value, amount_minor, currency)
        if token.startswith("tok_unknown"):
            await asyncio.sleep(SILENCE_SECONDS)
        return Charge(_PREFIX + key, _verdict(status))

    async def find(self, key: str) -> Charge | None:
        async with self._db.transaction(Scope()) as tx:
            found = await cards.sandbox_find(tx, key)
        if found is None or found.status == "canceled":
            return None
        return Charge(_PREFIX + key, _verdict(found.status))

    async def cancel(self, key: str) -> None:
        async with self._db.transaction(Scope()) as tx:
            # A charge of this key that arrives later finds it taken.
            status = await cards.sandbox_charge(tx, key, "canceled", 0, "XXX")
            charge = await cards.sandbox_find(tx, key, lock=True)
            if status == "approved":
                await cards.sandbox_refund(tx, f"cancel {key}", key, charge.amount_minor)

    async def refund(self, key: str, charge_id: str, amount_minor: int) -> None:
        charge_key = charge_id.removeprefix(_PREFIX)
        async with self._db.transaction(Scope()) as tx:
            if not await cards.sandbox_refund(tx, key, charge_key, amount_minor):
                raise RefundRefused(charge_id)


def _verdict(status: str) -> Verdict:
    return Verdict.APPROVED if status == "approved" else Verdict.DECLINED
