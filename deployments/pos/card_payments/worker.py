"""What finishes card payments that were left half done, and refunds that are owed."""

from __future__ import annotations

import asyncio

from core.telemetry import get_logger
from deployments.kit.resources import Resources
from deployments.pos.card_payments.service import (
    CARDS,
    CLAIM_SECONDS,
    PAUSE_SECONDS,
    CardSales,
)
from store.kit.engine import Database, Scope
from store.pos import cards
from store.pos.cards import Work

MAX_CLAIMED = 8

log = get_logger("pos.cards")


class CardWorker:
    """Finishes what was left half done, of any business, a few at a time. Runs in each replica;
    claims keep them out of each other's way."""

    def __init__(self, db: Database, sales: CardSales) -> None:
        self._db = db
        self._sales = sales

    async def run(self) -> None:
        while True:
            done = 0
            try:
                done = await self.round()
            except Exception as error:
                log.warning("card payments wait", reason=repr(error))
            if done < MAX_CLAIMED:
                await asyncio.sleep(PAUSE_SECONDS)

    async def round(self) -> int:
        """Claims what waits and takes it on; how many there were."""
        async with self._db.transaction(Scope()) as tx:
            found = await cards.claim(tx, CLAIM_SECONDS, MAX_CLAIMED)
        await asyncio.gather(*(self._take_on(work) for work in found))
        return len(found)

    async def _take_on(self, work: Work) -> None:
        try:
            if work.number is None:
                await self._sales.resolve(work.tenant_id, work.id)
            else:
                await self._sales.refund(work.tenant_id, work.id, work.number)
        except Exception as error:
            # It is claimed again, later and later.
            log.warning("card payment waits", payment=str(work.id), reason=repr(error))


async def finish_card_payments(shared: Resources) -> None:
    """The task of each replica that serves the till."""
    await CardWorker(shared.db, CARDS.of(shared)).run()
