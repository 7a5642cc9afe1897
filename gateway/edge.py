"""The gateway's own parts in one process, made once and shared by all requests."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from core.background import kept_running
from core.clock import Clock
from core.errors import Unauthenticated
from core.principal import Principal
from core.settings import Settings
from gateway.access_keys import PREFIXES, AccessKeys
from gateway.keys import KeyRing
from gateway.links import Links
from gateway.passwords import Passwords
from gateway.rate_limit import Limits, RateLimiter
from gateway.revocations import RevocationWatcher
from gateway.throttle import Throttle
from gateway.tokens import Tokens
from gateway.turns import Turns
from store.embedded.space import Space
from store.kit.engine import Database
from store.kit.metrics import MetricsPublisher
from store.kit.redis import Redis

FIRST_POLL_SECONDS = 5.0


class Edge:
    """`process` names this process in the metrics of all, such as `replica-3`."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        redis: Redis,
        clock: Clock,
        *,
        process: str,
        limits: Limits | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        limited = settings.rate_limit == "on"
        self.settings = settings
        self.keys = KeyRing(settings)
        self.tokens = Tokens(settings, self.keys, clock)
        self.links = Links(settings, self.keys)
        self.access_keys = AccessKeys(db, self.tokens, clock)
        self.limiter = RateLimiter(redis, clock, enabled=limited, limits=limits)
        self.throttle = Throttle(redis, clock, enabled=limited)
        self.turns = Turns()
        self.passwords = passwords or Passwords()
        self.space = Space(settings)
        self.metrics = MetricsPublisher(redis, process)
        self._revocations = RevocationWatcher(db, self.tokens, clock)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Starts what runs in the background. Returns once revocations are known, or cannot be
        read."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._revocations.attempt(), FIRST_POLL_SECONDS)
        self._tasks = [
            asyncio.create_task(kept_running(part.run, type(part).__name__))
            for part in (self._revocations, self.limiter, self.metrics)
        ]

    async def stop(self) -> None:
        pending = set(self._tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Asked again: before Python 3.12 `wait_for`, which the Redis client uses, loses a
            # cancellation that comes in the moment its own wait ends.
            _, pending = await asyncio.wait(pending, timeout=0.5)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.passwords.close()

    async def identify(self, authorization: str, address: str) -> Principal:
        """The principal that an Authorization header proves. Raises Unauthenticated, Unavailable or
        Limited."""
        kind, _, proof = authorization.partition(" ")
        proof = proof.strip()
        if kind.lower() != "bearer" or not proof:
            raise Unauthenticated("The Authorization header must read: Bearer <token>.")
        known = self.tokens.recall(proof)
        if known is not None:
            return known
        # An unknown token costs a signature's check or a look-up: each address has so many.
        self.limiter.check_address(address)
        if proof.startswith(PREFIXES):
            return await self.access_keys.verify(proof)
        return self.tokens.verify(proof)
