"""Learns of sessions and keys that ended on other replicas."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from core import moments
from core.clock import Clock
from core.telemetry import get_logger
from gateway.tokens import Tokens
from store.kit.engine import Database, Scope
from store.people import sessions

INTERVAL_SECONDS = 2.0
# A revocation becomes visible when its transaction commits, a little after the time it carries.
_OVERLAP = timedelta(seconds=15)
_PAGE = 10_000
_SWEEP_EVERY_ROUNDS = 300

_log = get_logger(__name__)


class RevocationWatcher:
    """Polls the database every two seconds. While it cannot be reached, what is known stays known,
    and access tokens are valid until they expire."""

    def __init__(self, db: Database, tokens: Tokens, clock: Clock) -> None:
        self._db = db
        self._tokens = tokens
        now = moments.of_ms(clock.now_ms())
        self._since = now - timedelta(seconds=tokens.ttl_seconds) - _OVERLAP
        self._failing = False

    async def run(self) -> None:
        rounds = 0
        while True:
            await self.attempt(sweep=rounds % _SWEEP_EVERY_ROUNDS == _SWEEP_EVERY_ROUNDS - 1)
            rounds += 1
            await asyncio.sleep(INTERVAL_SECONDS)

    async def attempt(self, *, sweep: bool = False) -> None:
        """One round; a failure is logged once and left to the next round."""
        try:
            await self.poll()
            if sweep:
                async with self._db.transaction(Scope()) as tx:
                    await sessions.sweep(tx)
            self._failing = False
        except Exception as error:  # whatever it is, the next round must come
            if not self._failing:
                _log.warning("revocations_not_read", error=type(error).__name__)
            self._failing = True

    async def poll(self) -> None:
        """Takes over every revocation since the last time. Raises Unavailable."""
        since, more = self._since, True
        while more:
            async with self._db.transaction(Scope()) as tx:
                found = await sessions.revoked_since(tx, since, limit=_PAGE)
            for proof_id, revoked_at in found:
                self._tokens.revoke(proof_id)
                since = revoked_at
            more = len(found) == _PAGE
        self._since = max(self._since, since - _OVERLAP)
