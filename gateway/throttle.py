"""Slows down guessing: a few attempts per account and address, many per address, then a wait.

Such requests are rare and expensive (a password hash each), so each asks Redis, and the replica
counts by itself as well, for when Redis is away.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.clock import Clock
from core.errors import HoldfastError, TooManyRequests
from core.telemetry import RATE_LIMIT_OPEN, RATE_LIMITED
from store.kit.redis import Redis, RedisUnavailable

MAX_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `attempts` in each span of `window_seconds`."""

    name: str
    attempts: int
    window_seconds: int


LOGIN_PER_ACCOUNT = Rule("login-account", 10, 900)
LOGIN_PER_ADDRESS = Rule("login-address", 300, 900)
REGISTER_PER_ADDRESS = Rule("register-address", 300, 900)
# Attempts to register an address that is taken: each tells that it has an account.
TAKEN_PER_ADDRESS = Rule("taken-address", 10, 900)
TAKEN_PER_NETWORK = Rule("taken-network", 60, 900)
REGISTER_PER_NETWORK = Rule("register-network", 1_000, 900)
VERIFY_PER_ACCOUNT = Rule("verify-account", 5, 3600)
RESET_PER_ACCOUNT = Rule("reset-account", 5, 3600)
RESET_PER_ADDRESS = Rule("reset-address", 60, 3600)
LINK_PER_ADDRESS = Rule("link-address", 60, 900)
REFRESH_PER_ADDRESS = Rule("refresh-address", 600, 900)
GIFT_CARD_GUESSES = Rule("gift-card-guesses", 20, 300)


class Throttle:
    def __init__(self, redis: Redis, clock: Clock, *, enabled: bool = True) -> None:
        self._redis = redis
        self._clock = clock
        self._enabled = enabled
        self._counts: dict[str, int] = {}

    async def attempt(self, rule: Rule, *subject: str) -> None:
        """Counts an attempt before it is made, so that a caller gains nothing by many at once.
        Raises TooManyRequests until the window ends."""
        if self._enabled and await self._count(rule, subject) > rule.attempts:
            raise self._refusal(rule)

    @asynccontextmanager
    async def guesses(
        self, rule: Rule, *subject: str, wrong: type[HoldfastError]
    ) -> AsyncIterator[None]:
        """Frames code that tells whether a secret is right: each `wrong` that it raises is counted,
        so a caller that knows the secret never waits. Raises TooManyRequests once there were too
        many."""
        if not self._enabled:
            yield
            return
        self.check(rule, *subject)
        try:
            yield
        except wrong:
            await self.count(rule, *subject)
            raise

    def check(self, rule: Rule, *subject: str) -> None:
        """Raises TooManyRequests if this replica knows of too many attempts."""
        if self._enabled and self._counts.get(self._key(rule, subject), 0) >= rule.attempts:
            raise self._refusal(rule)

    async def count(self, rule: Rule, *subject: str) -> None:
        """Counts a wrong guess."""
        if self._enabled:
            await self._count(rule, subject)

    async def _count(self, rule: Rule, subject: tuple[str, ...]) -> int:
        """How many attempts there were in this window, with this one."""
        key = self._key(rule, subject)
        if key not in self._counts and len(self._counts) >= MAX_KEPT:
            self._counts.pop(next(iter(self._counts)))
        count = self._counts[key] = self._counts.get(key, 0) + 1
        try:
            total = (await self._redis.add({key: 1}, ttl_seconds=rule.window_seconds))[key]
        except RedisUnavailable:
            RATE_LIMIT_OPEN.inc()
            total = 0
        # What other replicas counted is remembered, too; other tasks here may have counted
        # meanwhile.
        self._counts[key] = max(self._counts.get(key, 0), total)
        return max(count, total)

    def _refusal(self, rule: Rule) -> TooManyRequests:
        RATE_LIMITED.labels(rule.name).inc()
        wait_seconds = rule.window_seconds - self._clock.now_ms() / 1000 % rule.window_seconds
        return TooManyRequests(
            "Too many attempts; wait a while.", retry_after_seconds=int(wait_seconds) + 1
        )

    async def forgive(self, rule: Rule, *subject: str) -> None:
        """Forgets the attempts of a subject that has proved itself."""
        if not self._enabled:
            return
        key = self._key(rule, subject)
        self._counts.pop(key, None)
        try:
            await self._redis.delete(key)
        except RedisUnavailable:
            RATE_LIMIT_OPEN.inc()

    def _key(self, rule: Rule, subject: tuple[str, ...]) -> str:
        window = int(self._clock.now_ms() / 1000 // rule.window_seconds)
        # Hashed: Redis need not hold the names of people that sign in.
        digest = hashlib.sha256("\0".join(subject).encode()).hexdigest()[:32]
        return f"holdfast:throttle:{rule.name}:{window}:{digest}"
